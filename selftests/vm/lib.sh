# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What every part of `run` needs: messages, the cache, locks, work directories.
#
# Messages go to stderr, so that stdout carries results only (KTAP lines, the
# output of a guest's script). Everything written stays under one cache
# directory and outside the tree. Whatever is expensive to make is made under
# a lock in a .tmp directory and renamed when complete, so a run that dies
# leaves nothing that looks finished.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

say() { printf 'ringraid: %s\n' "$*" >&2; }

# die MESSAGE [HINT]
die() {
	printf 'ringraid: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
	exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

default_cache() {
	if is_root; then
		echo /var/cache/ringraid
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/ringraid"
	fi
}

short_hash() { sha256sum | cut -c1-12; }

# os_release KEY
os_release() {
	# shellcheck disable=SC1091,SC2154
	(. /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\"")
}

# with_lock NAME COMMAND...: one at a time over every run that shares the cache.
# COMMAND runs in a subshell: it leaves its results on disk, and its failure is
# the end of this shell, too (set -e is off wherever a caller tests a result).
with_lock() {
	local name=$1
	shift
	mkdir -p "$cache/lock"
	(
		flock -n 9 || { say "waiting for another run ($name)"; flock 9; }
		"$@"
	) 9>"$cache/lock/$name" || exit 1
}

# logged LOG COMMAND...: quiet while it works, the end of its log when it fails.
logged() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# version_ge A B
version_ge() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

# Removes $work. Who was killed a moment ago may still be making a file in it.
remove_work() {
	local i
	for i in 1 2 3 4 5; do
		rm -rf -- "$work" 2>/dev/null && return
		sleep 0.2
	done
	rm -rf -- "$work" || true
}

# Makes $work, a directory of this process that is removed at exit. The lock
# held in it tells the next run which ones were left behind by a kill -9; one run
# at a time looks, or it would take one that is being made for one of those.
make_work() {
	local d turn
	mkdir -p "$cache/work" "$cache/lock"
	exec {turn}>"$cache/lock/work"
	flock "$turn"
	for d in "$cache/work"/*/; do
		[ ! -e "$d/lock" ] || flock -n "$d/lock" rm -rf -- "$d" || true
	done
	work=$(mktemp -d -p "$cache/work" "${1:-run}.XXXXXX")
	exec {work_lock}>"$work/lock"
	flock -n "$work_lock"
	exec {turn}>&-
	trap remove_work EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}
