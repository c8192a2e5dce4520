#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. "${0%/*}/../lib/guest.sh"
members_disks 4 "$member_mib"
if [ $# -eq 0 ]; then
	set -- raw md-tuned bpf bpf-nvme user linear
	[ "$LEVEL" = quick ] || set -- raw md md-tuned md-ppl bpf bpf-xor bpf-nvme user linear
fi
. "${0%/*}/../lib/timed.sh"
