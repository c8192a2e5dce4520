#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
. "${0%/*}/../lib/guest.sh"
members_null 4 "$member_mib"
. "${0%/*}/../lib/timed.sh"
