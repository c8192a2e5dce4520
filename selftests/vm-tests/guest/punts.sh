#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel's own tracepoint counts what io_uring hands to worker threads for
# the queue threads, by opcode; outside flushes that must be nothing.
. "${0%/*}/lib.sh"
trace=/sys/kernel/tracing/events/io_uring/io_uring_queue_async_work

# measured ENGINE WHAT FIO-OPTION...
measured() {
	local engine=$1 what=$2 tid filter='' counts flushes others
	shift 2
	for tid in $(st 'queue_threads[].tid'); do filter+="${filter:+ || }common_pid == $tid"; done
	[ -n "$filter" ] || fail "status names no queue threads"
	echo "hist:keys=opcode if $filter" >$trace/trigger
	load "$what" "$@"
	cp $trace/hist "$tmp/hist"
	echo '!hist:keys=opcode' >$trace/trigger
	counts=$(sed -nE 's/.*opcode: *([0-9]+).*hitcount: *([0-9]+).*/\1 \2/p' "$tmp/hist")
	flushes=$(awk '$1 == 3 { n += $2 } END { print n + 0 }' <<<"$counts")
	others=$(awk 'NF && $1 != 3 { n += $2 } END { print n + 0 }' <<<"$counts")
	say "$engine engine, $what: $others punts, $flushes flushes handed to a worker"
	[ "$others" = 0 ] || { cat "$tmp/hist"; fail "$others SQEs were punted"; }
}

# both ENGINE MEMBER...
both() {
	local engine=$1
	shift
	wipe "$@"
	start t "$@" --engine "$engine" --chunk 64K --assume-clean
	measured "$engine" healthy --rw=randrw --bssplit=$mix --iodepth=32 --numjobs=2 --size=24m --offset_increment=24m --fsync=32
	measured "$engine" vectors --rw=randrw --bsrange=4k-1m --iodepth=8 --size=24m --iomem_align=512 --iomem=malloc
	quietly ringraid fail t "${!#}"
	measured "$engine" degraded --rw=randrw --bssplit=$mix --iodepth=32 --numjobs=2 --size=24m --offset_increment=24m
	if [ "$engine" = bpf ]; then
		[ "$(counter punts)" = 0 ] || fail "the engine's own counter says $(counter punts)"
		[ "$(counter flush_punts)" -gt 0 ] || fail "the engine's own counter saw no flush"
	fi
	stop
}

read -ra members < <(disks 4)
both bpf "${members[@]}"
both user "${members[@]}"
