#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# systemd and udev understand every line of what the package gives them, and the unit's
# exposure, which systemd-analyze judges, does not grow.
# shellcheck disable=SC2154,SC2034 # variables shared with lib/host.sh
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# Tenths of what `systemd-analyze security` says. What is left is what the daemon is for:
# raw disks, BPF, the machine's memory limits; and no mount namespace (see the unit).
exposure_max=40
dpkg-deb -x "$(echo "$package_dir"/ringraid_*.deb)" "$work/unpacked"
# shellcheck disable=SC2016 # in there
in_root bash -euo pipefail -c '
	mkdir -p /tmp/units && cp "$1"/usr/lib/systemd/system/* /tmp/units/
	cd /tmp/units
	sed -i "s,/usr/sbin/ringraid,/bin/true,; s,/usr/sbin/update-initramfs,/bin/true," ./*
	mv ringraid@.service "ringraid@0-1.service"
	mv ringraid-export@.service "ringraid-export@data.service"
	SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=yes ./*.service ./*.path
	for timer in ./*.timer; do [ ! -e "$timer" ] || systemd-analyze verify --man=no "$timer"; done
	udevadm verify --no-style "$1"/usr/lib/udev/rules.d/*.rules
	systemd-analyze security --offline=yes --no-pager --threshold="$2" "/tmp/units/ringraid@0-1.service" | tail -n 1
' bash "$work/unpacked" "$exposure_max"
