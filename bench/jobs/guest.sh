#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The array's work on itself: alone, and with clients under the same limits.
. "${0%/*}/../lib/guest.sh"
mib=192
members_disks 4 "$mib"
record_machine
chunk_kib=512 # both sides' default
rounds=3
[ "$LEVEL" != quick ] || rounds=1
limit_kib=4096 # of each member a second, with clients
no_limit_kib=10000000

is_md() { [[ $competitor == md* ]]; }
md_attr() { cat "/sys/block/${md#/dev/}/md/$1"; }
set_md() { echo "$2" >"/sys/block/${md#/dev/}/md/$1"; }

# rates MIN MAX: KiB/s of each member.
rates() {
	if is_md; then
		set_md sync_speed_max "$2"
		set_md sync_speed_min "$1"
		set_md sync_speed_max "$2" # one above the other is refused, whichever is first
	else
		quietly ringraid set bench sync-min="$1" sync-max="$2"
	fi
}

# at_work: "DONE-KIB TOTAL-KIB" of each member; nothing: no job is at work.
at_work() {
	if is_md; then
		sed -n 's,.*= *[0-9.]*% (\([0-9]*\)/\([0-9]*\)) .*,\1 \2,p' /proc/mdstat
	else
		(ringraid --json status bench || true) | jq -r '.job.now // empty | "\(.done_sectors / 2 | floor) \(.total_sectors / 2)"'
	fi
}

now_us() { echo "${EPOCHREALTIME/./}"; }

# begun: waits until a job is at work, of which @done_kib KiB of @total are done at @since_us,
# in the middle of the question.
begun() {
	local at='' asked i
	for ((i = 0; i < 200; i++)); do
		asked=$(now_us)
		at=$(at_work)
		since_us=$(((asked + $(now_us)) / 2))
		[ -z "$at" ] || break
	done
	[ -n "$at" ] || fail "$competitor has no job"
	read -r done_kib total <<<"$at"
}

# Nothing is to be done any more. md takes a moment to begin what it does by itself.
over() {
	if is_md; then
		while [ "$(md_attr degraded)" != 0 ] || [ "$(md_attr sync_action)" != idle ]; do sleep 0.02; done
	else
		quietly ringraid wait bench
	fi
}

# took NAME COMMAND...: the rate of the job that COMMAND begins.
took() {
	local end
	record "$1"
	quietly "${@:2}"
	begun
	over
	end=$(now_us)
	echo "$((total - done_kib)) $((end - since_us))" >"$run/done"
	say "$competitor: $1: $(((total - done_kib) * 1000000 / (end - since_us))) KiB/s, $(((end - since_us) / 1000)) ms"
}

begin_check() {
	if is_md; then set_md sync_action check; else ringraid check bench; fi
}

# The first member goes, and is no member any more.
lose() {
	local i
	degrade
	if is_md; then
		for ((i = 0; i < 100; i++)); do
			! mdadm $md --remove "${members[0]}" >"$tmp/log" 2>&1 || break
			sleep 0.1
		done
		[ $i -lt 100 ] || { cat "$tmp/log"; fail "md holds ${members[0]}"; }
	else
		quietly ringraid remove bench "${members[0]}"
	fi
	quietly mdadm --zero-superblock "${members[0]}"
}
begin_rebuild() {
	if is_md; then mdadm $md --add "${members[0]}"; else ringraid add bench "${members[0]}"; fi
}

# busy NAME COMMAND: clients beside it.
busy() {
	local name=$1 from from_us
	rates $limit_kib $limit_kib
	quietly "$2"
	sleep 1
	begun
	from=$done_kib from_us=$since_us
	timed "$name" 6 --rw=randwrite --bs=4k --iodepth=16
	begun
	echo "$((done_kib - from)) $((since_us - from_us))" >"$run/done"
	say "$competitor: $name: $(((done_kib - from) * 1000000 / (since_us - from_us))) KiB/s, IOPS $(jq '.jobs[0].write.iops' "$run/fio.json")"
	rates 1000 $no_limit_kib
	over
}

jobs() {
	took check begin_check
	busy check-busy begin_check
	lose
	took rebuild begin_rebuild
	lose
	busy rebuild-busy begin_rebuild
}

# Parity that is right nowhere, whoever had the members before.
spoil() {
	local i
	[ -e "$tmp/random" ] || dd if=/dev/urandom of="$tmp/random" bs=1M count=16 status=none
	for ((i = 0; i < mib; i += 16)); do
		quietly dd if="$tmp/random" of="${members[3]}" bs=1M seek=$i count=$((mib - i)) oflag=direct
	done
}

create_md() {
	mdadm --create $md --run --level=5 --raid-devices=${#members[@]} --chunk=$chunk_kib \
		--bitmap=internal --force "${members[@]}"
	[ "$competitor" = md ] || md_tune
	rates 1000 $no_limit_kib
}
create_ringraid() {
	ringraid create bench "${members[@]}" --force --chunk ${chunk_kib}K --engine "$competitor" \
		--consistency bitmap
	rates 1000 $no_limit_kib
}

# array COMPETITOR: a new one, whose parity is computed.
array() {
	competitor=$1 since=0
	spoil
	if is_md; then
		took resync create_md
		block=$md
	else
		took resync create_ringraid
		block=$(ringraid --json status bench | jq -r .block_device)
	fi
	no_scheduler "$block"
	span=$(blockdev --getsize64 "$block")
}

# A disk that zeroes itself.
zeroes() {
	local begin
	competitor=raw
	record zeroes
	begin=$(now_us)
	quietly blkdiscard -f -z "${members[0]}"
	echo "$((mib << 10)) $(($(now_us) - begin))" >"$run/done"
	say "zeroes: $(cat "$run/done")"
}

[ $# -gt 0 ] || set -- md md-tuned bpf
modprobe raid456
echo $no_limit_kib >/proc/sys/dev/raid/speed_limit_max
order=("$@")
for ((round = 1; round <= rounds; round++)); do
	for c in "${order[@]}"; do
		say "round $round of $rounds: $c"
		array "$c"
		jobs
		down
	done
	zeroes
	# Whoever was last is first: a host whose other work grows is against each in turn.
	turned=()
	for c in "${order[@]}"; do turned=("$c" "${turned[@]}"); done
	order=("${turned[@]}")
done
