# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest side of a figure: members, competitors, and what is recorded of a run.
#
# A competitor is brought up by `up NAME` on $members, which sets $block, the
# device to load, and is taken down by `down`. All use the same members, one
# after the other; what is on them does not matter, so parity is assumed to be
# right. Results go to /out: runs.jsonl has a line for each run, and
# /out/RUN-N/ what was recorded of it, as the kernel prints it.
# shellcheck shell=bash disable=SC2034 # variables of the figure that sources this
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
export LC_ALL=C
tools=/bench/tools
tmp=$(mktemp -d)
tracing=/sys/kernel/tracing
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
cpus=$(grep -c ^processor /proc/cpuinfo)
members=() competitor='' block='' daemon=''
chunk_kib=64
md=/dev/md0
runs=0
since=0   # runs since the competitor came up: the seed, the same for all of them
windows=0 # that bench_load has opened so far, in this boot

say() { printf "%s\n" "$*"; }
fail() { printf 'FAIL: %s\n' "$*"; dmesg | tail -n 5; exit 1; }
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }

# members_null COUNT MIB [NS [FIRST]]: memory-backed, so what is measured is software; with NS
# each request takes so long by the guest's clock. FIRST is the number of the first.
members_null() {
	local i d
	modprobe null_blk nr_devices=0
	mount -t configfs none /sys/kernel/config 2>/dev/null || true
	for ((i = ${4:-0}; i < ${4:-0} + $1; i++)); do
		d=/sys/kernel/config/nullb/nullb$i
		mkdir "$d"
		echo 1 >"$d/memory_backed"
		echo "$2" >"$d/size"
		echo 4096 >"$d/blocksize"
		echo "$cpus" >"$d/submit_queues"
		echo 2 >"$d/queue_mode"
		[ -z "${3:-}" ] || { echo 2 >"$d/irqmode"; echo "$3" >"$d/completion_nsec"; }
		echo 1 >"$d/power"
		members+=("/dev/nullb$i")
	done
	fill_members "$2"
}

# members_disks COUNT MIB: the disks that QEMU gave.
members_disks() {
	local i
	for ((i = 0; i < $1; i++)); do members+=("$(readlink -f "/dev/disk$i")"); done
	fill_members "$2"
}

