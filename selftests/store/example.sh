#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# example.sh BUILD DIR: the steps of docs/kv-store.md, with DIR in a bpffs. The
# program is loaded by bpftool; only the store is ringraid's.
set -eu
build=$1 dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin:/sbin
store() { "$build/ringraid" store "$@"; }
v1=$build/store/exec_count_v1.bpf.o
v2=$build/store/exec_count_v2.bpf.o

die() { echo "$*" >&2; exit 1; }
value() { store get "$dir/store" "$1"; }
some_execs() { for _ in 1 2 3 4 5; do /bin/true; done; }

store init "$dir/store" "$v1"
store bake "$dir/store" "$v1" -o "$work/baked.o"
bpftool prog loadall "$work/baked.o" "$dir/links" autoattach map name .bss.kv pinned "$dir/store"
some_execs
[ "$(value execs)" -ge 5 ] || die "nothing was counted"
store set "$dir/store" pause_ms 2500
store set "$dir/store" pause_ms 70000 2>/dev/null && die "a value out of its range was taken"

store diff "$dir/store" "$v2"
store plan "$dir/store" "$v2" --link "$dir/links/on_exec"
before=$(value execs)
store apply "$dir/store" "$v2" --link "$dir/links/on_exec"
some_execs
[ "$(value execs)" -ge $((before + 5)) ] || die "the count was not carried over"
[ "$(value pause_us)" = 2500000 ] || die "pause_us is $(value pause_us)"
value last | grep -q '"process":[1-9]' || die "last is $(value last)"

store set "$dir/store" pause_us 3000000
before=$(value execs)
store rollback "$dir/store"
some_execs
[ "$(value execs)" -ge $((before + 5)) ] || die "the count was not carried back"
[ "$(value pause_ms)" = 3000 ] || die "pause_ms is $(value pause_ms)"

store apply "$dir/store" "$v2" --link "$dir/links/on_exec" --attach "$dir/links/on_exit=on_exit"
some_execs
[ "$(value exits)" -ge 5 ] || die "exits were not counted"
store commit "$dir/store"
store verify "$dir/store"
store export "$dir/store" "$work/export.json"
store --json dump "$dir/store" | grep -q '"version": 2' || die "the store is not at version 2"
store recover "$dir/store"
[ "$(echo "$dir"/links/*)" = "$dir/links/on_exec $dir/links/on_exit" ] || die "$(ls "$dir/links")"
