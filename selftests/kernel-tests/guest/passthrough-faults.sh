#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Statuses and timeouts of NVMe commands under load: what passes is tried again,
# what lasts costs a block or the member, and no client sees any of it.
# shellcheck source=selftests/vm-tests/guest/lib.sh
. "${0%/*}/../t/lib.sh"
read -ra members < <(disks 4)
disk=$(readlink -f "${members[2]}")
disk=${disk#/dev/}
inject=/sys/kernel/debug/$disk/fault_inject
fail_timeout=/sys/kernel/debug/fail_io_timeout
retries_before=0

# every STATUS OPCODE PERCENT TIMES DO-NOT-RETRY: from now on.
every() {
	echo "$1" >"$inject/status"
	echo "$2" >"$inject/opcode"
	echo "$5" >"$inject/dont_retry"
	echo 0 >"$inject/verbose"
	echo "$4" >"$inject/times"
	echo "$3" >"$inject/probability"
}

never() { echo 0 >"$inject/probability"; }

fresh() {
	wipe "${members[@]}"
	start t "${members[@]}" --chunk 64K --assume-clean --passthrough --engine bpf --clean-after 0
	fill
}

# The load is to have begun, however soon its fault was seen.
over() {
	sleep 2
	end_clients
	never
}

# Read errors of the medium: rebuilt from the peers, rewritten, nobody is out.
media() {
	local spent
	background media
	every 0x281 0x02 2 40 Y
	eventually "a block is rewritten" counts repaired 0
	over
	spent=$(counter read_errors)
	[ "$spent" -gt 0 ] || fail "no read error was seen"
	state healthy
	say "unrecovered reads: $spent seen, $(counter repaired) blocks rewritten, healthy"
}

# tried STATUS OPCODE WHAT: commands that fail so are issued again.
tried() {
	retries_before=$(counter retries)
	background tried
	every "$1" "$2" 10 30 N
	eventually "a command is tried again" counts retries "$retries_before"
	over
	state healthy
	say "$3: $(($(counter retries) - retries_before)) commands tried again, healthy"
}

# swallow COUNT: returns when as many commands have gone and will not come back.
swallow() {
	echo 0 >$fail_timeout/verbose
	echo "$1" >$fail_timeout/times
	echo 1 >"/sys/block/$disk/io-timeout-fail"
	echo 100 >$fail_timeout/probability
	eventually "$1 commands are gone" grep -qx 0 $fail_timeout/times
	echo 0 >$fail_timeout/probability
	echo 0 >"/sys/block/$disk/io-timeout-fail"
}

# Commands that do not come back: the driver resets the controller.
timeouts() {
	retries_before=$(counter retries)
	background timeouts
	swallow 2
	eventually "a command is tried again" counts retries "$retries_before"
	over
	dmesg >"$tmp/dmesg"
	grep -qE 'nvme.* timeout, aborting' "$tmp/dmesg" || fail "no command timed out"
	grep -qE 'nvme.* timeout, reset controller' "$tmp/dmesg" || fail "the controller was not reset"
	state healthy
	say "commands that never come back: the controller was reset, $(($(counter retries) - retries_before)) tried again, healthy"
}

# The daemon is killed while a command is out. Until that has come back, nobody else
# may open the disk: it could be written to behind the back of its next owner.
held() {
	background held
	echo 10000 >"/sys/block/$disk/queue/io_timeout"
	swallow 1
	kill_daemon_wholly
	refused "couldn't open" mdadm --zero-superblock "/dev/$disk"
	quietly ringraid assemble "${members[@]}" --passthrough --engine bpf --clean-after 0
	echo 2000 >"/sys/block/$disk/queue/io_timeout"
	end_clients
	state healthy
	say "kill -9 with a command that does not come back: the disk stays ours until it has"
}

# A write that fails for good.
lost() {
	background lost
	every 0x280 0x01 100 1 Y
	eventually "the member is out" is_state degraded
	over
	state degraded
	[ "$(st 'members | map(.state) | join(" ")')" = "active active failed active" ] || fail "the wrong member is out"
	say "a write fault: the member is out"
}

echo 0 >/proc/sys/kernel/printk
fresh
media
tried 0x06 0xffff "internal errors"
tried 0x281 0x02 "reads that succeed the next time"
tried 0x82 0xffff "a namespace that is not ready"
timeouts
held
no_stream
stop
judge "${members[@]}"
fresh
lost
stop
