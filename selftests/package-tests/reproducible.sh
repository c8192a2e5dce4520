#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The same sources give the same packages, byte for byte, from another directory and with
# nothing that was compiled before. With --full only: it compiles all of it.
# shellcheck disable=SC2154,SC2034 # variables shared with lib/host.sh
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
is_full || skip "with --full: it builds the packages a second time"
package_launcher=''
package_make "$work/again" /tmp/elsewhere/entirely
for deb in "$package_dir"/*.deb; do
	cmp "$deb" "$work/again/${deb##*/}" || fail "${deb##*/} differs"
done
