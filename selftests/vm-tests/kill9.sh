#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# kill -9 of the daemon costs its clients a pause: no error, no wrong byte, no
# resync, healthy and degraded, with both engines.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
kills=3
! is_full || kills=20
mapfile -t members < <(nvme 4 48M)
guest kill9 "${members[@]}" --timeout 3000 -- $kills
