#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does each promise about crashes cost a write?
. "${0%/*}/../lib/host.sh"
bench_guest "${counting[@]}" -- "$@"
