#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The write hole: crashes cut out of the log of all writes to an array, each judged with every
# member lost (tools/hole). A kind with a partial parity log must not have it, whether md wrote
# the log or ringraid; the controls must show it, or nothing was proven: md without a log,
# ringraid with and without a bitmap, and the crashes of the kinds with a log when they are
# judged as if there was none.
#
# Thousands of crashes are judged by the code of a start. A few of them are put on disks, and
# judged by md and by ringraid as they are; of the controls those in which the code found
# the hole.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/environment.sh disable=SC2034 # work and root_binds are its
. "$RINGRAID_TOP/selftests/vm/environment.sh"

ops=30 cuts=60 named=1
if is_full; then ops=400 cuts=4000 named=30; fi
# Where the environment sees it, too.
make_work writehole
# shellcheck disable=SC2154 # make_work sets it
logs=$work
trap 'rm -rf -- "$dir"; remove_work' EXIT
hole=$RINGRAID_BUILD/vm-tests/hole

kinds=(md-none md-ppl resync bitmap ppl)
# specs: KIND:CACHE:ENGINE. Of caches and engines each has its turn.
specs() {
	local i=0 kind caches=(back through) engines=(bpf user)
	for kind in ${RINGRAID_CASES:-"${kinds[@]}"}; do
		i=$((i + 1))
		if is_full; then
			printf "$kind:%s\n" back:bpf through:user
			[[ $kind = md-* ]] || printf "$kind:%s\n" back:user through:bpf
		else
			echo "$kind:${caches[(seed + i) % 2]}:${engines[(seed / 2 + i / 2) % 2]}"
		fi
	done
}

# all_logs: of each spec $logs/SPEC.
all_logs() {
	local disks=(--disk nvme:64M) s
	for s in "$@"; do
		truncate -s 1G "$logs/$s"
		disks+=(--disk "nvme:$logs/$s")
	done
	guest writehole "${disks[@]}" --mem 2048 --timeout 3000 --file "$hole:/test/hole" -- load "$ops" "$@"
}

# look_at SPEC [OPTION]: what was found is in $dir/said; false where something was wrong.
look_at() {
	local rc=0 options=()
	[[ $1 != *:through:* ]] || options=(--through)
	[[ $1 != md-ppl:back:* ]] || options+=(--flush-late)
	in_root "$hole" cuts "$logs/$1" --seed "$seed" --ops "$ops" --count "$cuts" --named "$named" "${options[@]}" "${@:2}" \
		2>"$dir/complaints" >"$dir/said" || rc=$?
	[ $rc = 0 ] || [ $rc = 3 ] || { cat "$dir/complaints" "$dir/said"; fail "$1: it was not looked at"; }
	grep -E '^([0-9]+ cuts|whole|less)' "$dir/said" | sed "s/^/    $1${2:+ $2}: /"
	return $rc
}
# shows_hole SPEC [OPTION]: or nothing was proven.
shows_hole() {
	if look_at "$@"; then fail "$*: no write hole: nothing was proven"; fi
	grep -q '^less: .*idle wrong [1-9]' "$dir/said" || fail "$*: no idle block was wrong: nothing was proven"
}
# cases KIND: what was named, for the guest.
cases() { sed -n "s/^\($1\) /\1:/p" "$dir/said" | sed -E 's/^(hole:[0-9]+) ([0-9]+) .*/\1:\2/'; }

mapfile -t all < <(specs)
all_logs "${all[@]}"
judged=()
disks=()
for i in 0 1 2 3; do disks+=(--disk nvme:8M); done
for s in "${all[@]}"; do
	disks+=(--disk "nvme:$logs/$s")
	if [[ $s = *ppl:* ]]; then
		look_at "$s" || { cat "$dir/said"; fail "$s: the write hole is there"; }
		grep -q '^less: .* 0 forced, 0 refused, [1-9]' "$dir/said" || fail "$s: not started as it should be"
		mapfile -t found < <(cases cut)
		shows_hole "$s" --no-log
	else
		shows_hole "$s"
		mapfile -t found < <(cases hole)
	fi
	judged+=("$s" "${found[@]}")
done
guest writehole "${disks[@]}" --mem 2048 --timeout 3000 --file "$hole:/test/hole" -- judge "$ops" "${judged[@]}"
