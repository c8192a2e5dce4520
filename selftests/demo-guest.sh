#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# demo-guest.sh TREE SUMS DISK DISK DISK DISK: what the demo shows, in a VM or
# on the machine itself. Every step is checked; the first one that fails ends it.
#
# TREE is copied onto the array, SUMS has its checksums. md judges the disks
# twice: healthy, where only it can tell whether our parity is right (a check
# counts the stripes whose parity is not), and degraded, after what was written
# without the lost disk.
set -euo pipefail
export LC_ALL=C
tree=$1 sums=$2
shift 2
disks=("$@")
lost=2
name=demo$$
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

device() { ringraid --json status "$name" | jq -r .block_device; }

# start_counting: system calls that the daemon's threads make from now on.
start_counting() {
	local pid filter='' tid
	[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
	mkdir "$trace" 2>/dev/null || return 0
	tracing=yes
	pid=$(ringraid --json status "$name" | jq -r .pid)
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
resynced() { tail -n1 "$tmp/log" | sed 's/^ringraid: //'; }
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

files=$(wc -l <"$sums")
mib=$(($(du -sk "$tree" | cut -f1) / 1024))
modprobe raid456 2>/dev/null || true

step "Linux $(uname -r), $(grep -c ^processor /proc/cpuinfo) CPUs; disks: $(for d in "${disks[@]}"; do printf '%s ' "$(short "$d")"; done)"
step "create: RAID5 on ${#disks[@]} disks, parity made valid first"
ringraid create "$name" "${disks[@]}" --engine bpf >"$tmp/log" 2>&1 &
progress $! resynced || { cat "$tmp/log"; fail create; }
block=$(device)
step "$block is there, served by the $(ringraid --json status "$name" | jq -r .engine) engine"

step "mkfs.ext4 and mount"
quietly mkfs.ext4 -q "$block"
mount "$block" "$mnt"
empty_kib=$(mounted_kib)

step "copy a tree: $files files, $mib MiB"
stats before
start_counting
copy_start=$SECONDS
(cp -a "$tree/." "$mnt/" && sync) &
progress $! copied || fail "cp"
stop_counting
copy_s=$((SECONDS - copy_start))
stats after
step "copied and synced"

umount "$mnt"
quietly ringraid stop "$name"
step "stopped; md takes the same disks, healthy"
md=$(free_md)
quietly mdadm --assemble "$md" "${disks[@]}"
md_check "parity as ringraid wrote it"
md_stop

quietly ringraid assemble "${disks[@]}" --engine bpf
block=$(device)
mount "$block" "$mnt"
step "ringraid has the disks back; fail $(short "${disks[lost]}")"
quietly ringraid fail "$name" "${disks[lost]}"
rc=0
ringraid status "$name" >"$tmp/log" || rc=$?
[ $rc = 1 ] || { cat "$tmp/log"; fail "status says $rc after a failure, not 1 (degraded)"; }
verify_files "without $(short "${disks[lost]}")"
echo "written while degraded" >"$mnt/degraded"
sync

umount "$mnt"
quietly ringraid stop "$name"
md=$(free_md)
kept=()
for i in "${!disks[@]}"; do [ "$i" = $lost ] || kept+=("${disks[i]}"); done
quietly mdadm --assemble --run "$md" "${kept[@]}"
step "stopped; md started the ${#kept[@]} disks that are left"
mount "$md" "$mnt"
verify_files "read by md"
[ "$(cat "$mnt/degraded")" = "written while degraded" ] || fail "md misses what was written degraded"
umount "$mnt"

step "give the lost disk back to md, which rebuilds it"
quietly mdadm --zero-superblock "${disks[lost]}"
quietly mdadm "$md" --add "${disks[lost]}"
while [ "$(md_action)" = idle ] && [ "$(cat "/sys/block/${md#/dev/}/md/degraded")" != 0 ]; do sleep 0.1; done
md_busy &
progress $! md_done
[ "$(cat "/sys/block/${md#/dev/}/md/degraded")" = 0 ] || fail "md did not rebuild"
md_check "all ${#disks[@]} disks"
quietly e2fsck -fn "$md"
step "e2fsck: clean"
md_stop

row() { printf '        %-42s %10s   %s\n' "$@"; }
echo
echo "        Which part ran where, while $mib MiB were copied ($copy_s s):"
row 'client requests answered' $(($(grown reads) + $(grown writes) + $(grown flushes))) 'by the BPF program'
row 'member I/Os and copies submitted' "$(grown sqes)" 'by the BPF program'
row 'times the kernel ran the program' "$(grown steps)" 'in the kernel'
row 'parity computed' "$(($(grown xor_bytes) >> 20)) MiB" 'XOR in the BPF program'
row 'system calls of its queue threads' "$(calls_of queue)" 'all of them, by tracepoint'
row 'system calls of its control threads' "$(calls_of control)" 'a look around once a second, and stats'
echo
queue_calls=$(calls_of queue)
[ "$queue_calls" = 'not counted' ] || [ "$queue_calls" -le 10 ] || fail "the daemon made $queue_calls system calls for I/O"
[ "$(grown sqes)" -gt 0 ] || fail "the BPF program submitted nothing"
step "PASS: a disk lost, no byte lost, and md agrees"
