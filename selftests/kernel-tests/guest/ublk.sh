#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Runs the installed ublk selftests one by one, as their own runner does; their
# files lie on a file system that knows O_DIRECT.
# shellcheck source=selftests/vm-tests/guest/lib.sh
. "${0%/*}/../t/lib.sh"
quietly mkfs.ext4 -q /dev/disk0
mkdir -p /test/files
quietly mount /dev/disk0 /test/files
export TMPDIR=/test/files PATH=/test/selftests/bin:$PATH
# There is no udev to wait for: devtmpfs has a node when its device is there.
# shellcheck disable=SC2016 # an argument of the script itself
printf '#!/bin/sh\n[ "$1" = settle ]\n' >/test/selftests/bin/udevadm
chmod +x /test/selftests/bin/udevadm
cd /test/selftests/ublk

# left_out TEST: prints why, if it is.
left_out() {
	case $1 in
	# Nobody waits for its dd, which, emulated, writes a file of that name.
	test_generic_06.sh) echo "its dd has to open the device before the daemon's death takes it away" ;;
	test_stress* | test_loop* | test_generic_07.sh | test_recover_03.sh)
		is_full || echo "takes minutes when emulated: with --full"
		;;
	esac
}

i=0
for t in test_*.sh; do
	[[ $t != test_common.sh ]] || continue
	i=$((i + 1)) rc=0
	why=$(left_out "$t")
	if [ -n "$why" ]; then
		echo "ok $i $t # SKIP left out: $why"
		continue
	fi
	timeout 120 bash "./$t" >"$tmp/log" 2>&1 || rc=$?
	case $rc in
	0) echo "ok $i $t" ;;
	4) echo "ok $i $t # SKIP $(tail -n1 "$tmp/log")" ;;
	*) echo "not ok $i $t # exit code $rc"; sed 's/^/# /' "$tmp/log" | tail -n 20 ;;
	esac
done
echo "1..$i"
cd /
quietly umount /test/files
