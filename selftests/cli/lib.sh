# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Tests of the commands that need no array, in the environment: KTAP on standard output.
# shellcheck shell=bash disable=SC2034 # variables of the test that sources this
set -Eeuo pipefail
program=${RINGRAID_BUILD:?started by ./run test cli}/ringraid
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
top=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
served=()
cleanup() {
	exec 2>/dev/null
	[ ${#served[@]} = 0 ] || kill -9 "${served[@]}" || true # some are dead
	wait
	rm -rf -- "$tmp"
}
trap cleanup EXIT
PATH=$RINGRAID_BUILD:$PATH

# The script once more, in mounts of its own; in a private root they are its own already,
# and cannot be separated again.
own_mounts() {
	[ -z "${has_own_mounts:-}" ] || return 0
	export has_own_mounts=1
	! unshare --mount --propagation private true 2>/dev/null ||
		exec unshare --mount --propagation private bash "$0"
}

# has LINE: standard input has it. (grep -q would end whoever writes.)
has() { grep -xF -- "$1" >/dev/null; }

# check NAME COMMAND...: what it prints is shown when it fails.
check() {
	local name=$1 rc
	shift
	# Not in a condition: there a command that fails in the middle would be passed over.
	set +e
	(set -e; "$@") >"$tmp/log" 2>&1
	rc=$?
	set -e
	if [ $rc = 0 ]; then
		echo "ok $name"
	else
		sed 's/^/# /' "$tmp/log"
		echo "not ok $name"
	fi
}

# The words of every command that people see, one a line: "store get".
commands() {
	local c
	for c in $(below); do
		echo "$c"
		# shellcheck disable=SC2046 # words
		for d in $(below "$c"); do echo "$c $d"; done
	done
}

# below WORD...: the commands below a command, by its help.
below() {
	"$program" "$@" --help | grep -q ' COMMAND$' || return 0
	"$program" "$@" --help | sed -n '3,$p' | grep -E '^  [a-z]' | awk '{ print $1 }'
}

# serve STATUS-FILE...: arrays that only talk (fake_array.py), by pid in served; they end
# with the test.
serve() {
	local file dir i
	for file in "$@"; do
		python3 "$here/fake_array.py" "$file" >"$tmp/asked.${#served[@]}" &
		served+=($!)
		dir=/run/ringraid/$(jq -r .uuid "$file" | tr : -)
		for ((i = 0; i < 400; i++)); do [ ! -e "$dir/state.json" ] || break; sleep 0.05; done
	done
}
