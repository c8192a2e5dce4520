#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# demo-guest.sh CUT TREE SUMS DISK DISK DISK DISK SPARE: what the demo shows, in a VM
# or on the machine itself. Every step is checked; the first one that fails ends it.
#
# TREE is copied onto the array, SUMS has its checksums. A disk is lost, a spare takes its
# place by itself, and in the middle of that all stops:
#
#   CUT = power   the machine resets, as when the power goes
#   CUT = after   the second boot: what the first one left
#   CUT = kill    both in one: kill -9 of the daemon, which a machine survives
#
# In the end md judges the disks: a check counts the stripes whose parity is not right,
# and it reads what ringraid wrote.
set -euo pipefail
export LC_ALL=C
cut=$1 tree=$2 sums=$3
shift 3
disks=("${@:1:4}")
spare=$5
lost=2
name=demo
mnt=$(mktemp -d)
tmp=$(mktemp -d)
trace=/sys/kernel/tracing/instances/ringraid-$$
tracing=no
md=''
began=${RINGRAID_DEMO_BEGAN:-$(date +%s)}

# step WORDS...: a line with the seconds since the demo began, host and guest alike.
step() { printf '%4d s  %s\n' $(($(date +%s) - began)) "$*"; }
fail() { step "FAILED: $*"; exit 1; }

# quietly COMMAND...: its output is shown only when it fails.
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }

# progress PID COMMAND...: a line with COMMAND's output every five seconds.
progress() {
	local pid=$1 n=0
	shift
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		n=$((n + 1))
		[ $((n % 25)) -ne 0 ] || step "  $("$@")"
	done
	wait "$pid"
}

# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup() {
	local code=$?
	trap - EXIT
	set +e
	umount "$mnt" 2>/dev/null
	ringraid status "$name" >/dev/null 2>&1 || [ $? = 4 ] || ringraid stop "$name" --force >/dev/null 2>&1
	[ -z "$md" ] || mdadm --stop "$md" >/dev/null 2>&1
	if [ $tracing = yes ]; then
		echo 0 >"$trace/events/raw_syscalls/sys_enter/enable"
		rmdir "$trace"
	fi
	rm -rf -- "$mnt" "$tmp"
	exit $code
}
trap cleanup EXIT

# The member disks as a person calls them.
short() { printf '%s' "${1#/dev/}"; }

stat_of() { jq -r ".$1" "$tmp/$2"; }
stats() { ringraid --json stats "$name" >"$tmp/$1"; }
grown() { echo $(($(stat_of "$1" after) - $(stat_of "$1" before))); }

# The exit code of status tells of its health.
status_json() { ringraid --json status "$name" || [ $? -le 2 ]; }
device() { status_json | jq -r .block_device; }

# start_counting: system calls that the daemon's threads make from now on.
start_counting() {
	local pid filter='' tid
	[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
	mkdir "$trace" 2>/dev/null || return 0
	tracing=yes
	pid=$(status_json | jq -r .pid)
	for tid in /proc/"$pid"/task/*; do filter+="${filter:+ || }common_pid == ${tid##*/}"; done
	ringraid --json status "$name" | jq -r '.queue_threads[].tid' >"$tmp/queues"
	echo "hist:keys=common_pid,id if $filter" >"$trace/events/raw_syscalls/sys_enter/trigger"
}

# stop_counting: the counts so far, as lines "TID COUNT".
stop_counting() {
	[ $tracing = yes ] || return 0
	sed -nE 's/.*common_pid: *([0-9]+),.*hitcount: *([0-9]+).*/\1 \2/p' \
		"$trace/events/raw_syscalls/sys_enter/hist" >"$tmp/calls"
	echo '!hist:keys=common_pid,id' >"$trace/events/raw_syscalls/sys_enter/trigger" 2>/dev/null || true
}

# calls_of queue|control: system calls of the one or the other kind of thread.
calls_of() {
	[ $tracing = yes ] || { echo 'not counted'; return; }
	awk -v want="$1" 'NR == FNR { queue[$1] = 1; next }
		(want == "queue") == ($1 in queue) { n += $2 } END { print n + 0 }' "$tmp/queues" "$tmp/calls"
}

