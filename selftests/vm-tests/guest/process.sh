#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The process that serves an array, and the commands around it. Cases are looked at
# from outside: in /proc, on the disks, at the terminal.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 3)
cpu=/sys/devices/system/cpu/cpu1/online

# made: an array t on fresh disks.
made() {
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean
}

# holds_nothing PID: of the caller in $tmp/dir, who has $tmp/lock open and SECRET set.
holds_nothing() {
	[ "$(readlink "/proc/$1/cwd")" = / ] || fail "the daemon is in $(readlink "/proc/$1/cwd")"
	! tr '\0' '\n' <"/proc/$1/environ" | grep -q SECRET || fail "the daemon has the caller's environment"
	! readlink "/proc/$1/fd"/* | grep -q "^$tmp/" || fail "the daemon holds a file of the caller"
	grep -q '^Umask:.*0077' "/proc/$1/status" || fail "the daemon's $(grep Umask "/proc/$1/status")"
	[ "$(cat "/proc/$1/comm")" = ringraid ] || fail "the daemon is called $(cat "/proc/$1/comm")"
	[ "$(cat "/proc/$1/oom_score_adj")" = -1000 ] || fail "the OOM killer may take the daemon"
	grep -q 'Max locked memory *unlimited *unlimited' "/proc/$1/limits" || fail "locked memory is bounded"
	quietly flock -n "$tmp/lock" true
	quietly umount "$tmp/dir"
}

leaves_the_caller() {
	local pid
	wipe "${disks[@]}"
	mkdir -p "$tmp/dir"
	mount -t tmpfs t "$tmp/dir"
	(cd "$tmp/dir" && umask 0 && SECRET=1 quietly flock "$tmp/lock" ringraid create t "${disks[@]}" --chunk 64K --assume-clean)
	pid=$(st pid)
	[ "$(awk '{ print $6, $7 }' "/proc/$pid/stat")" = "$pid 0" ] || fail "no session of its own"
	holds_nothing "$pid"
	[ "$(stat -c %a /run/ringraid /run/ringraid/*/state.json /dev/ringraid | paste -sd' ')" = "700 600 755" ] ||
		fail "modes: $(stat -c '%a %n' /run/ringraid /run/ringraid/*/state.json /dev/ringraid)"
	stop
	# Served by the process that was started.
	mount -t tmpfs t "$tmp/dir"
	(cd "$tmp/dir" && umask 0 && SECRET=1 exec flock "$tmp/lock" ringraid assemble "${disks[@]}" --foreground) >"/run/foreground" 2>&1 &
	eventually "an array in the foreground" is_state healthy
	pid=$(st pid)
	# flock itself waits for the command, with the lock.
	kill -9 "$(awk '{ print $4 }' "/proc/$pid/stat")"
	holds_nothing "$pid"
	kill "$pid"
	eventually "the end of the daemon" test ! -e "/proc/$pid"
	rmdir "$tmp/dir"
}

closed_streams() {
	local closed fd rc
	made
	stop
	for closed in '<&- >&-' '>&- 2>&-' '<&- 2>&-' '<&- >&- 2>&-'; do
		rc=0
		timeout 60 bash -c "exec ringraid assemble ${disks[*]} $closed" 2>/dev/null || rc=$?
		[ $rc = 0 ] || fail "assemble with $closed: exit code $rc"
		state healthy
		for fd in 0 1 2; do
			[[ $(readlink "/proc/$(st pid)/fd/$fd") =~ ^/(dev/null|run/) ]] || fail "with $closed, $fd is $(readlink "/proc/$(st pid)/fd/$fd")"
		done
		stop
	done
	again "${disks[@]}"
	state healthy
	stop
	judge "${disks[@]}"
}

callers_limits() {
	made
	stop
	(ulimit -n 24 && ulimit -f 1 && ulimit -l 64 && quietly ringraid assemble "${disks[@]}")
	state healthy
	stop
	# The stacks of threads are locked in memory.
	local size bytes=()
	for size in 8192 131072; do
		(ulimit -s $size && quietly ringraid assemble "${disks[@]}")
		bytes+=("$(awk '/^VmLck/ { print $2 }' "/proc/$(st pid)/status")")
		stop
	done
	[ $((bytes[1] - bytes[0])) -lt 16384 ] || fail "a caller's stack limit costs $((bytes[1] - bytes[0])) KiB"
}

