#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# crash-check.sh ENGINE HEALTH KIND POLICY LAST: after the crash, the array starts by
# the rules and everything up to marker LAST is there.
. "${0%/*}/lib.sh"
engine=$1 health=$2 kind=$3 policy=$4 last=$5
read -ra members < <(disks 4)
stripe=$((3 * 64 * 1024))

if [ "$policy" = default ]; then
	again "${members[@]}" --engine "$engine"
	grep -q 'parity log: [1-9][0-9]* entries' "$tmp/log" || { cat "$tmp/log"; fail "nothing was in the log"; }
	! grep -q 'recomputing parity' "$tmp/log" || { cat "$tmp/log"; fail "a resync, with a log"; }
elif [ "$health" = degraded ]; then
	refused 'not stopped cleanly' ringraid assemble "${members[@]}" --engine "$engine"
	grep -q '^hint: .*force' "$tmp/log" || fail "no hint that it can be forced"
	again "${members[@]}" --engine "$engine" --force
else
	ringraid assemble "${members[@]}" --engine "$engine" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "assemble"; }
	grep -q 'recomputing parity' "$tmp/log" || { cat "$tmp/log"; fail "no resync after a crash"; }
	block=$(st block_device)
fi
state "$health"

if [ "$kind" = ext4 ]; then
	mkdir /m
	mount "$block" /m
fi
for ((i = 0; i <= last; i++)); do
	printf '%8192s' "marker $i of $seed" >"$tmp/want"
	if [ "$kind" = raw ]; then
		dd if="$block" of="$tmp/got" bs=8192 count=1 skip=$((i * stripe)) iflag=direct,skip_bytes status=none
	else
		cp "/m/marker$i" "$tmp/got" || fail "marker $i is gone"
	fi
	same "$tmp/want" "$tmp/got" "marker $i of 0 to $last"
done
if [ "$kind" = ext4 ]; then
	umount /m
	quietly e2fsck -fn "$block"
fi
no_stream
if [ "$health" = healthy ] && [ "$policy" != default ]; then
	quietly timeout 600 ringraid wait t
	echo "    $(st 'job.last.mismatch_sectors') sectors of parity were not right"
fi
stop
[ "$health" = degraded ] || judge "${members[@]}"
say "$engine engine, $health, $kind, $policy: $((last + 1)) durable markers, all there"