mounted_kib() { df -k "$mnt" | awk 'END { print $(NF - 3) }'; }
copied() {
	local n=$((($(mounted_kib) - empty_kib) / 1024))
	echo "$((n < mib ? n : mib)) of $mib MiB"
}
job() { status_json | jq -r ".job.now.$1"; }
job_line() { (ringraid status "$name" || true) | sed -n 's/^ *job : //p'; }
# The files that were read, and how far the rebuild is.
both() { echo "$(verified); $(job_line)"; }
verified() { echo "$(wc -l <"$tmp/ok") of $files files"; }

# verify_files WHERE: every file of the array against its checksum, from the disks.
verify_files() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	: >"$tmp/ok"
	(cd "$mnt" && exec sha256sum -c "$sums") >"$tmp/ok" 2>"$tmp/log" &
	progress $! verified || { grep -v ': OK$' "$tmp/ok" | head; cat "$tmp/log"; fail "checksums differ"; }
	[ "$(grep -c ': OK$' "$tmp/ok")" = "$files" ] || fail "only $(grep -c ': OK$' "$tmp/ok") of $files files"
	step "all $files checksums equal, $1"
}

free_md() {
	local n=100
	while [ -e "/sys/block/md$n" ]; do n=$((n + 1)); done
	echo "/dev/md$n"
}

