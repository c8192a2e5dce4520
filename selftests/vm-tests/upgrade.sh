#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The datapath is exchanged under fio verify, to another layout of what it keeps
# and back, ten upgrades: no I/O error, no wrong byte, no count lost.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
rounds=5
! is_full || rounds=50
mapfile -t members < <(nvme 4 48M)
objects=()
for o in upgrade/next upgrade/foreign upgrade/wild raid5; do
	objects+=(--file "$RINGRAID_BUILD/$o.bpf.o:/test/o/${o##*/}.bpf.o")
done
guest upgrade "${members[@]}" "${objects[@]}" --timeout 3000 -- $rounds
