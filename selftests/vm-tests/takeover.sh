#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A takeover knows that the members are what the dead daemon left: not after md
# wrote to them, not copies of them, not with another array's arena.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 6 32M)
guest takeover "${members[@]}" --timeout 900
