#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What tools are told of the array's shape, and where its threads run.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 5 400M)
guest geometry "${members[@]}" --timeout 600
