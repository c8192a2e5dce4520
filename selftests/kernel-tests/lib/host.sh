# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host side of a test of the patched kernel: as a VM test, with guests that
# run kernel-tests/guest/NAME.sh (in the guest: /test/k), and the VM tests'
# verbs at hand (/test/t/lib.sh).
# shellcheck shell=bash source=selftests/vm-tests/lib/host.sh
. "${RINGRAID_TOP:?started by ./run test kernel}/selftests/vm-tests/lib/host.sh"
ktests=$RINGRAID_TOP/selftests/kernel-tests

# kernel_guest patched|debug NAME [VM-OPTION]... [-- ARG]...
kernel_guest() {
	local kernel=$1 name=$2
	shift 2
	guest "../k/$name" --kernel "$kernel" --file "$ktests/guest:/test/k" "$@"
}
