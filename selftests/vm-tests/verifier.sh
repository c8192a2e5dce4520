#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The BPF objects as bpftool sees them: loadable without our loader, named, with
# BTF, readable; and what the verifier takes, against selftests/budget.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 32M)
# Another kernel may offer more to a program, and the verifier then sees more of it.
budget=$RINGRAID_TOP/selftests/budget/verifier-${RINGRAID_KERNEL:-stock}.txt
[ -e "$budget" ] || budget=$RINGRAID_TOP/selftests/budget/verifier.txt
guest verifier "${members[@]}" --file "$budget:/test/verifier.txt" -- raid5
