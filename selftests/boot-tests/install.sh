#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Installed by apt on a fresh Debian 13: an array is made, mounted by name in fstab, there
# after a reboot, and its daemon may die. Shutdowns leave clean superblocks.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
machine 4 128M
boot install
expect_clean
boot reboot
expect_clean
