#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The write-intent bitmap: a crash costs what was being written, and a member that was
# away gets what it missed; from and to md.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 10 32M)
guest bitmap "${members[@]}" --timeout 1500
