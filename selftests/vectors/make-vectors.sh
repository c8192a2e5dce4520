#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Makes the vectors of this directory with the kernel's md and mdadm.
#
# Runs in a throwaway guest with six empty disks of 64 MiB, nvme0n1 to
# nvme5n1, md and raid456 loaded, as root, and leaves NAME.vec in /out. Each
# holds, for the first members in order of device, the first 512 bytes of the
# superblock in hex, and what `mdadm --examine` says of it. See README.md.
#
#   ./run vm --disk nvme:64M (six times) --module raid456 --out DIR \
#       --script selftests/vectors/make-vectors.sh
# shellcheck disable=SC2046 # the lists of devices are words on purpose
disks="/dev/nvme0n1 /dev/nvme1n1 /dev/nvme2n1 /dev/nvme3n1 /dev/nvme4n1 /dev/nvme5n1"
export MDADM_NO_UDEV=1

first() { echo "$disks" | cut -d' ' -f1-"$1"; }

# create NAME MDADM-OPTION...
create() {
	name=$1
	shift
	yes | mdadm --create /dev/md0 --run --homehost=vec --name="$name" "$@"
	sleep 1
}

create_clean() { create "$@" --assume-clean; }

# save NAME COUNT: the first COUNT members as they are now.
save() {
	: >"/out/$1.vec"
	for disk in $(first "$2"); do
		{
			echo "superblock"
			dd if="$disk" bs=4096 skip=1 count=1 2>/dev/null |
				hexdump -v -n 512 -e '32/1 "%02x" "\n"'
			mdadm --examine "$disk" 2>&1 | sed '1s/.*/examine/'
		} >>"/out/$1.vec"
	done
}

stop_and_save() { mdadm --stop /dev/md0; save "$1" "$2"; wipe; }

wipe() {
	[ ! -e /sys/block/md0/md ] || mdadm --stop /dev/md0
	for disk in $disks; do
		dd if=/dev/zero of="$disk" bs=1M count=8 2>/dev/null
	done
}

# Writes to the array and lets it stay dirty.
make_dirty() {
	echo 0 >/sys/block/md0/md/safe_mode_delay
	dd if=/dev/urandom of=/dev/md0 bs=64k count=1 conv=fsync 2>/dev/null
}

whole_arrays() {
	create_clean ls4 --level=5 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	stop_and_save ls4 4
	create_clean rs3bitmap --level=5 --raid-devices=3 --chunk=512 --layout=rs --bitmap=internal $(first 3)
	stop_and_save rs3bitmap 3
	create_clean la5 --level=5 --raid-devices=5 --chunk=4 --layout=la --bitmap=none $(first 5)
	stop_and_save la5 5
	create_clean ra3 --level=5 --raid-devices=3 --chunk=1024 --layout=ra --bitmap=none --size=20480 $(first 3)
	stop_and_save ra3 3
	create_clean ppl4 --level=5 --raid-devices=4 --chunk=64 --consistency-policy=ppl $(first 4)
	stop_and_save ppl4 4
	create_clean dirty4 --level=5 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	make_dirty
	save dirty4 4
	wipe
	create_clean ppldirty4 --level=5 --raid-devices=4 --chunk=64 --consistency-policy=ppl $(first 4)
	make_dirty
	save ppldirty4 4
	wipe
}

changed_arrays() {
	create_clean failed4 --level=5 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	mdadm --fail /dev/md0 /dev/nvme2n1
	sleep 1
	save failed4 4
	mdadm --remove /dev/md0 /dev/nvme2n1
	stop_and_save removed4 4

	# A rebuild on to a spare: its device number is 4, its role becomes 1.
	create_clean spare4 --level=5 --raid-devices=4 --spare-devices=1 --chunk=64 --bitmap=none $(first 5)
	save spare4 5
	mdadm --fail /dev/md0 /dev/nvme1n1
	sleep 1
	mdadm --wait /dev/md0
	mdadm --remove /dev/md0 /dev/nvme1n1
	stop_and_save rebuilt4 5
}

unfinished_arrays() {
	echo 1 >/proc/sys/dev/raid/speed_limit_min
	echo 1 >/proc/sys/dev/raid/speed_limit_max
	create_clean rebuilding4 --level=5 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	mdadm --fail /dev/md0 /dev/nvme1n1
	mdadm --remove /dev/md0 /dev/nvme1n1
	mdadm --zero-superblock /dev/nvme1n1
	mdadm --add /dev/md0 /dev/nvme1n1
	sleep 4
	stop_and_save rebuilding4 4
	create_clean reshaping4 --level=5 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	mdadm --add /dev/md0 /dev/nvme4n1
	mdadm --grow /dev/md0 --raid-devices=5
	sleep 4
	stop_and_save reshaping4 5
	echo 200000 >/proc/sys/dev/raid/speed_limit_max
}

other_arrays() {
	create_clean raid6 --level=6 --raid-devices=4 --chunk=64 --bitmap=none $(first 4)
	stop_and_save raid6 4
	create_clean raid1 --level=1 --raid-devices=2 --bitmap=none $(first 2)
	stop_and_save raid1 2
	create journal3 --level=5 --raid-devices=3 --chunk=64 --write-journal=/dev/nvme3n1 $(first 3)
	mdadm --wait /dev/md0
	stop_and_save journal3 4
}

mkdir -p /out
whole_arrays
changed_arrays
unfinished_arrays
other_arrays
{
	uname -r
	mdadm --version
} >/out/made-with.txt 2>&1