# no_scheduler DEVICE: the default differs with the number of queues.
no_scheduler() {
	local f=/sys/block/${1#/dev/}/queue/scheduler
	[ ! -e "$f" ] || echo none >"$f"
}

# What was never written is not read from the medium.
fill_members() {
	local m
	for m in "${members[@]}"; do
		no_scheduler "$m"
		quietly dd if=/dev/zero of="$m" bs=1M count="$1" oflag=direct
	done
}

# ringraid_up ENGINE [OPTION...]
ringraid_up() {
	local engine=$1
	shift
	quietly ringraid create bench "${members[@]}" --force --assume-clean --chunk ${chunk_kib}K --engine "$engine" --clean-after 0 "$@"
	ringraid --json status bench >"$tmp/status"
	block=$(jq -r .block_device "$tmp/status")
	daemon=$(jq -r .pid "$tmp/status")
}

# md_up POLICY
md_up() {
	modprobe raid456
	quietly mdadm --create $md --run --level=5 --raid-devices=${#members[@]} --chunk=$chunk_kib \
		--assume-clean --consistency-policy="$1" "${members[@]}"
	block=$md
	daemon=$(grep -lx "${md#/dev/}_raid5" /proc/[0-9]*/comm | cut -d/ -f3)
}

md_tune() {
	local d=/sys/block/${md#/dev/}/md
	echo "$cpus" >"$d/group_thread_cnt"
	echo 4096 >"$d/stripe_cache_size"
	echo 1 >"$d/skip_copy"
}

floor_up() {
	local i
	"$tools/bench_floor" "$1" "$2" "$cpus" 64 >"$tmp/floor" 2>&1 &
	daemon=$!
	for ((i = 0; i < 200; i++)); do
		block=$(cat "$tmp/floor")
		[ ! -b "${block:-/}" ] || return 0
		sleep 0.05
	done
	fail "floor $1: $block"
}

up() {
	local queues
	competitor=$1
	since=0
	case $1 in
	raw) block=${members[0]} daemon='' ;;
	md) md_up resync ;;
	md-tuned) md_up resync; md_tune ;;
	md-bitmap) md_up bitmap; md_tune ;;
	md-ppl) md_up ppl; md_tune ;;
	bpf | user) ringraid_up "$1" --consistency bitmap ;;
	bpf-xor)
		quietly insmod /bench/uring_bpf_xor.ko
		ringraid_up bpf --consistency bitmap
		ringraid --json status | jq -e '.xor == "the kernel'\''s uring_bpf_xor"' >/dev/null ||
			fail "parity is computed by $(ringraid --json status | jq -r .xor)"
		;;
	bpf-nvme) ringraid_up bpf --consistency bitmap --passthrough ;;
	bpf-resync) ringraid_up bpf --no-bitmap ;;
	bpf-bitmap) ringraid_up bpf --consistency bitmap ;;
	bpf-ppl) ringraid_up bpf --consistency ppl ;;
	null) floor_up null "$(blockdev --getsize64 "${members[0]}")" ;;
	linear) floor_up linear "${members[0]}" ;;
	*) fail "no competitor $1" ;;
	esac
	no_scheduler "$block"
	# Of ublk's devices: null_blk has one more, for polling.
	queues=(/sys/block/"${block#/dev/}"/mq/*)
	[[ $block != /dev/ublkb* ]] || [ ${#queues[@]} -le "$cpus" ] || fail "$1 has ${#queues[@]} queues, the VM $cpus CPUs"
	# One member is smaller than an array.
	span=$(blockdev --getsize64 "$block")
	[ "$span" -le "$span_most" ] || span=$span_most
	# What the one before left behind is tidied up later, in somebody's time.
	sleep 1
}

# degrade: the first member is lost, for those that can bear it.
degrade() {
	case $competitor in
	md*) quietly mdadm $md --fail "${members[0]}" ;;
	bpf* | user) quietly ringraid fail bench 0 ;;
	*) return 1 ;;
	esac
}

down() {
	case $competitor in
	md*) quietly mdadm --stop $md ;;
	bpf* | user) quietly ringraid stop bench ;;
	null | linear) kill "$daemon"; wait "$daemon" 2>/dev/null || true ;;
	esac
	daemon=''
	[ "$competitor" != bpf-xor ] || remove_module uring_bpf_xor
}

# A program holds the module until its ring is gone, which takes a moment.
remove_module() {
	local i
	for ((i = 0; i < 100; i++)); do
		! rmmod "$1" 2>"$tmp/log" || return 0
		sleep 0.1
	done
	cat "$tmp/log"
	fail "something holds the module $1"
}

stripe_bytes() { echo $(((${#members[@]} - 1) * chunk_kib * 1024)); }

# Far more than md's stripe cache holds, and a seed of its own for each run: or
# md would find in it what an earlier run has read.
span_most=$((360 << 20))
member_mib=128

# record WORKLOAD KEY VALUE...: a run begins: its directory is $run.
record() {
	local workload=$1
	shift
	run=/out/run-$runs
	mkdir -p "$run"
	printf '{"run":%d,"competitor":"%s","workload":"%s"' $runs "$competitor" "$workload" >>/out/runs.jsonl
	while [ $# -gt 0 ]; do
		printf ',"%s":%s' "$1" "$2" >>/out/runs.jsonl
		shift 2
	done
	echo '}' >>/out/runs.jsonl
	runs=$((runs + 1))
	since=$((since + 1))
}

# The environment of all runs, once.
record_machine() {
	mkdir -p /out
	jq -n --arg kernel "$(uname -r)" --argjson cpus "$cpus" \
		--argjson members "$(printf '%s\n' "${members[@]}" | jq -R . | jq -s .)" \
		'{kernel: $kernel, cpus: $cpus, members: $members}' >/out/machine.json
}

# snapshot WHEN: the kernel's counters and the array's own, before or after.
snapshot() {
	local t
	cat /proc/diskstats >"$run/diskstats.$1"
	cat /proc/stat >"$run/stat.$1"
	: >"$run/tasks.$1"
	if [ -n "$daemon" ]; then
		for t in /proc/"$daemon"/task/*; do
			# It may end meanwhile.
			printf '%s ' "${t##*/}"
			awk '/ctxt_switches/ { n += $2 } END { print n + 0 }' "$t/status" 2>/dev/null || echo 0
		done >"$run/tasks.$1"
	fi
	case $competitor in bpf* | user) ringraid --json stats bench >"$run/stats.$1" ;; esac
}

