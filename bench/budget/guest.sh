#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What selftests/budget/requests.txt limits: ringraid alone, one kind after the other.
. "${0%/*}/../lib/guest.sh"
members_null 4 32
record_machine
span_most=$((64 << 20))
n=1024

# kind NAME KIND BYTES DEPTH REQUESTS
kind() {
	instructions "$@"
	counted "$@"
}

up bpf
kind read-4k randread 4096 32 $n
kind read-64k randread 65536 8 $((n / 4))
kind write-4k randwrite 4096 32 $n
kind write-64k randwrite 65536 8 $((n / 4))
kind write-stripe write "$(stripe_bytes)" 4 $((n / 8))
degrade
kind degraded-read-4k randread 4096 32 $n
kind degraded-write-4k randwrite 4096 32 $n
down
