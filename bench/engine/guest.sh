#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The engine by itself, in windows that are counted.
set -euo pipefail
echo 1 >/proc/sys/net/core/bpf_jit_kallsyms
/bench/engine_count /bench/objects /out
cat /proc/kallsyms >/out/kallsyms
