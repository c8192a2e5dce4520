# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The workloads of the figures that take times, over the competitors named by
# the script's arguments, or all.
# shellcheck shell=bash disable=SC2154 # variables of guest.sh

# Names are pattern, size, depth and, above one, jobs.
timed_quick() {
	timed randread-4k-qd1 "$time" --rw=randread --bs=4k --iodepth=1
	timed randread-4k-qd32 "$time" --rw=randread --bs=4k --iodepth=32
	timed randwrite-4k-qd1 "$time" --rw=randwrite --bs=4k --iodepth=1
	timed randwrite-4k-qd32 "$time" --rw=randwrite --bs=4k --iodepth=32
	timed write-stripe-qd8 "$time" --rw=write --bs="$(stripe_bytes)" --iodepth=8
}

timed_full() {
	local rw depth jobs
	for rw in randread randwrite; do
		for depth in 1 8 32 64; do
			timed $rw-4k-qd$depth "$time" --rw=$rw --bs=4k --iodepth=$depth
		done
		for jobs in 2 3 4; do
			timed $rw-4k-qd32-j$jobs "$time" --rw=$rw --bs=4k --iodepth=32 --numjobs=$jobs
		done
		timed $rw-64k-qd8 "$time" --rw=$rw --bs=64k --iodepth=8
	done
	timed write-stripe-qd8 "$time" --rw=write --bs="$(stripe_bytes)" --iodepth=8
	timed read-stripe-qd8 "$time" --rw=read --bs="$(stripe_bytes)" --iodepth=8
	timed mix-70-30-4k-qd32 "$time" --rw=randrw --rwmixread=70 --bs=4k --iodepth=32
	timed randwrite-4k-qd32-flush "$time" --rw=randwrite --bs=4k --iodepth=32 --fdatasync=8
}

degraded_timed_level() {
	timed degraded-randread-4k-qd32 "$time" --rw=randread --bs=4k --iodepth=32
	timed degraded-randwrite-4k-qd32 "$time" --rw=randwrite --bs=4k --iodepth=32
}

timed_level() { "timed_$LEVEL"; }

record_machine
rounds=2 time=1s
[ "$LEVEL" = quick ] || { rounds=3 time=1500ms; }
interleave $rounds timed_level "$@"
