#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A member that is in use is replaced: under load, stopped, killed and cut off half-way,
# with the new device, the old one or another member lost meanwhile; finished by md, begun
# by md.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 12 32M)
guest replace "${members[@]}" --timeout 1500 --module dm-flakey
