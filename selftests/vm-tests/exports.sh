#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Arrays offered by the kernel's targets and by qemu-storage-daemon, each with a client
# that verifies what it writes: while a member fails, while the daemon is killed and taken
# over; what is refused, and that no half of an export is left. NVMe/TCP and NBD in every
# run, and of the others the one whose turn it is by the seed; with --full all of them, and
# what each costs.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
from=$(is_native || root_dir)
mapfile -t members < <(nvme 4 64M)
options=()
for p in qemu-storage-daemon nbdkit vdpa iscsid iscsiadm; do
	for d in usr/bin usr/sbin; do
		[ ! -e "$from/$d/$p" ] || options+=(--file "$from/$d/$p:usr/bin/$p")
	done
done
plugin=usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-blkio-plugin.so
options+=(--file "$from/$plugin:$plugin")
for m in nvmet-tcp nvme-tcp nbd sd_mod target_core_iblock iscsi_target_mod iscsi_tcp vduse virtio_vdpa vhost_vdpa; do
	options+=(--module "$m")
done
guest exports "${members[@]}" "${options[@]}" --timeout 3600
