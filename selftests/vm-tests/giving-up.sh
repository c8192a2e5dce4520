#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a dead daemon was writing is not thrown away: by stop --force, by --force-new,
# with members that are maps, late, read-only, or were away meanwhile.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 32M)
guest giving-up "${members[@]}" --timeout 900 --module dm-delay --module dm-flakey
