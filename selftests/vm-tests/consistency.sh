#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The partial parity log: made, kept through kills and stops, recovered from by us and by md,
# taken up and given up while clients write; from and to md.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 10 32M)
guest consistency "${members[@]}" --timeout 1500
