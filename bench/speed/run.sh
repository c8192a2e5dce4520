#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How do throughput and latency compare, on members that cost nothing?
. "${0%/*}/../lib/host.sh"
bench_guest -- "$@"
