#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# crash-write.sh ENGINE HEALTH KIND POLICY MS: writes and says what is durable, until
# the machine dies without a warning. KIND is raw or ext4; POLICY the array's consistency,
# as it is by default or "bitmap".
. "${0%/*}/lib.sh"
engine=$1 health=$2 kind=$3 policy=$4 ms=$5
read -ra members < <(disks 4)
options=(--engine "$engine" --chunk 64K --assume-clean)
[ "$policy" = default ] || options+=(--consistency "$policy")
start t "${members[@]}" "${options[@]}"
stripe=$((3 * 64 * 1024))

# Noise all over what the markers do not use, so that many stripes are in flight.
noise() {
	fio --name=noise --filename="$1" --direct=1 --ioengine=libaio --iodepth=32 --rw=randwrite --bssplit=$mix \
		--randseed="$seed" --time_based --runtime=600 "${@:2}" >/dev/null 2>&1 &
}

case $kind in
raw) noise "$block" --offset=60m --size=60m ;;
ext4)
	quietly mkfs.ext4 -q "$block"
	mkdir /m
	mount "$block" /m
	noise /m/noise --size=40m
	;;
esac
if [ "$health" = degraded ]; then quietly ringraid fail t "${members[1]}"; fi
(
	usleep $((ms * 1000))
	echo b >/proc/sysrq-trigger
) &
# One marker to a stripe: no later write can hurt it, whole or degraded.
for ((i = 0; i < 300; i++)); do
	printf '%8192s' "marker $i of $seed" >"$tmp/marker"
	if [ "$kind" = raw ]; then
		dd if="$tmp/marker" of="$block" bs=8192 count=1 seek=$((i * stripe)) oflag=direct,seek_bytes conv=fsync status=none
	else
		dd if="$tmp/marker" of="/m/marker$i" bs=8192 conv=fsync status=none
		sync -f "/m/marker$i" 2>/dev/null || sync
	fi
	echo "durable $i"
done
sleep 60
