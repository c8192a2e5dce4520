#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The write-intent bitmap, with md as its judge. Disks 0 to 3 are the array, 4 is new;
# 6 to 9 keep what a power cut left.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)

# engine: one of the two has its turn.
engine() { if ((seed % 2)); then echo bpf; else echo user; fi; }

# array [OPTION...]: 64 regions of 256 KiB of each member, 4 stripes each; full of known data.
# With room for a load: BUSY=1.
array() {
	local size=16M
	[ -z "${BUSY:-}" ] || size=28M
	wipe "${disks[@]}" /dev/disk4
	start t "${disks[@]}" --chunk 64K --assume-clean --size $size --bitmap-chunk 256K --engine "$(engine)" "$@"
	fill
}

# dirty DISK: how many bits md's own tool counts there.
dirty() { mdadm -X "$1" | sed -n 's/.*, \([0-9]*\) dirty.*/\1/p'; }
sound() { [ "$(mdadm -X "$1" | sed -n 's/ *State : //p')" = OK ] || fail "md calls the bitmap of $1 $(mdadm -X "$1" | grep State)"; }
is_dirty() { [ "$(dirty "$1")" = "$2" ]; }

# cut: copies of the disks as they are, to put back: what a power cut leaves.
cut() { copy 0:6 1:7 2:8 3:9; }
put_back() { copy 6:0 7:1 8:2 9:3; }

# spoil ROLE SECTOR: 8 sectors of a member's data are wrong.
spoil() {
	dd if=/dev/urandom of="/dev/disk$1" bs=512 seek=$(($(offset_of "/dev/disk$1") + $2)) count=8 \
		oflag=direct conv=notrunc status=none
}

# After a crash what is set is recomputed, and nothing else; md does the same.
crashed() {
	local read
	array --clean-after 0
	sound /dev/disk0
	eventually "what was filled is written no more" is_dirty /dev/disk0 0
	# Stripe 100 is in region 25, stripe 200 in 50.
	write_at $((100 * 384)) 8
	write_at $((200 * 384 + 128)) 200
	if [ "$(dirty /dev/disk0)" != 2 ] || [ "$(dirty /dev/disk3)" != 2 ]; then fail "bits: $(dirty /dev/disk0)"; fi
	cut
	stop
	[ "$(dirty /dev/disk0)" = 0 ] || fail "a clean stop leaves $(dirty /dev/disk0) bits"
	put_back
	again "${disks[@]}" --engine "$(engine)" --clean-after 0.2
	quietly timeout 100 ringraid wait t
	# 2 regions of 4 cells of 64 KiB, each of them read from 4 members.
	read=$(counter slot_reads)
	[ "$read" = 32 ] || fail "$read cells were read for 2 regions"
	eventually "it is clean" is_clean
	read_all "after the crash"
	no_stream
	stop
	judge "${disks[@]}"
	# What was cut off is mended where the bits are.
	put_back
	spoil 3 $((100 * 128))
	spoil 3 $((10 * 128))
	again "${disks[@]}" --engine "$(engine)"
	quietly timeout 100 ringraid wait t
	stop
	take "${disks[@]}"
	mismatches 8 "of the row alone that had no bit"
	give
	# md goes by the same bits.
	put_back
	spoil 3 $((100 * 128))
	take "${disks[@]}"
	check "md, by ringraid's bitmap"
	give
}

# A member that was away gets what it missed; so it does from md, and after md.
returned() {
	local written
	array
	quietly ringraid fail t 1
	# Some bits of the first filling may be gone by now; none goes while a member is missing.
	fill
	eventually "nothing is taken back" is_dirty /dev/disk0 64
	quietly ringraid add t /dev/disk1
	quietly timeout 100 ringraid wait t
	state healthy
	eventually "all bits go" is_dirty /dev/disk0 0
	quietly ringraid fail t 1
	write_at $((100 * 384)) 8
	write_at $((30 * 384 + 100)) 384
	written=$(counter slot_writes)
	quietly ringraid add t /dev/disk1
	quietly timeout 100 ringraid wait t
	state healthy
	# 2 regions of 4 cells: only these were written to it.
	written=$(($(counter slot_writes) - written))
	[ $written = 8 ] || fail "$written cells were written, not 8"
	read_all "after the member has come back"
	quietly ringraid fail t 2
	read_all "with what has come back"
	stop
	# md takes it back by the same bits.
	take_degraded /dev/disk0 /dev/disk1 /dev/disk3
	dd if="$tmp/ref" of=$md bs=64k count=3 skip=300 seek=300 oflag=direct status=none
	quietly mdadm $md --re-add /dev/disk2
	while [ "$(md_attr degraded)" != 0 ]; do sleep 0.1; done
	check "md's re-add"
	# And the other way round: it failed under md.
	quietly mdadm $md --fail /dev/disk3
	dd if=/dev/urandom of="$tmp/new" bs=64k count=3 status=none
	dd if="$tmp/new" of=$md bs=64k count=3 seek=300 oflag=direct status=none
	dd if="$tmp/new" of="$tmp/ref" bs=64k count=3 seek=300 conv=notrunc status=none
	give
	again --degraded /dev/disk0 /dev/disk1 /dev/disk2
	written=$(counter slot_writes)
	quietly ringraid add t /dev/disk3
	quietly timeout 100 ringraid wait t
	written=$(($(counter slot_writes) - written))
	[ $written -lt 32 ] || fail "$written cells were written to what failed under md"
	read_all "after md"
	stop
	judge "${disks[@]}"
}

