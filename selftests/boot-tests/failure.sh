#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A disk of a mounted array is pulled: mail, a changed metric, a spare that takes its place,
# and clients who see nothing.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
machine 5 96M
boot failure
lacking=1
members=5
boot failure again
