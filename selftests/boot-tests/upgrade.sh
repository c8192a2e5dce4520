#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A newer package under fio --verify, a removal while an array runs, and a purge.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# The same package with another version, in a file of another name.
# shellcheck disable=SC2016 # in there
in_root bash -euc 'dpkg-deb -R "$1" "$2/newer"; sed -i "/^Version:/s/$/+next1/" "$2/newer/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$2/newer" "$2/newer_ringraid.deb" >/dev/null' \
	bash "$(echo "$package_dir"/ringraid_*.deb)" "$work"
more_files=("$work/newer_ringraid.deb")
machine 4 128M
boot upgrade
