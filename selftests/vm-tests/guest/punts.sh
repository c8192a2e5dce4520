#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel's own tracepoint counts what io_uring hands to worker threads for
# the queue threads and the one that flushes, by opcode; outside flushes that must be nothing.
. "${0%/*}/lib.sh"
trace=/sys/kernel/tracing/events/io_uring/io_uring_queue_async_work

# measured ENGINE WHAT COMMAND...
measured() {
	local engine=$1 what=$2 tid filter='' counts flushes others
	shift 2
	for tid in $(st 'queue_threads[].tid') $(flush_thread); do filter+="${filter:+ || }common_pid == $tid"; done
	[ -n "$filter" ] || fail "status names no queue threads"
	echo "hist:keys=opcode if $filter" >$trace/trigger
	"$@"
	cp $trace/hist "$tmp/hist"
	echo '!hist:keys=opcode' >$trace/trigger
	counts=$(sed -nE 's/.*opcode: *([0-9]+).*hitcount: *([0-9]+).*/\1 \2/p' "$tmp/hist")
	flushes=$(awk '$1 == 3 { n += $2 } END { print n + 0 }' <<<"$counts")
	others=$(awk 'NF && $1 != 3 { n += $2 } END { print n + 0 }' <<<"$counts")
	say "$engine engine, $what: $others punts, $flushes flushes handed to a worker"
	[ "$others" = 0 ] || { cat "$tmp/hist"; fail "$others SQEs were punted"; }
}

flush_thread() { grep -lx rr-flush /proc/"$(st pid)"/task/*/comm | cut -d/ -f5; }

# Memory in pieces that begin and end at any sector, with gaps between them: no piece that
# a member gets uncopied may have more segments than it takes.
vectors() { quietly /test/vectors "$block" 60 "$seed"; }

# both ENGINE MEMBER...
both() {
	local engine=$1
	shift
	wipe "$@"
	start t "$@" --engine "$engine" --chunk 64K --assume-clean
	measured "$engine" healthy load healthy --rw=randrw --bssplit=$mix --iodepth=32 --numjobs=2 --size=24m --offset_increment=24m --fsync=32
	measured "$engine" unaligned load unaligned --rw=randrw --bsrange=4k-1m --iodepth=8 --size=24m --iomem_align=512 --iomem=malloc
	measured "$engine" vectors vectors
	quietly ringraid fail t "${!#}"
	measured "$engine" degraded load degraded --rw=randrw --bssplit=$mix --iodepth=32 --numjobs=2 --size=24m --offset_increment=24m
	if [ "$engine" = bpf ]; then
		[ "$(counter punts)" = 0 ] || fail "the engine's own counter says $(counter punts)"
		[ "$(counter flush_punts)" -gt 0 ] || fail "the engine's own counter saw no flush"
	fi
	stop
}

# written MEMBER...: writes that they have had.
written() {
	local m n=0
	for m in "$@"; do n=$((n + $(awk '{ print $5 }' "/sys/class/block/$(basename "$(readlink -f "$m")")/stat"))); done
	echo $n
}

# long ENGINE MEMBER...: the default chunk, of which a request covers more, and a full
# stripe of ordinary pages is one request. Its cells, which are FUA because of the log, are
# one or two I/Os of a member, and not eight.
long() {
	local engine=$1 wide writes
	shift
	wipe "$@"
	start t "$@" --engine "$engine" --assume-clean
	measured "$engine" "vectors, default chunk" vectors
	[ "$(st consistency)" = ppl ] || fail "the default is $(st consistency)"
	writes=$(written "$@")
	measured "$engine" "stripes, default chunk" quietly dd if=/dev/zero of="$block" bs=1536K count=8 oflag=direct
	writes=$(($(written "$@") - writes))
	say "$engine engine, default chunk: $writes member writes for 8 full stripes"
	[ "$writes" -le 128 ] || fail "8 full stripes were $writes writes of members"
	wide=$(counter full_cells)
	[ "$wide" -ge 64 ] || fail "8 full stripes were $wide full cells"
	stop
}

read -ra members < <(disks 4)
both bpf "${members[@]}"
both user "${members[@]}"
long bpf "${members[@]}"
long user "${members[@]}"
