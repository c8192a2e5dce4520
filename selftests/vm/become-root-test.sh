#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# become-root-test.sh RUN: `run` asks for root by what a machine has, and starts
# again with the same words. The machine is made up: a PATH that holds a few
# tools, an `id` that says who asks, and a sudo or su that writes down what it got.
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
run=$1
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
# shellcheck disable=SC2016 # not to be expanded
words=(test unit 'two words' "a'quote" '$HOME' '')
for v in "${!RINGRAID_@}"; do unset "$v"; done
export RINGRAID_SEED='1 2' RINGRAID_CACHE=$dir/cache HOME=$dir

fail() { echo "FAIL: $*"; cat "$dir/out"; exit 1; }

# machine WHO [WAY]...: a fresh one, with this user id and these ways to root.
machine() {
	local tool
	rm -rf "${dir:?}/bin" "$dir/got"
	mkdir "$dir/bin"
	for tool in bash env dirname realpath sha256sum cut cat; do ln -s "$(command -v $tool)" "$dir/bin/"; done
	printf '#!/bin/bash\necho %s\n' "$1" >"$dir/bin/id"
	shift
	for tool in "$@"; do
		printf '#!/bin/bash\nprintf "%%s\\0" %s "$@" >%q\n' "$tool" "$dir/got" >"$dir/bin/$tool"
	done
	chmod +x "$dir/bin"/*
}

# start ARGS...: sets rc; out holds what was said.
start() {
	rc=0
	PATH=$dir/bin bash "$run" "$@" >"$dir/out" 2>&1 || rc=$?
}

# got: what sudo or su was given.
got() { mapfile -d '' -t got <"$dir/got"; }

want=("RINGRAID_CACHE=$dir/cache" 'RINGRAID_SEED=1 2' "$run" "${words[@]}")

machine 1000 sudo su
start "${words[@]}"
got
[ "${got[*]@Q}" = "'sudo' '--' '/usr/bin/env' ${want[*]@Q}" ] || fail "sudo was given: ${got[*]@Q}"
grep -q 'asking sudo' "$dir/out" || fail "it does not say that it asks sudo"

# The string that su hands to a shell has to become the same words.
machine 1000 su
start "${words[@]}"
got
[ "${got[0]} ${got[1]} ${got[2]} ${got[3]} ${got[5]}" = "su -s /bin/bash -c root" ] || fail "su was given: ${got[*]@Q}"
# shellcheck disable=SC2016 # for the program made here
printf '#!/bin/bash\nprintf "%%s\\0" "$RINGRAID_CACHE" "$RINGRAID_SEED" "$@" >%q\n' "$dir/got" >"$dir/again"
chmod +x "$dir/again"
bash -c "${got[4]//"$run"/"$dir/again"}"
got
[ "${got[*]@Q}" = "$(set -- "$dir/cache" '1 2' "${words[@]}"; echo "${*@Q}")" ] || fail "after su: ${got[*]@Q}"

machine 1000
start "${words[@]}"
[ $rc = 1 ] || fail "without sudo and su: exit code $rc"
grep -q 'neither sudo nor su' "$dir/out" || fail "no clear error"
grep -q '^hint: run it as root' "$dir/out" || fail "no hint"

# Neither root nor who asks for help is sent anywhere.
machine 1000 sudo su
for ask in help --help 'test --help' 'demo --help' nonsense; do
	# shellcheck disable=SC2086 # words
	start $ask
	[ ! -e "$dir/got" ] || fail "./run $ask asked for root"
done
machine 0 sudo su
start help
[ "$rc" = 0 ] || fail "root's help: exit code $rc"
start test no-such-group
[ "$rc" = 1 ] || fail "root's test: exit code $rc"
[ ! -e "$dir/got" ] || fail "root was asked for root"
