#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the README's first screen says, line for line, on a new machine whose disks are
# called as it calls them: after a reboot everything is there.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
more_files=("$top/README.md")
sata=1
strangers=1
machine 5 128M
boot readme follow
expect_clean
boot readme again
expect_clean
