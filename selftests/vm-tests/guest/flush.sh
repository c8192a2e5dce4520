#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Four members under dm-delay, whose flushes take FLUSH ms. One flush of the array takes
# as long as one of a member; those of four queues at a moment share it; other I/O of the
# queue goes on beside it; and a daemon that dies in the middle leaves nothing behind.
. "${0%/*}/lib.sh"
modprobe dm-delay
read -ra plain < <(disks 4)
flush=1500
members=()
for i in 0 1 2 3; do members+=("/dev/mapper/slow$i"); done

# all_flush MS: what a flush of a member takes from now on.
all_flush() {
	local i
	for i in 0 1 2 3; do slow "slow$i" "${plain[i]}" 0 0 "$1"; done
}

# up OPTION...: a new array, whose members flush slowly from now on. Nobody else flushes
# them: no bitmap, and no rest.
up() {
	all_flush 0
	wipe "${members[@]}"
	start t "${members[@]}" --chunk 64K --assume-clean --no-bitmap --clean-after 10000 --queues 4 "$@"
	queues 4
	write_stripe
	all_flush "$flush"
}
down() {
	all_flush 0
	stop
}

# One full stripe: every member has something to flush.
write_stripe() { quietly dd if=/dev/urandom of="$block" bs=192K count=1 seek=$((RANDOM % 64)) oflag=direct; }

now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# took COMMAND...: sets $ms.
took() {
	local begin
	begin=$(now)
	quietly "$@"
	ms=$(($(now) - begin))
}

# flushes: what the first member's disk has done so far.
flushes() { awk '{ print $16 }' "/sys/block/$(readlink "${plain[0]}")/stat"; }

# one_flush_took WHAT: $ms is that of one flush of a member, with a fifth for the machine.
one_flush_took() {
	local own=$ms
	took sync -d "${members[0]}"
	[ "$own" -ge $flush ] || fail "$1 took $own ms, and a member's flush takes $flush"
	[ "$own" -le $((ms * 12 / 10)) ] || fail "$1 took $own ms, and the flush of a member $ms"
	ms=$own
}

# at_once CPU...: a flush by each of these CPUs' queues, and waits for them.
at_once() {
	local cpu all=()
	for cpu in "$@"; do
		taskset -c "$cpu" sync -d "$block" &
		all+=($!)
	done
	for cpu in "${all[@]}"; do wait "$cpu"; done
}

one() {
	local engine before
	for engine in bpf user; do
		up --engine "$engine"
		before=$(flushes)
		took sync -d "$block"
		say "$engine engine: four members of $flush ms are flushed in $ms ms"
		[ $(($(flushes) - before)) = 1 ] || fail "$(($(flushes) - before)) flushes of a member"
		one_flush_took "a flush"
		took sync -d "$block"
		[ $ms -lt $((flush / 2)) ] || fail "a flush of nothing took $ms ms"
		down
	done
}

shared() {
	local before engine
	for engine in bpf user; do
		up --engine "$engine"
		before=$(flushes)
		took at_once 0 1 2 3
		say "$engine engine: four queues at once take $ms ms, and $(($(flushes) - before)) flushes of a member"
		[ $(($(flushes) - before)) = 1 ] || fail "four queues flushed a member $(($(flushes) - before)) times"
		one_flush_took "four flushes"
		[ "$(counter member_flushes)" -gt 4 ] || fail "the flushes came by one queue: $(counter member_flushes) were asked for"
		# One is in flight, and does not cover what is written then: the three share the next.
		write_stripe
		before=$(flushes)
		taskset -c 0 sync -d "$block" &
		sleep 0.3
		write_stripe
		took at_once 1 2 3
		wait
		say "$engine engine: three more, after a write: $ms ms, and $(($(flushes) - before)) flushes of a member"
		[ $(($(flushes) - before)) = 2 ] || fail "$(($(flushes) - before)) flushes of a member"
		[ $ms -ge $flush ] || fail "a flush covered what was written after it began: $ms ms"
		down
	done
}

beside() {
	local engine flush=10000
	for engine in bpf user; do
		up --engine "$engine"
		rm -f "$tmp/flushed"
		(taskset -c 0 sync -d "$block" && touch "$tmp/flushed") &
		sleep 0.3
		took taskset -c 0 dd if=/dev/urandom of="$block" bs=4k count=50 oflag=direct
		say "$engine engine: 50 writes by the queue that flushes take $ms ms"
		took taskset -c 0 dd if="$block" of=/dev/null bs=4k count=50 iflag=direct
		say "$engine engine: 50 reads by the queue that flushes take $ms ms"
		[ ! -e "$tmp/flushed" ] || fail "the flush of $flush ms was over before"
		all_flush 0
		wait
		[ -e "$tmp/flushed" ] || fail "the flush failed"
		down
	done
}

# The daemon dies while a flush is in flight: it is asked for again, and answered well.
killed() {
	local engine pid
	for engine in bpf user; do
		up --engine "$engine"
		sync -d "$block" &
		pid=$!
		sleep 0.3
		kill_daemon
		all_flush 0
		again "${members[@]}" --engine "$engine"
		wait $pid || fail "the flush failed"
		state healthy
		write_stripe
		took sync -d "$block"
		stop
		judge "${members[@]}"
	done
}

# Flushes of members that are driven by NVMe commands go the same way.
passthrough() {
	local engine before
	for i in 0 1 2 3; do quietly dmsetup remove slow$i; done
	for engine in bpf user; do
		wipe "${plain[@]}"
		start t "${plain[@]}" --chunk 64K --assume-clean --no-bitmap --clean-after 10000 --queues 4 --passthrough --engine "$engine"
		write_stripe
		before=$(flushes)
		quietly sync -d "$block"
		[ $(($(flushes) - before)) = 1 ] || fail "$(($(flushes) - before)) flushes of a member"
		quietly sync -d "$block"
		[ $(($(flushes) - before)) = 1 ] || fail "nothing was written, and a member was flushed"
		state healthy
		stop
	done
}

play one shared beside killed passthrough
