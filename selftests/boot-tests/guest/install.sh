#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The README's first screen on a new machine: package, array, file system, fstab.
. ./lib.sh
install_package
note "installed: $(ringraid --version)"
expect_watched
[ "$(systemctl show -P ExecMainStartTimestampMonotonic ringraid-check.service)" = 0 ] || fail "apt has started a check"
printf '[array data]\nslots = 48\n' >/etc/ringraid/conf.d/data.conf
make_array --depth 32
expect_settings
note "created: $(readlink -f /dev/ringraid/data)"
mkfs.ext4 -q /dev/ringraid/data
echo '/dev/ringraid/data /srv ext4 defaults,nofail 0 2' >>/etc/fstab
systemctl daemon-reload
systemctl start srv.mount
expect_mounted
dd if=/dev/urandom of=/srv/file bs=1M count=20 status=none
sha256sum /srv/file >~/sum
lsblk -o NAME,FSTYPE,SERIAL,MOUNTPOINTS
until_true 30 test -e "/dev/disk/by-id/ringraid-name-data" || fail "no link by id"
ringraid status data | head -n 12
note "shutting down"