md_done() {
	awk -v d="$(cat "/sys/block/${md#/dev/}/md/sync_completed")" \
		'BEGIN { n = split(d, p, " / "); print n == 2 ? int(p[1] * 100 / p[2]) " %" : "starting" }'
}
md_action() { cat "/sys/block/${md#/dev/}/md/sync_action"; }
md_busy() { while [ "$(md_action)" != idle ]; do sleep 0.2; done; }

md_check() {
	local found
	echo check >"/sys/block/${md#/dev/}/md/sync_action"
	md_busy &
	progress $! md_done
	found=$(cat "/sys/block/${md#/dev/}/md/mismatch_cnt")
	[ "$found" = 0 ] || fail "md check found $found sectors with wrong parity"
	step "md check: 0 mismatches, $1"
}

md_stop() {
	quietly mdadm --stop "$md"
	md=''
}

# settle: no job runs any more.
settle() {
	ringraid wait "$name" >"$tmp/wait" 2>&1 &
	progress $! job_line || { cat "$tmp/wait"; fail "ringraid wait"; }
}

table() {
	row() { printf '        %-42s %10s   %s\n' "$@"; }
	echo
	echo "        Which part ran where, while $mib MiB were copied ($copy_s s):"
	row 'client requests answered' $(($(grown reads) + $(grown writes) + $(grown flushes))) 'by the BPF program'
	row 'member I/Os and copies submitted' "$(grown sqes)" 'by the BPF program'
	row 'times the kernel ran the program' "$(grown steps)" 'in the kernel'
	row 'parity computed' "$(($(grown xor_bytes) >> 20)) MiB" 'XOR in the BPF program'
	row 'system calls of its queue threads' "$(calls_of queue)" 'all of them, by tracepoint'
	row 'system calls of its control threads' "$(calls_of control)" 'they look around, and move no data'
	echo
	local calls
	calls=$(calls_of queue)
	[ "$calls" = 'not counted' ] || [ "$calls" -le 10 ] || fail "the daemon made $calls system calls for I/O"
	[ "$(grown sqes)" -gt 0 ] || fail "the BPF program submitted nothing"
}

# Made, filled, and a disk of it lost.
first() {
	step "create: RAID5 on ${#disks[@]} disks; it serves at once, its first parity is made meanwhile"
	quietly ringraid create "$name" "${disks[@]}" --engine bpf --clean-after 1
	block=$(device)
	quietly ringraid add "$name" "$spare"
	step "$block is there, served by the $(status_json | jq -r .engine) engine, with a spare"

	step "mkfs.ext4, mount, copy a tree: $files files, $mib MiB"
	# Nothing of it writes by itself later: the power is to go while nobody does.
	quietly mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$block"
	mount -o noatime "$block" "$mnt"
	empty_kib=$(mounted_kib)
	stats before
	start_counting
	copy_start=$SECONDS
	(cp -a "$tree/." "$mnt/" && sync) &
	progress $! copied || fail "cp"
	stop_counting
	copy_s=$((SECONDS - copy_start))
	stats after
	step "copied and synced"
	table
	settle
	step "parity is right"

	# Slow enough that something is left when the files are read.
	quietly ringraid set "$name" sync-min=1 sync-max=$(($(status_json | jq .size_bytes) / 3 / 1024 / 60))
	step "fail $(short "${disks[lost]}"): the spare takes its place by itself; all files are read meanwhile"
	quietly ringraid fail "$name" "${disks[lost]}"
	until [ "$(job kind)" = rebuild ]; do sleep 0.1; done
	(until [ "$(job percent | cut -d. -f1)" -ge 60 ]; do sleep 0.5; done 2>/dev/null; ringraid pause "$name" >/dev/null 2>&1) &
	waiting=$!
	verify_files "while $(short "$spare") is filled"
	until [ "$(job percent | cut -d. -f1)" -ge 30 ]; do sleep 0.2; done
	kill $waiting 2>/dev/null || true
	until [ "$(status_json | jq .clean)" = true ]; do sleep 0.2; done
	ringraid resume "$name" >/dev/null 2>&1 || true
	step "nobody writes: the superblocks are clean; $(job_line)"
	[ "$(job kind)" = rebuild ] || fail "the rebuild is over: nothing is cut off"
}

# What is there afterwards.
second() {
	block=$(device)
	step "the array is back, and the rebuild goes on from there"
	ringraid set "$name" sync-max=0 >/dev/null
	[ "$cut" = kill ] || mount -o noatime "$block" "$mnt"
	settle
	[ "$(status_json | jq -r .state)" = healthy ] || fail "the array is not whole"
	step "rebuilt"
	verify_files "read from the array"
	quietly ringraid check "$name" --wait
	step "check: $(status_json | jq .job.last.mismatch_sectors) mismatches"

	umount "$mnt"
	quietly ringraid stop "$name"
	disks[lost]=$spare
	md=$(free_md)
	quietly mdadm --assemble "$md" "${disks[@]}"
	step "stopped; md takes the disks, the spare as one of them"
	md_check "all ${#disks[@]} disks"
	quietly e2fsck -fn "$md"
	mount -o ro "$md" "$mnt"
	verify_files "read by md"
	umount "$mnt"
	md_stop
	step "PASS: a disk lost, a rebuild cut off, no byte lost, and md agrees"
}

files=$(wc -l <"$sums")
mib=$(($(du -sk "$tree" | cut -f1) / 1024))
modprobe raid456 2>/dev/null || true
step "Linux $(uname -r), $(grep -c ^processor /proc/cpuinfo) CPUs; disks: $(for d in "${disks[@]}" "$spare"; do printf '%s ' "$(short "$d")"; done)"
[ "$cut" = after ] || first
case $cut in
power)
	step "the power goes"
	echo b >/proc/sysrq-trigger
	sleep 60
	fail "the machine did not reset"
	;;
kill)
	step "kill -9 of the daemon"
	kill -9 "$(status_json | jq .pid)"
	;;
esac
# md's recovery_offset, in sectors.
filled=$(dd if="$spare" bs=8 skip=$(((4096 + 152) / 8)) count=1 status=none | od -An -tu8 | tr -d ' ')
step "by its superblock $(short "$spare") is filled up to $((filled >> 11)) MiB"
[ "$filled" -gt 0 ] || fail "there is no checkpoint"
rc=0
ringraid assemble "${disks[@]}" "$spare" >"$tmp/log" 2>&1 || rc=$?
[ $rc -le 1 ] || { cat "$tmp/log"; fail "assemble"; }
second
