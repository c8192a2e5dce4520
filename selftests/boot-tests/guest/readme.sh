#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# follow: the commands of the README's section are run as they are written. The packages are
# built already, where "..." is.
. ./lib.sh
case $1 in
follow)
	sed -n '/^## Install, create, mount$/,/^After a reboot/s/^    //p' README.md | sed 's,\.\.\./,./,; s/  *# .*//' >~/screen
	[ "$(grep -c . ~/screen)" -ge 6 ] || { cat ~/screen; fail "the README has no such screen"; }
	[ "$(head -n 1 ~/screen)" = './run package' ] || fail "it does not begin with the package"
	sed -i 1d ~/screen
	while read -r line; do
		note "$line"
		bash -euc "$line" </dev/null || fail "the README says: $line"
	done <~/screen
	mountpoint -q /srv || fail "/srv is not mounted"
	dd if=/dev/urandom of=/srv/file bs=1M count=20 status=none
	sha256sum /srv/file >~/sum
	;;
again)
	expect_mounted
	expect_no_md
	sha256sum --quiet -c ~/sum || fail "the file has changed"
	# sda is nobody's, as a system's own disk is.
	lsblk -o NAME,TYPE,FSTYPE,LABEL,SERIAL,MOUNTPOINTS
	ringraid status data
	;;
esac
