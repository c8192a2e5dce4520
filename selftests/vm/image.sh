# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A whole Debian 13 with systemd, as a disk image, for tests of an installed ringraid.
#
# It is a minbase system with the stock kernel's modules, what the packages depend on
# (a test installs them by apt, without a network) and what tests use. It has no
# initramfs: nvme and ext4 are built in. At boot image-run takes the tar archive of the
# disk "payload" apart and runs ./run in it; its output goes to ttyS1. The image is
# cached under a hash of what it is made of, and tests boot overlays of it.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

image_packages=(systemd systemd-sysv udev dbus kmod mdadm e2fsprogs fdisk initramfs-tools
	libblkid1 libbpf1 libelf1t64 libfmt10 libinih1 liburing2
	cryptsetup fio jq lvm2 needrestart procps systemd-cryptsetup tmux)

image_mib=2048
image_start=2048 # sectors

image_key() {
	{
		echo "$suite ${image_packages[*]} $1"
		cat "$vm_dir/image.sh"
	} | short_hash
}

# Sets image, a raw ext4 file system.
image_ensure() {
	kernel_ensure
	image=$cache/image/$(image_key "$(kernel_cached)").img
	[ -e "$image" ] || with_lock image image_make
	touch "$image"
}

image_make() {
	local dir=$image.d aptopts=() line sources
	[ ! -e "$image" ] || return 0
	is_root || die "making the Debian 13 image needs root" "run it as root"
	command -v mmdebstrap >/dev/null || machine_install mmdebstrap
	apt_keys
	while read -r line; do aptopts+=("--aptopt=$line"); done < <(apt_proxies)
	sources=$(apt_sources) || exit 1
	say "making the Debian 13 image (a few minutes)"
	mkdir -p "$cache/image"
	find "$cache/image" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf --one-file-system -- {} +
	rm -rf --one-file-system -- "$dir"
	logged "$cache/log/image.log" mmdebstrap --mode=root --variant=minbase --format=directory \
		"${aptopts[@]}" --include="$(IFS=,; echo "${image_packages[*]}")" "$suite" "$dir" - <<<"$sources" ||
		die "mmdebstrap failed" "the whole log: $cache/log/image.log"
	image_configure "$dir"
	image_partition "$image.tmp"
	in_root mke2fs -q -F -t ext4 -L root -E offset=$((image_start * 512)) -d "$dir" "$image.tmp" \
		$(((image_mib << 10) - image_start / 2))k || die "could not make the image"
	rm -rf --one-file-system -- "$dir"
	mv "$image.tmp" "$image"
}

# little_endian NUMBER: its four bytes, for printf.
little_endian() { printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)); }

# One partition in an MBR whose signature names it for the kernel, as NVMe disks come in
# any order: root=PARTUUID=72720001-01.
image_partition() {
	local bytes
	truncate -s ${image_mib}M "$1"
	bytes=$(little_endian $((0x72720001)))'\x00\x00\x00\x00\x00\x00\x83\x00\x00\x00'
	bytes+=$(little_endian $image_start)$(little_endian $((image_mib * 2048 - image_start)))
	# shellcheck disable=SC2059 # that is the point
	printf "$bytes" | dd of="$1" bs=1 seek=440 conv=notrunc status=none
	printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

image_configure() {
	local dir=$1 unit
	cp -a "$(kernel_dir)/lib/modules/." "$dir/usr/lib/modules/"
	echo box >"$dir/etc/hostname"
	echo '127.0.0.1 localhost box' >"$dir/etc/hosts"
	sed -i 's/^root:[^:]*:/root::/' "$dir/etc/shadow"
	echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$dir/etc/fstab"
	rm -f "$dir/etc/apt/sources.list" "$dir"/etc/apt/sources.list.d/*
	touch "$dir/etc/.updated" "$dir/var/.updated"
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service; do
		ln -sf /dev/null "$dir/etc/systemd/system/$unit"
	done
	cat >"$dir/usr/local/sbin/image-run" <<-'END'
		#!/bin/bash
		exec </dev/null >/dev/ttyS1 2>&1
		udevadm settle
		mkdir -p /run/payload
		cd /run/payload && tar -xf /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_payload || exit
		bash ./run
		echo "image-run: exit $?"
	END
	chmod +x "$dir/usr/local/sbin/image-run"
	cat >"$dir/etc/systemd/system/image-run.service" <<-'END'
		[Unit]
		After=multi-user.target systemd-logind.service
		[Service]
		Type=oneshot
		Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
		TimeoutStartSec=infinity
		ExecStart=-/usr/local/sbin/image-run
		ExecStopPost=systemctl --no-block poweroff
	END
	mkdir -p "$dir/etc/systemd/system/graphical.target.wants"
	ln -sf ../image-run.service "$dir/etc/systemd/system/graphical.target.wants/"
}
