#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The series' own selftest on the patched kernel: every test passes, the ones
# that a module cannot pass included.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "${BASH_SOURCE[0]%/*}/lib/xor-selftest.sh"
run_selftest patched 5 --mem 1536
judge_selftest "$dir/log" "the patched kernel"
