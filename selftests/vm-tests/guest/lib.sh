# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest side of a VM test: verbs to start arrays, to load them, and to have
# md judge the disks. A verb that fails ends the test and shows the array.
# shellcheck shell=bash disable=SC2034 # variables of the test that sources this
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
export LC_ALL=C
tmp=$(mktemp -d)
seed=${SEED:-1}
level=${LEVEL:-normal}
RANDOM=$((seed % 32768))
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
modprobe raid456
block='' # of the array served by start or again
md=/dev/md0

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# What failed is said last, too: of a long report only the end may be left.
fail() {
	printf 'FAIL: %s\n' "$*"
	(
		set +e
		trap - ERR
		ringraid status && ringraid stats | grep -v ' : 0$'
		ringraid status >/dev/null || ringraid stats | grep -v ' : 0$'
		tail -n 20 /run/ringraid/*/log
		cat /proc/mdstat
	) 2>&1 | sed 's/^/    /'
	printf 'FAIL: %s\n' "$*"
	exit 1
}

is_full() { [ "$level" = full ]; }

# quietly COMMAND...: its output is shown when it fails.
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }

# refused TEXT COMMAND...: COMMAND must fail and say TEXT (a regex).
refused() {
	local text=$1 rc=0
	shift
	"$@" >"$tmp/log" 2>&1 || rc=$?
	[ $rc -ne 0 ] || { cat "$tmp/log"; fail "not refused: $*"; }
	grep -qiE -e "$text" "$tmp/log" || { cat "$tmp/log"; fail "does not say '$text': $*"; }
}

# eventually WHAT COMMAND...: COMMAND comes true; two minutes are never too few for one thing.
patience=120
eventually() {
	local what=$1 end=$((SECONDS + patience))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "$what: never"
		sleep 0.2
	done
}

# disks COUNT: the first COUNT disks.
disks() {
	local i
	for ((i = 0; i < $1; i++)); do printf '/dev/disk%d ' $i; done
	echo
}

# copy FROM:TO...: disks, by number.
copy() {
	local c
	for c in "$@"; do
		quietly dd if="/dev/disk${c%:*}" of="/dev/disk${c#*:}" bs=1M iflag=direct oflag=direct status=none
	done
}

# wipe DISK...: as new, all zero.
wipe() {
	local d
	for d in "$@"; do
		blkdiscard -f -z "$d" 2>/dev/null || quietly dd if=/dev/zero of="$d" bs=1M oflag=direct status=none
	done
}

# play CASE...: the cases of a test, functions; those that $CASES names, if it names any.
play() {
	local c
	for c in ${CASES:-"$@"}; do
		"$c"
		say "$c"
	done
}

# half_of BIT WORD...: every other one, by that bit of the seed; of a full run all. The lowest
# chooses the engine, the next one the cases, and what a case chooses has another one.
half_of() {
	local n bit=$1 all=("${@:2}")
	for n in "${!all[@]}"; do
		if is_full || [ $((n % 2)) = $((seed >> bit & 1)) ]; then echo "${all[n]}"; fi
	done
}

# take_turns CASE...: plays half of them.
take_turns() {
	local some
	mapfile -t some < <(half_of 1 "$@")
	play "${some[@]}"
}

# keep DISK...: remembers their superblocks and what is around; kept: they are the same.
superblock() { dd if="$1" bs=64k count=4 iflag=direct status=none; }
keep() {
	local d
	for d in "$@"; do superblock "$d" >"$tmp/keep-${d##*/}"; done
}
kept() {
	local d
	for d in "$@"; do
		superblock "$d" | cmp -s - "$tmp/keep-${d##*/}" || fail "the superblock of $d was written"
	done
}

# blank DISK...: nothing was ever written there.
blank() {
	local d
	for d in "$@"; do
		dd if="$d" bs=1M iflag=direct status=none | cmp -s -n "$(blockdev --getsize64 "$d")" - /dev/zero ||
			fail "something was written to $d"
	done
}

