#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# fio verifies random mixes of 512 B to 4 MiB over NVMe members: both engines,
# several queues (as many CPUs as queues), several depths; md judges the parity.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 5 64M)
guest fio-verify "${members[@]}" --cpus 4 --timeout 3000
