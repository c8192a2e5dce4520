# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# After a reboot all is there, by name, without md; and a daemon that is killed under
# load is followed by the next one, with no error and no hand.
. ./lib.sh
expect_mounted
sha256sum --quiet -c /root/sum || fail "the file has changed"
expect_no_md
[ "$(lsblk -no FSTYPE "$(disk 0)")" = ringraid_member ] || fail "udev calls a member $(lsblk -no FSTYPE "$(disk 0)")"
[ "$(systemctl is-system-running)" != degraded ] || { systemctl --no-pager --failed; fail "a unit has failed"; }
note "mounted: $(systemctl show -P StatusText "$(unit)")"
before=$(main_pid)
fio --name=load --directory=/srv --size=24m --rw=randrw --bs=4k --iodepth=8 --ioengine=io_uring --eta=never \
	--direct=1 --verify=crc32c --time_based --runtime=15 --output=/root/fio.txt &
fio=$!
sleep 5
systemctl kill --kill-whom=main --signal=KILL "$(unit)"
note "killed $before"
until_true 120 ringraid status data >/dev/null 2>&1 || fail "nobody has taken over"
note "taken over by $(main_pid)"
[ "$(main_pid)" != "$before" ] || fail "it is the old daemon"
wait $fio || { cat /root/fio.txt; fail "fio saw an error"; }
[ "$(systemctl show -P NRestarts "$(unit)")" = 1 ] || fail "the unit was not restarted once"
sha256sum --quiet -c /root/sum || fail "the file has changed"
note "fio saw nothing"