# detach DISK: the disk is pulled; attach: all are there again, under their names.
detach() {
	echo 1 >"/sys/block/$(readlink "$1")/device/device/remove"
	eventually "$1 is gone" test ! -e "/sys/block/$(readlink "$1")"
}
attach() {
	local b i
	echo 1 >/sys/bus/pci/rescan
	for i in 0 1 2 3; do eventually "disk$i is back" named "$i"; done
}
named() {
	local b
	for b in /sys/block/nvme*; do
		[ "$(tr -d ' \n' <"$b/device/serial" 2>/dev/null)" != "disk$1" ] || { ln -sf "${b##*/}" "/dev/disk$1"; return 0; }
	done
	return 1
}

# numbers DISK: MAJOR:MINOR.
numbers() { printf '%d:%d\n' "0x$(stat -Lc %t "$1")" "0x$(stat -Lc %T "$1")"; }

# slow NAME DISK READ-MS WRITE-MS FLUSH-MS: /dev/mapper/NAME is DISK, but late.
slow() {
	local table
	table="0 $(blockdev --getsz "$2") delay $2 0 $3 $2 0 $4 $2 0 $5"
	if dmsetup info "$1" >/dev/null 2>&1; then
		quietly dmsetup load "$1" --table "$table"
		quietly dmsetup suspend "$1"
		quietly dmsetup resume "$1"
	else
		quietly dmsetup create "$1" --uuid "test-$1" --table "$table" # known by it when it is made anew
		quietly dmsetup mknodes "$1"
	fi
}

# Little-endian fields of the superblock at byte 4096.
get32() { dd if="$1" bs=1 skip=$((4096 + $2)) count=4 status=none | od -An -tu4 | tr -d ' '; }
put32() {
	local v=$3
	printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((v & 255)) $((v >> 8 & 255)) $((v >> 16 & 255)) $((v >> 24 & 255)))" |
		dd of="$1" bs=1 seek=$((4096 + $2)) conv=notrunc status=none
}

# The sum of the superblock's words, as md makes it.
fix_checksum() {
	local bytes=$((256 + 2 * $(get32 "$1" 220)))
	put32 "$1" 216 0
	put32 "$1" 216 "$(dd if="$1" bs=1 skip=4096 count=$bytes status=none | od -An -v -w4 -tu4 |
		awk -v n=$bytes '{ s += $1 } END { lo = s % 4294967296; hi = (s - lo) / 4294967296; printf "%.0f", (lo + hi) % 4294967296 }')"
}

# start NAME DISK... [OPTION...]: creates an array; then $block serves it.
start() {
	quietly ringraid create "$@"
	block=$(st block_device)
	[ -b "$block" ] || fail "create gave no block device: $block"
}

# again [OPTION...] DISK...: assembles. A degraded start is no failure here.
again() {
	local rc=0
	ringraid assemble "$@" >"$tmp/log" 2>&1 || rc=$?
	block=$(st block_device)
	if [ $rc -gt 1 ] || [ ! -b "$block" ]; then
		cat "$tmp/log"
		fail "assemble $*"
	fi
}

stop() { quietly ringraid stop; }

# is_dead PID: only its number is left, if that.
is_dead() { ! grep -qs '^State:' "/proc/$1/status" || grep -qs '^State:.*Z' "/proc/$1/status"; }

# kill_daemon: by kill -9; returns when its leader is gone.
kill_daemon() {
	local pid
	pid=$(st pid)
	kill -9 "$pid"
	until is_dead "$pid"; do sleep 0.02; done
}

# kill_daemon_wholly: its other threads, too, which close what they share.
kill_daemon_wholly() {
	local pid
	pid=$(st pid)
	kill_daemon
	eventually "the daemon's threads are gone" is_alone "$pid"
}

# is_alone PID: no thread of it is left but a zombie, its leader.
is_alone() { [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]; }

# st FIELD: of the status, as jq names it.
st() { (ringraid --json status 2>/dev/null || true) | jq -r ".$1"; }
counter() { ringraid --json stats | jq -r ".$1"; }
counts() { [ "$(counter "$1")" -gt "$2" ]; }
is_state() { [ "$(st state)" = "$1" ]; }
is_clean() { [ "$(st clean)" = true ]; }

# engines: one of the two has its turn.
engines() {
	local all=(bpf user)
	if is_full; then echo "${all[@]}"; else echo "${all[seed % 2]}"; fi
}

