#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What else does a request cost: member I/O, copies, system calls, switches?
. "${0%/*}/../lib/host.sh"
bench_guest -- "$@"
