# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host side of a VM test: boots guests that run guest/NAME.sh.
#
# A test is deterministic but for its seed, which it prints; RINGRAID_SEED
# repeats one. Everything it writes is in $dir, which is removed.
# shellcheck shell=bash disable=SC2034 # variables of the test that sources this
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
run=${RINGRAID_RUN:?started by ./run test vm}
tests=${RINGRAID_TOP:?}/selftests/vm-tests
level=${RINGRAID_LEVEL:-normal}
seed=${RINGRAID_SEED:-$((RANDOM * 32768 + RANDOM))}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
echo "seed $seed (repeat with RINGRAID_SEED=$seed), level $level"

fail() { echo "FAIL: $*"; exit 1; }

is_full() { [ "$level" = full ]; }

# nvme COUNT SIZE: that many empty NVMe disks, as options for guest.
nvme() {
	local i
	for ((i = 0; i < $1; i++)); do printf -- '--disk\nnvme:%s\n' "$2"; done
}

# bad_sector: sets $bad, and makes $dir/read, by which a disk fails its reads thirty
# times, and $dir/write, by which it fails all writes there. It is somewhere past
# the superblock; the guest needs it to hold data on member 3.
bad_sector() {
	local i
	bad=$((20480 + (4 * (seed % 20) + 1 + seed % 3) * 128 + 16))
	for ((i = 0; i < 30; i++)); do
		printf '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "%d"\niotype = "read"\nonce = "on"\n' $bad
	done >"$dir/read"
	printf '[inject-error]\nevent = "write_aio"\nerrno = "5"\nsector = "%d"\niotype = "write"\n' $bad >"$dir/write"
}

# What a guest needs that is target and hosts of NVMe over TCP at once, and what its kernel
# may say of it.
# shellcheck disable=SC2034 # for tests
over_fabrics=(--module nvmet --module nvmet-tcp --module nvme-tcp
	--allow-dmesg 'nvme|nvmet|I/O error|Buffer I/O|reservation conflict|critical (target|nexus|space) error')

# guest NAME [VM-OPTION]... [-- ARG]...: boots and runs guest/NAME.sh ARG...; with
# RINGRAID_CASES only these cases of it, where it has some.
guest() {
	local name=$1 options=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	"$run" vm --file "$tests/guest:/test/t" "${options[@]}" -- \
		env SEED="$seed" LEVEL="$level" CASES="${RINGRAID_CASES:-}" bash "/test/t/$name.sh" "$@"
}
