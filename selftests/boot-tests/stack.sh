#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# LUKS and LVM on an array, by crypttab and fstab: there after a reboot, and a shutdown
# takes all of it down in order, so that the superblocks are clean.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
machine 4 128M
boot stack make
expect_clean
boot stack use
expect_clean
