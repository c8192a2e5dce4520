#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# md as judge: arrays of ringraid under md and arrays of md under ringraid, over
# layouts, chunk sizes, members and missing members. Pairwise; --full: all.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 8 12M)
guest md-judge "${members[@]}" --timeout 7200
