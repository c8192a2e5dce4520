#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The partial parity log, with md as its judge. Disks 0 to 3 are the array, 4 is new;
# 6 to 9 keep what a power cut left.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)

# engine: one of the two has its turn.
engine() { if ((seed % 2)); then echo bpf; else echo user; fi; }

array() {
	wipe "${disks[@]}" /dev/disk4
	start t "${disks[@]}" --chunk 64K --assume-clean --consistency ppl --engine "$(engine)" --clean-after 0
	has ppl
}

has() { [ "$(st consistency)" = "$1" ] || fail "the consistency is $(st consistency), not $1"; }
has_at_last() { eventually "it has $1" is_so "$1"; }
is_so() { [ "$(st consistency)" = "$1" ]; }

# unit DISK FIELD: of the newest unit of its log.
unit() { ringraid --json examine "$1" | jq -r ".devices[0].ppl.unit.$2"; }
entries() { unit "$1" 'entries|length'; }
all_entries() {
	local d n=0
	for d in "${disks[@]}"; do n=$((n + $(entries "$d"))); done
	echo $n
}
empty() {
	local d
	for d in "$@"; do [ "$(entries "$d")" = 0 ] || fail "the log of $d has $(entries "$d") entries"; done
}
# ppl DISK...: md's tool finds the log where mdadm puts it.
ppl() {
	local d
	for d in "$@"; do
		mdadm --examine "$d" | grep -q 'PPL : 2048 sectors at offset 8 sectors' || fail "$d: $(mdadm --examine "$d" | grep -i 'ppl\|bitmap')"
	done
}
no_ppl() { ! mdadm --examine "$1" | grep -q PPL || fail "$1 tells of a log"; }

cut() { copy 0:6 1:7 2:8 3:9; }
put_back() { copy 6:0 7:1 8:2 9:3; }

# spoil ROLE SECTOR COUNT: of a member's data.
spoil() {
	dd if=/dev/urandom of="/dev/disk$1" bs=512 seek=$(($(offset_of "/dev/disk$1") + $2)) count="$3" \
		oflag=direct conv=notrunc status=none
}

# Made, filled, stopped; md takes it as it is, with its log, and gives it back.
made() {
	array
	ppl "${disks[@]}"
	fill
	counts log_units 0 || fail "no unit is counted"
	[ "$(counter log_entries)" -ge "$(counter log_units)" ] || fail "$(counter log_entries) entries in $(counter log_units) units"
	stop
	empty "${disks[@]}"
	mdadm --examine /dev/disk2 | grep -q 'State : clean' || fail "it is not clean"
	take "${disks[@]}"
	[ "$(md_attr consistency_policy)" = ppl ] || fail "md has $(md_attr consistency_policy)"
	check "our array"
	same "$tmp/ref" $md "by md"
	dd if=/dev/urandom of="$tmp/new" bs=4k count=40 status=none
	dd if="$tmp/new" of=$md bs=4k count=40 seek=1000 oflag=direct status=none
	dd if="$tmp/new" of="$tmp/ref" bs=4k count=40 seek=1000 conv=notrunc status=none
	give
	again "${disks[@]}" --engine "$(engine)"
	has ppl
	empty "${disks[@]}"
	read_all "after md"
	write_at 12345 8
	stop
	judge "${disks[@]}"
}

# Under load, killed, killed again; no resync.
killed() {
	local i
	array
	busy
	for i in 1 2; do
		kill_daemon
		again "${disks[@]}" --engine "$(engine)" --clean-after 0
		has ppl
		[ "$(job kind)" = null ] || fail "a $(job kind) after a kill"
	done
	end_clients
	kill_daemon
	quietly ringraid stop --force t
	empty "${disks[@]}"
	judge "${disks[@]}"
}

# The power goes between the writes of a row: parity of stripe 3, on member 0, is neither. Twice
# the same cut, recovered by us and by md; and with a member missing that nobody was writing.
torn() {
	local by all
	array
	fill
	write_at $((3 * 384 + 8)) 8
	[ "$(entries /dev/disk0)" = 1 ] || fail "the log of disk0 has $(entries /dev/disk0) entries"
	all=$(all_entries) # the newest units of the other members are of what filled it
	cut
	stop
	for by in us md; do
		put_back
		spoil 0 $((3 * 128 + 8)) 8
		if [ $by = us ]; then
			again "${disks[@]}" --engine "$(engine)"
			[ "$(st log_recovery.entries)" = "$all" ] || fail "recovered: $(st log_recovery), of $all entries"
			[ "$(job kind)" = null ] || fail "a $(job kind)"
			has ppl
			read_all "recovered"
			stop
			judge "${disks[@]}"
		else
			take "${disks[@]}"
			[ "$(md_attr sync_action)" = idle ] || fail "md does a $(md_attr sync_action)"
			check "recovered by md"
			same "$tmp/ref" $md "by md"
			give
		fi
		put_back
		spoil 0 $((3 * 128 + 8)) 8
		if [ $by = us ]; then
			again "${disks[0]}" "${disks[1]}" "${disks[3]}" --degraded --engine "$(engine)"
			read_all "recovered without a member"
			stop
		else
			take_degraded "${disks[0]}" "${disks[1]}" "${disks[3]}"
			same "$tmp/ref" $md "by md, without a member"
			give
		fi
	done
}

