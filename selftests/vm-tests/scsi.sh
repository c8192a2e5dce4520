#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members that are SCSI disks: LUNs of the kernel's iSCSI target, to which two hosts of one
# guest are two initiators. Their reservations are other commands than NVMe's.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
from=$(is_native || root_dir)
mapfile -t members < <(nvme 4 16M)
options=()
for p in iscsid iscsiadm; do options+=(--file "$from/usr/sbin/$p:usr/sbin/$p"); done
guest scsi "${members[@]}" "${options[@]}" --module sd_mod --module iscsi_tcp --module iscsi_target_mod --module target_core_iblock \
	--allow-dmesg 'reservation conflict|I/O error|Buffer I/O|critical (target|nexus) error|iSCSI|connection[0-9]+:[0-9]+:'