# A copy of a member was made while it served, with the events that the array still has. The
# bits of what was written afterwards are gone, so it gets all.
copied() {
	array --clean-after 0
	eventually "what was filled is written no more" is_dirty /dev/disk0 0
	quietly dd if=/dev/disk1 of=/dev/disk4 bs=1M iflag=direct oflag=direct status=none
	write_at $((100 * 384)) 384
	eventually "so is this" is_dirty /dev/disk0 0
	quietly ringraid fail t 1
	quietly ringraid remove t 1
	quietly ringraid add t /dev/disk4
	quietly timeout 100 ringraid wait t
	state healthy
	read_all "with the copy"
	stop
	judge /dev/disk0 /dev/disk4 /dev/disk2 /dev/disk3
}

# Taken away and given while it serves; of any chunk.
changed() {
	BUSY=1 array
	busy
	quietly ringraid set t bitmap=none
	[ "$(mdadm --examine /dev/disk0 | grep -c Bitmap)" = 0 ] || fail "the superblock tells of a bitmap"
	[ "$(st bitmap)" = null ] || fail "there is a bitmap still"
	quietly ringraid set t bitmap=internal bitmap-chunk=4M
	sound /dev/disk3
	[ "$(mdadm -X /dev/disk3 | sed -n 's/ *Chunksize : //p')" = "4 MB" ] || fail "the chunk is another"
	quietly ringraid set t bitmap-chunk=32K
	sound /dev/disk3
	end_clients
	eventually "what is idle is taken back" is_dirty /dev/disk3 0
	write_at 0 8
	# A region of the start's chunk is 8 of these.
	[ "$(dirty /dev/disk0)" = 8 ] || fail "$(dirty /dev/disk0) bits for one region"
	refused "too many bits|4K" ringraid set t bitmap-chunk=100
	kill_daemon
	again "${disks[@]}" --engine "$(engine)"
	no_stream
	stop
	sound /dev/disk1
	judge "${disks[@]}"
	wipe "${disks[@]}"
	refused 'bitmap chunk of 100 bytes' ringraid create t "${disks[@]}" --bitmap-chunk 100
	blank "${disks[@]}"
	start t "${disks[@]}" --no-bitmap --size 16M --wait
	[ "$(mdadm --examine /dev/disk0 | grep -c Bitmap)" = 0 ] || fail "made with a bitmap"
	stop
}

# Under load, and killed in the middle.
under_load() {
	BUSY=1 array
	busy
	quietly ringraid fail t 1
	sleep 1
	quietly ringraid set t sync-max=1000
	quietly ringraid add t /dev/disk1
	[ "$(st 'job.now.by_bitmap')" = true ] || fail "all of it is written"
	kill_daemon
	again "${disks[@]}" --engine "$(engine)"
	quietly ringraid set t sync-max=0
	quietly timeout 200 ringraid wait t
	state healthy
	end_clients
	dd if="$block" bs=1M count=32 iflag=direct status=none | cmp -s - <(head -c 33554432 "$tmp/ref") || fail "wrong data"
	kill_daemon
	again "${disks[@]}" --engine "$(engine)"
	no_stream
	stop
	sound /dev/disk1
	judge "${disks[@]}"
}

# md's arrays with a bitmap are served, and handed back with it.
of_md() {
	wipe "${disks[@]}"
	quietly mdadm --create $md --run --level=5 --raid-devices=4 --chunk=64 --size=16M \
		--bitmap=internal --bitmap-chunk=128K --assume-clean "${disks[@]}"
	give
	again "${disks[@]}" --engine "$(engine)"
	fill
	stop
	sound /dev/disk2
	take "${disks[@]}"
	[ "$(md_attr bitmap/location)" = +8 ] || fail "md has no bitmap any more"
	check "md's array"
	cmp "$tmp/ref" $md >/dev/null || fail "md reads other data"
	give
	# A copy that is spoilt is not believed, and one that is good is enough; without any all is computed.
	dd if=/dev/zero of=/dev/disk0 bs=512 seek=16 count=8 oflag=direct conv=notrunc status=none
	again "${disks[@]}" --engine "$(engine)"
	stop
	sound /dev/disk0
	judge "${disks[@]}"
}

take_turns crashed returned copied changed under_load of_md