# md's own: served with its log, and handed back with it.
of_md() {
	wipe "${disks[@]}"
	quietly mdadm --create $md --run --level=5 --raid-devices=4 --chunk=64 --consistency-policy=ppl \
		--assume-clean "${disks[@]}"
	give
	again "${disks[@]}" --engine "$(engine)" --clean-after 0
	has ppl
	fill
	[ "$(entries /dev/disk1)" -gt 0 ] || fail "nothing is logged"
	cut
	stop
	ppl "${disks[@]}"
	judge "${disks[@]}"
	put_back
	take "${disks[@]}"
	check "md, by our log"
	same "$tmp/ref" $md "by md"
	give
}

# On the fly, there and back, under load.
changed() {
	array
	busy
	quietly ringraid set t consistency=bitmap
	has bitmap
	no_ppl /dev/disk1
	mdadm --examine /dev/disk1 | grep -q 'Internal Bitmap' || fail "no bitmap"
	quietly ringraid set t consistency=ppl
	has ppl
	ppl "${disks[@]}"
	refused 'say it twice' ringraid set t consistency=resync
	has ppl
	quietly ringraid set t consistency=resync consistency=resync
	has resync
	no_ppl /dev/disk3
	quietly ringraid set t consistency=ppl
	kill_daemon
	again "${disks[@]}" --engine "$(engine)"
	has ppl
	end_clients
	no_stream
	stop
	empty "${disks[@]}"
	judge "${disks[@]}"
	refused 'say it twice' ringraid create u "${disks[@]}" --force --consistency resync
}

# Its parity is computed first: a bitmap until then.
waits() {
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --consistency ppl --engine "$(engine)" --sync-max 4000
	has bitmap
	[ "$(st consistency_wanted)" = ppl ] || fail "no log is wanted"
	kill_daemon
	again "${disks[@]}" --engine "$(engine)"
	quietly timeout 200 ringraid wait t
	has_at_last ppl
	[ "$(st consistency_wanted)" = null ] || fail "a log is wanted still"
	fill
	stop
	ppl "${disks[@]}"
	judge "${disks[@]}"
}

# A member fails, another takes its place, under load; killed in between.
degraded() {
	array
	busy
	quietly ringraid fail t 1
	kill_daemon
	again "${disks[@]}" --engine "$(engine)" --clean-after 0 --degraded
	has ppl
	quietly ringraid add t /dev/disk4
	quietly timeout 300 ringraid wait t
	state healthy
	quietly ringraid replace t 2 --with /dev/disk1 --force --wait
	end_clients
	has ppl
	stop
	empty /dev/disk0 /dev/disk4 /dev/disk1 /dev/disk3
	judge /dev/disk0 /dev/disk4 /dev/disk1 /dev/disk3
}

# After a power cut with a member missing, where nobody is asked: a log starts it.
unattended() {
	local policy uuid
	for policy in ppl bitmap; do
		wipe "${disks[@]}"
		start t "${disks[@]}" --chunk 64K --assume-clean --consistency $policy --engine "$(engine)" --clean-after 0
		uuid=$(st uuid)
		fill
		cut
		stop
		put_back
		wipe /dev/disk1 /dev/disk6 /dev/disk7 /dev/disk8 /dev/disk9
		if [ $policy = ppl ]; then
			again --uuid "$uuid" --unattended --wait 1
			state degraded
			read_all "without a member"
			stop
		else
			refused 'not stopped cleanly and role 1 is missing' ringraid assemble --uuid "$uuid" --unattended --wait 1
		fi
	done
}

# After a power cut, a member that takes no writes, so its log cannot be ended: another one than
# that of the torn row's parity, and that one. The array starts without it.
unwilling() {
	local role members
	modprobe dm-flakey
	array
	fill
	write_at $((3 * 384 + 8)) 8
	cut
	stop
	for role in 2 0; do
		put_back
		spoil 0 $((3 * 128 + 8)) 8
		quietly dmsetup create unwilling --table "0 $(blockdev --getsz "/dev/disk$role") flakey $(readlink -f "/dev/disk$role") 0 0 1000 1 error_writes"
		quietly dmsetup mknodes unwilling
		members=("${disks[@]}")
		members[role]=/dev/mapper/unwilling
		again "${members[@]}" --engine "$(engine)"
		state degraded
		[ "$(st "members[$role].state")" != active ] || fail "member $role is active"
		[ "$(job kind)" = null ] || fail "a $(job kind)"
		read_all "without member $role, which takes no writes"
		stop
		quietly dmsetup remove unwilling
		unset "members[$role]"
		take_degraded "${members[@]}"
		same "$tmp/ref" $md "by md, without member $role"
		give
	done
}

# What a new array gets, and one that runs, by ringraid.conf.
configured() {
	local conf=/etc/ringraid/ringraid.conf
	mkdir -p "${conf%/*}"
	printf '[array]\nconsistency = bitmap\n[array t]\nconsistency = ppl\n' >$conf
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean --engine "$(engine)"
	has ppl
	quietly ringraid set t consistency=bitmap
	has bitmap
	ringraid config >"$tmp/config"
	grep -q "^consistency *= bitmap .*its superblocks; not $conf:4" "$tmp/config" || { cat "$tmp/config"; fail "not what holds"; }
	quietly ringraid set t configured
	has ppl
	stop
	start u "${disks[@]}" --chunk 64K --assume-clean --force
	has bitmap
	stop
	start t "${disks[@]}" --chunk 64K --assume-clean --force --bitmap-chunk 1M
	has bitmap
	stop
	echo 'consistency = resync' >>$conf
	start t "${disks[@]}" --chunk 64K --assume-clean --force
	has resync
	stop
	rm $conf
}

take_turns made killed torn of_md changed waits degraded unattended unwilling configured