# count_begin, count_end: system calls and wake-ups of the daemon's tasks.
count_begin() {
	local t calls='' wakes=''
	[ -n "$daemon" ] || return 0
	for t in /proc/"$daemon"/task/*; do
		calls+="${calls:+ || }common_pid == ${t##*/}"
		wakes+="${wakes:+ || }pid == ${t##*/}"
	done
	echo "hist:keys=common_pid if $calls" >$tracing/events/raw_syscalls/sys_enter/trigger
	echo "hist:keys=pid if $wakes" >$tracing/events/sched/sched_wakeup/trigger
}

count_end() {
	[ -n "$daemon" ] || { : >"$run/syscalls"; : >"$run/wakeups"; return 0; }
	cat $tracing/events/raw_syscalls/sys_enter/hist >"$run/syscalls"
	cat $tracing/events/sched/sched_wakeup/hist >"$run/wakeups"
	echo '!hist:keys=common_pid' >$tracing/events/raw_syscalls/sys_enter/trigger
	echo '!hist:keys=pid' >$tracing/events/sched/sched_wakeup/trigger
}

# counted WORKLOAD KIND BYTES DEPTH REQUESTS [FLUSH-EVERY]: with all counters on.
counted() {
	local made
	record "$1" bytes "$3" depth "$4"
	count_begin
	snapshot before
	made=$("$tools/bench_load" "$block" "$2" "$3" "$4" 1 "$5" "$span" $since ${6:+"$6"})
	windows=$((windows + 1))
	snapshot after
	count_end
	echo "$made" >"$run/requests"
}

# instructions WORKLOAD KIND BYTES DEPTH REQUESTS: in a window of count.c, nothing else on.
instructions() {
	record "$1" bytes "$3" depth "$4" requests "$5" window "$windows"
	windows=$((windows + 1))
	"$tools/bench_load" "$block" "$2" "$3" "$4" $(($4 * 8)) "$5" "$span" $since >/dev/null
	grep -aE '\[(bpf|ublk_drv|null_blk|raid456|md_mod|async_.*|xor|uring_bpf_xor|nvme.*)\]' /proc/kallsyms >"$run/symbols" || true
}

# timed WORKLOAD TIME FIO-OPTION...
timed() {
	local name=$1 time=$2
	shift 2
	record "$name"
	fio --name="$name" --filename="$block" --direct=1 --ioengine=io_uring --size="$span" --randseed=$since \
		--time_based --runtime="$time" --ramp_time=0.5 --group_reporting --norandommap \
		--percentile_list=50:99:99.9 --output-format=json --output="$run/fio.json" "$@" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log"; fail "fio $name"; }
}

# interleave ROUNDS WORKLOADS [COMPETITOR...]: in each round every competitor
# once, so that whatever else the host does meets all of them. WORKLOADS is run
# with the competitor up, and degraded_WORKLOADS where it can lose a member.
interleave() {
	local rounds=$1 workloads=$2 round c competitors
	shift 2
	read -ra competitors <<<"${*:-raw md md-tuned md-ppl bpf bpf-xor user null linear}"
	for ((round = 1; round <= rounds; round++)); do
		for c in "${competitors[@]}"; do
			say "round $round of $rounds: $c"
			up "$c"
			"$workloads"
			if degrade; then "degraded_$workloads"; fi
			down
		done
	done
}
