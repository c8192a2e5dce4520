#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a flush takes, and how many the members get, on members that flush slowly.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 24M)
guest flush "${members[@]}" --cpus 4 --module dm-delay --timeout 900
