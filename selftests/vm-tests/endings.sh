#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The end of a life: kill -9 at any point of a stop, a stop after a member
# vanished, a member that is failed while another is slow, a kernel that refuses the
# last step of a start.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 32M)
guest endings "${members[@]}" --timeout 900 --module dm-delay \
	--file "${RINGRAID_BUILD:?}/vm-tests/refuse_start.bpf.o:/test/refuse_start.bpf.o" \
	--file "$RINGRAID_BUILD/vm-tests/refuse_recovery.bpf.o:/test/refuse_recovery.bpf.o"
