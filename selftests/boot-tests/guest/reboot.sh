#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# After a reboot all is there, by name, without md; and a daemon that is killed under
# load is followed by the next one, with no error and no hand.
. ./lib.sh
expect_mounted
sha256sum --quiet -c ~/sum || fail "the file has changed"
expect_no_md
[ "$(lsblk -no FSTYPE "$(disk 0)")" = ringraid_member ] || fail "udev calls a member $(lsblk -no FSTYPE "$(disk 0)")"
[ "$(lsblk -dno SERIAL "$(readlink -f /dev/ringraid/data)")" = "$(lsblk -dno UUID "$(disk 0)")" ] ||
	fail "lsblk does not show what the members are of: $(lsblk -o NAME,FSTYPE,SERIAL,UUID)"
[ "$(systemctl is-system-running)" != degraded ] || { systemctl --no-pager --failed; fail "a unit has failed"; }
expect_watched
expect_settings
note "mounted: $(systemctl show -P StatusText "$(unit)")"
before=$(main_pid)
begin_load
systemctl kill --kill-whom=main --signal=KILL "$(unit)"
note "killed $before"
until_true 120 served_by_another "$before" || fail "nobody has taken over"
note "taken over by $(main_pid)"
end_load
[ "$(systemctl show -P NRestarts "$(unit)")" = 1 ] || fail "the unit was not restarted once"
sha256sum --quiet -c ~/sum || fail "the file has changed"
