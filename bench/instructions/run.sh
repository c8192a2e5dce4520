#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How many instructions does a request cost, client and all, and where do they go?
. "${0%/*}/../lib/host.sh"
bench_guest "${counting[@]}" -- "$@"
daemon_symbols
