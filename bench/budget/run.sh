#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What ringraid's requests cost, for selftests/vm-tests/requests.sh.
. "${0%/*}/../lib/host.sh"
bench_guest "${counting[@]}" -- "$@"