# A caller that ignores what becomes of its children: the daemon has one in a stop.
callers_signals() {
	local held
	made
	stop
	quietly /test/ignoring ringraid assemble "${disks[@]}"
	exec {held}<"$block"
	refused 'in use' timeout 100 ringraid stop
	state healthy
	exec {held}<&-
	quietly timeout 100 ringraid stop
}

# Everything but the daemon is protected; the killer is asked what it would take.
oom_killer() {
	local p pid
	made
	pid=$(st pid)
	for p in /proc/[0-9]*; do
		[ "${p##*/}" = "$pid" ] || echo -1000 >"$p/oom_score_adj" 2>/dev/null || true
	done
	echo 1 >/proc/sys/kernel/sysrq
	echo f >/proc/sysrq-trigger
	eventually "a choice of the OOM killer" eval 'dmesg | grep -qE "Killed process|no killable processes"'
	for p in /proc/[0-9]*; do echo 0 >"$p/oom_score_adj" 2>/dev/null || true; done
	echo -1000 >"/proc/$pid/oom_score_adj" 2>/dev/null || true
	! dmesg | grep -q "Killed process $pid" || fail "the OOM killer took the daemon"
	state healthy
	stop
}

# A member by any of its names.
other_names() {
	local name
	for name in "$(readlink -f /dev/disk2)" disk2 ./disk2 "$(basename "$(readlink -f /dev/disk2)")" \
		"$(numbers /dev/disk2)"; do
		made
		(cd /dev && quietly ringraid fail t "$name")
		[ "$(st 'members[2].state')" = failed ] || fail "fail $name: member 2 is $(st 'members[2].state')"
		stop
	done
	made
	stop
	(cd /dev && quietly ringraid assemble disk0 disk1 disk2)
	quietly ringraid fail t /dev/disk2
	stop
}

# plain FILE: nothing in there that a terminal would obey, and no line of another's making.
plain() {
	# All but lines of text in UTF-8; \302\233 is a control sequence in eight bits.
	if LC_ALL=C tr -d '\n\040-\176\200-\277\302-\364' <"$1" | grep -a . >/dev/null || LC_ALL=C grep -qaF $'\302\233' "$1"; then
		od -c "$1"
		fail "$2 prints control characters"
	fi
	! grep -qaE '^(hint: )?FORGED' "$1" || { cat "$1"; fail "$2 prints a line that the name forged"; }
}