# job FIELD: of the one that runs; null: none does.
job() { st "job.now.$1"; }
is_idle() { [ "$(job kind)" = null ]; }
is_paused() { [ "$(job state)" = paused ]; }
is_past() { [ "$(job percent | cut -d. -f1)" -ge "$1" ] 2>/dev/null; }

# halfway: the job that the test's `slowly` begins waits at about half. go_on: no more.
halfway() {
	slowly
	quietly ringraid pause t
	eventually "it waits" is_paused
	[ "$(job percent | cut -d. -f1)" -lt 95 ] || fail "nothing is left to do"
}
go_on() {
	quietly ringraid set t sync-max=0
	quietly ringraid resume t
}

# told EVENT: how often the log tells of it.
told() { grep -c "event: $1 " "/run/ringraid/$(st uuid | tr : -)/log" || true; }

# state WANTED: the health in words and as exit code.
state() {
	local rc=0 want is
	ringraid status >"$tmp/log" 2>&1 || rc=$?
	case $1 in healthy) want=0 ;; degraded) want=1 ;; failed) want=2 ;; esac
	is=$(st state)
	if [ $rc != "$want" ] || [ "$is" != "$1" ]; then fail "the array is $is (exit code $rc), not $1"; fi
}

# queues COUNT: ublk gave as many as were asked for.
queues() {
	local made
	made=$(find "/sys/block/${block#/dev/}/mq" -mindepth 1 -maxdepth 1 -type d | wc -l)
	if [ "$made" != "$1" ] || [ "$(st queues)" != "$1" ]; then fail "$made queues instead of $1"; fi
}

# no_stream: the BPF programs have reported nothing (an access to an unmapped page).
no_stream() {
	[ -z "$(st 'program_errors // empty')" ] || fail "the BPF program reports: $(st program_errors)"
}

# load NAME FIO-OPTION...: fio over $block with verification; must find no error.
load() {
	local name=$1
	shift
	fio --name="$name" --filename="$block" --direct=1 --ioengine=libaio --randrepeat=1 \
		--randseed="$seed" --verify=crc32c --verify_fatal=1 --do_verify=1 \
		"$@" >"$tmp/fio" 2>&1 || { cat "$tmp/fio"; fail "fio $name"; }
	! grep -qiE 'verify:|bad (magic|header)|io_u error' "$tmp/fio" || { cat "$tmp/fio"; fail "fio $name"; }
}

# The mix of request sizes, 512 bytes to 4 MiB.
mix=512/14:1536/6:4k/30:20k/10:64k/15:192k/10:1m/10:4m/5

# client NAME DISK FIO-OPTION...: fio verify of a part of DISK that goes on until end_clients,
# however long the machine takes for what happens meanwhile.
declare -A clients=()
client() {
	fio --name="$1" --filename="$2" --direct=1 --ioengine=libaio --randrepeat=1 --randseed="$seed" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --verify_backlog=64 --rw=randrw \
		--time_based --runtime=30000 "${@:3}" >"$tmp/client.$1" 2>&1 &
	clients[$1]=$!
}

# background NAME [FIO-OPTION...]: a client between 32 and 80 MiB of $block.
background() {
	client "$1" "$block" --bssplit=$mix --iodepth=16 --numjobs=2 --size=24m --offset=32m --offset_increment=24m "${@:2}"
}

# busy: clients work, and have begun.
busy() {
	local before
	before=$(counter writes)
	background load
	eventually "clients write" counts writes $((before + 20))
}

# end_clients: none of them saw an error or a wrong byte.
end_clients() {
	local name rc said
	for name in "${!clients[@]}"; do
		rc=0
		said=$tmp/client.$name
		kill -INT "${clients[$name]}" 2>/dev/null || true
		wait "${clients[$name]}" || rc=$?
		# 128: it was interrupted, as it was to be, perhaps before the second job began.
		if [ $rc != 128 ] || ! grep -q 'err= 0' "$said" || grep -q 'err= *[1-9]' "$said" ||
			grep -qiE 'verify:|bad (magic|header)|io_u error' "$said"; then
			cat "$said"
			fail "client $name saw an error (fio: exit code $rc)"
		fi
	done
	clients=()
}

