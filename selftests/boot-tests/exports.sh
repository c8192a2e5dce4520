#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An array that is exported by NVMe/TCP: a shutdown ends the export before the array, so that
# the superblocks are clean; the next boot exports it again. A stop by force ends it, too, and
# the next start exports it again.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
machine 4 128M
boot exports make
expect_clean
boot exports again
expect_clean