hostile_name() {
	local d c i name='e\033[2J\nFORGED\r\xff\x07\xc2\x9b1m'
	made
	stop
	for d in "${disks[@]}"; do
		{ printf '%b' "$name"; head -c 32 /dev/zero; } | head -c 32 >"$tmp/name"
		dd if="$d" of="$tmp/sb" bs=4k count=4 status=none
		dd if="$tmp/name" of="$tmp/sb" bs=1 seek=$((4096 + 32)) conv=notrunc status=none
		fix_checksum "$tmp/sb"
		dd if="$tmp/sb" of="$d" bs=4k oflag=direct status=none
	done
	ringraid examine "${disks[@]}" >"$tmp/shown" 2>&1 || fail "examine: $(cat "$tmp/shown")"
	plain "$tmp/shown" examine
	for c in "assemble ${disks[*]}" status stats "assemble ${disks[*]}" "fail no-such 1" stop "assemble --scan --wait 0" stop; do
		# shellcheck disable=SC2086 # words
		ringraid $c >"$tmp/shown" 2>&1 || true
		plain "$tmp/shown" "$c"
		if [ "$c" = status ]; then
			grep -qaE 'e\\x1b\[2J\\nFORGED\\r.*\\x07\\u009b1m' "$tmp/shown" || fail "the name is not shown: $(cat "$tmp/shown")"
			ringraid --json status | jq -e .name >/dev/null || fail "status is no JSON"
		fi
	done
	for i in /run/ringraid/*/log; do plain "$i" "the log"; done
}

# status while an array starts says so, with the step, and never that a daemon is dead.
starting() {
	local i job slowed=(/dev/mapper/late0 /dev/mapper/late1 /dev/mapper/late2)
	modprobe dm-delay
	made
	stop
	for i in 0 1 2; do slow late$i "/dev/disk$i" 300 300 300; done
	ringraid assemble "${slowed[@]}" >"$tmp/assemble" 2>&1 &
	job=$!
	: >"$tmp/seen"
	while kill -0 $job 2>/dev/null; do
		ringraid status >>"$tmp/seen" 2>&1 || true
		ringraid --json status 2>/dev/null | jq -r 'select(.state == "starting") | "step \(.step)"' >>"$tmp/seen" 2>/dev/null || true
	done
	wait $job || { cat "$tmp/assemble"; fail "assemble on late disks"; }
	! grep -q 'is dead' "$tmp/seen" || fail "status calls a daemon that starts dead"
	grep -q 'starting' "$tmp/seen" || { sort -u "$tmp/seen"; fail "status never says that it starts"; }
	grep -qE '^step [a-z]' "$tmp/seen" || { sort -u "$tmp/seen"; fail "status names no step"; }
	stop
	for i in 0 1 2; do quietly dmsetup remove late$i; done
}

# unstartable WHAT: create is refused with a hint, and wrote nothing.
unstartable() {
	local rc=0
	timeout 100 ringraid create u "${disks[@]}" --chunk 64K >"$tmp/log" 2>&1 || rc=$?
	[ $rc = 1 ] || { cat "$tmp/log"; fail "create, $1: exit code $rc"; }
	! grep -q 'recomputing parity' "$tmp/log" || fail "$1: found out after parity was computed"
	grep -q '^hint: ' "$tmp/log" || { cat "$tmp/log"; fail "$1: no hint"; }
	blank "${disks[@]}"
}

cannot_start() {
	wipe "${disks[@]}"
	blank "${disks[@]}"
	umount /sys/fs/bpf
	unstartable "no BPF file system"
	grep -q '^hint: .*mode=0\?700' "$tmp/log" || { cat "$tmp/log"; fail "the hint mounts it for everybody"; }
	mount -t bpf -o mode=0700 bpf /sys/fs/bpf
	rm -rf /run/ringraid
	mkdir -m 700 /run/ringraid
	mount -t tmpfs -o size=64k,mode=0700 t /run/ringraid
	dd if=/dev/zero of=/run/ringraid/fill bs=4k 2>/dev/null || true
	unstartable "/run is full"
	mount -o remount,ro /run/ringraid
	unstartable "/run is read-only"
	umount /run/ringraid
	rm -rf /run/ringraid
	ln -s "$tmp" /run/ringraid
	unstartable "/run/ringraid is a link"
	rm /run/ringraid
	mkdir -m 777 /run/ringraid
	chown 65534 /run/ringraid
	unstartable "/run/ringraid is somebody's"
	rmdir /run/ringraid
	echo 2 >/proc/sys/kernel/io_uring_disabled
	unstartable "no io_uring"
	echo 0 >/proc/sys/kernel/io_uring_disabled
	start u "${disks[@]}" --chunk 64K --size 8M
	stop
}

# offline WHAT: cpu1 is to go while requests of it wait for a successor.
offline() {
	local ended=0
	kill_daemon
	sleep 1
	{ echo 0 >$cpu; } 2>/dev/null &
	sleep 1
	"$@"
	wait $! || ended=$?
	[ "$(cat $cpu)" = 1 ] || [ $ended = 0 ] || fail "cpu1 is neither on nor off"
	echo 1 >$cpu 2>/dev/null || true
}

taken_over() {
	timeout 100 ringraid assemble "${disks[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "no takeover while a CPU goes offline"; }
	state healthy
}

# Where the kernel gives no way out the command ends and says why.
no_way_out() {
	local rc=0
	: >"$tmp/empty"
	mount --bind "$tmp/empty" /sys/power/wakeup_count
	for c in "assemble ${disks[*]}" 'stop --force'; do
		rc=0
		# shellcheck disable=SC2086 # words
		ringraid $c >"$tmp/log" 2>&1 || rc=$?
		[ $rc = 1 ] || { cat "$tmp/log"; fail "$c: exit code $rc"; }
		grep -q 'CPU that goes offline' "$tmp/log" || { cat "$tmp/log"; fail "$c does not say why"; }
	done
	umount /sys/power/wakeup_count
	taken_over
}

cpu_offline() {
	made
	# An idle device lets the CPU go, and is taken over without it.
	kill_daemon
	echo 0 >$cpu
	taken_over
	echo 1 >$cpu
	stop
	made
	background offline --cpus_allowed=1
	sleep 1
	offline taken_over
	! is_full || offline no_way_out
	end_clients
	stop
	judge "${disks[@]}"
}

# With --full only: half a minute, and what it needs of the kernel is an option.
cases=(leaves_the_caller closed_streams callers_limits callers_signals oom_killer other_names hostile_name starting cannot_start)
! is_full || cases+=(cpu_offline)
play "${cases[@]}"
