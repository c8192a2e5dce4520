#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. "${0%/*}/../lib/guest.sh"
members_disks 4 "$member_mib"
[ "$LEVEL" != quick ] || set -- raw md-tuned bpf user linear
. "${0%/*}/../lib/timed.sh"