# take DISK...: md takes the disks, all of them, as $md.
take() {
	quietly mdadm --assemble "$md" "$@"
	[ "$(md_attr degraded)" = 0 ] || { cat "$tmp/log"; fail "md started degraded"; }
}

# take_degraded DISK...: all but one.
take_degraded() {
	quietly mdadm --assemble --run "$md" "$@"
	[ "$(md_attr degraded)" = 1 ] || { cat "$tmp/log"; fail "md is not degraded"; }
}

give() { quietly mdadm --stop "$md"; }

md_attr() { cat "/sys/block/${md#/dev/}/md/$1"; }
md_idle() {
	while [ "$(md_attr sync_action)" != idle ]; do sleep 0.1; done
}

# mismatches SECTORS [WHAT]: md reads every stripe, and in so many sectors parity is wrong.
mismatches() {
	[ "$(md_attr degraded)" = 0 ] || fail "md is degraded: nothing to check"
	md_idle
	echo check >"/sys/block/${md#/dev/}/md/sync_action"
	md_idle
	[ "$(md_attr mismatch_cnt)" = "$1" ] || fail "md check: $(md_attr mismatch_cnt) sectors with wrong parity, not $*"
}
check() { mismatches 0 "$@"; }

# judge DISK...: the disks of a stopped, healthy array.
judge() {
	take "$@"
	check "$*"
	give
}

# readd DISK: md rebuilds it.
readd() {
	quietly mdadm --zero-superblock "$1"
	quietly mdadm "$md" --add "$1"
	while [ "$(md_attr degraded)" != 0 ]; do sleep 0.1; done
	md_idle
}

# same A B: byte for byte; block devices are read afresh.
same() { cmp "$1" "$2" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$1 and $2 differ${3:+: $3}"; }; }

data_offset=2048 # of the members, in sectors

# offset_of DISK: where a member's data begins, in sectors.
offset_of() { echo $(($(ringraid --json examine "$1" | jq '.devices[0].data_offset_bytes') / 512)); }

# place ROLE SECTOR MEMBERS CHUNK-KIB: where that sector of a member is in a
# left-symmetric array, in sectors; "parity" where it holds parity.
place() {
	local role=$1 n=$3 chunk=$(($4 * 2)) offset stripe parity
	offset=$(($2 - data_offset))
	stripe=$((offset / chunk))
	parity=$((n - 1 - stripe % n))
	if [ $parity = "$role" ]; then
		echo parity
	else
		echo $(((stripe * (n - 1) + (role - parity - 1 + n) % n) * chunk + offset % chunk))
	fi
}

# fill: random data all over the array; $tmp/ref has the same.
fill() {
	dd if=/dev/urandom of="$tmp/ref" bs=1M count=$(($(blockdev --getsize64 "$block") >> 20)) status=none
	truncate -s "$(blockdev --getsize64 "$block")" "$tmp/ref"
	quietly dd if="$tmp/ref" of="$block" bs=1M oflag=direct conv=fsync status=none
}

# write_at SECTOR COUNT: new random data there, on the array and in $tmp/ref.
write_at() {
	dd if=/dev/urandom of="$tmp/new" bs=512 count="$2" status=none
	quietly dd if="$tmp/new" of="$block" bs=$(($2 * 512)) count=1 seek=$(($1 * 512)) oflag=direct,seek_bytes status=none
	dd if="$tmp/new" of="$tmp/ref" bs=512 seek="$1" conv=notrunc status=none
}

# read_all: every byte of the array is what was written.
read_all() {
	quietly dd if="$block" of="$tmp/got" bs=1M iflag=direct status=none
	same "$tmp/ref" "$tmp/got" "$*"
	rm -f "$tmp/got"
}

# initiator: the guest's of iSCSI, which logs in by hand.
initiator() {
	mkdir -p /etc/iscsi /run/lock
	echo InitiatorName=iqn.2026-01.org.example:me >/etc/iscsi/initiatorname.iscsi
	printf 'node.startup = manual\n' >/etc/iscsi/iscsid.conf
	iscsid
}
