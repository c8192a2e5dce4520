#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An array that mends itself: rebuilt on a spare while clients work, stopped, killed
# and cut off half-way, finished by md and begun by md; checked and repaired.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 10 32M)
guest heal "${members[@]}" --timeout 1500
