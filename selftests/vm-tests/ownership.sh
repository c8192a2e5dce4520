#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Nothing of others is touched, and nothing of ours is lost: devices whose number
# another array has now, links of another, run files and pins that are gone.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 6 32M)
guest ownership "${members[@]}" --timeout 900 --file "${RINGRAID_BUILD:?}/vm-tests/ublk_del:/test/ublk_del"
