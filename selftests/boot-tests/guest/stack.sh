#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make: LUKS on the array, LVM on that, a file system on that. use: all of it is there.
. ./lib.sh
case $1 in
make)
	install_package
	# shellcheck disable=SC2119 # no more options
	make_array
	head -c 32 /dev/urandom >~/key
	cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/ringraid/data ~/key
	echo "secret /dev/ringraid/data $HOME/key luks,nofail" >>/etc/crypttab
	systemctl daemon-reload
	systemctl start systemd-cryptsetup@secret.service
	pvcreate -q /dev/mapper/secret
	vgcreate -q vg /dev/mapper/secret
	lvcreate -q -y -n lv -l 80%FREE vg
	mkfs.ext4 -q /dev/vg/lv
	echo '/dev/vg/lv /srv ext4 defaults,nofail 0 2' >>/etc/fstab
	systemctl daemon-reload
	systemctl start srv.mount
	expect_mounted
	dd if=/dev/urandom of=/srv/file bs=1M count=20 status=none
	sha256sum /srv/file >~/sum
	;;
use)
	expect_mounted
	sha256sum --quiet -c ~/sum || fail "the file has changed"
	expect_no_md
	;;
esac
# Something to write at the very end.
dd if=/dev/urandom of=/srv/more bs=1M count=20 status=none
note "shutting down"
