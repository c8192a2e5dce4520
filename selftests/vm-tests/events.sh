#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What an array tells: events to who follows them, through failures, a takeover, a full
# /run and the end; and superblocks, ours and md's, in mdadm's words.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 6 32M)
guest events "${members[@]}" --timeout 900
