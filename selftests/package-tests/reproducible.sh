#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The same sources give the same packages, byte for byte, from another directory and with
# nothing that was compiled before. With --full only: it compiles all of it.
# shellcheck disable=SC2154,SC2034 # variables shared with lib/host.sh
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
is_full || skip "with --full: it builds the packages a second time"
package_launcher=''
package_make "$work/again" /tmp/elsewhere/entirely

# What differs, by file: cmp says where in an archive that is compressed.
compare() {
	local deb=${1##*/}
	! cmp -s "$1" "$work/again/$deb" || return 0
	echo "$deb differs:"
	rm -rf "$work/a" "$work/b"
	dpkg-deb -R "$1" "$work/a"
	dpkg-deb -R "$work/again/$deb" "$work/b"
	diff -rq "$work/a" "$work/b" || true
	return 1
}
same=1
for deb in "$package_dir"/*.deb; do compare "$deb" || same=''; done
[ -n "$same" ] || fail 'the second build is another one'
