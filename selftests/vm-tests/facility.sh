#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The VM facility judges every other VM test, so its own verdicts are tested:
# what must fail fails, with the exit code that says why.
# shellcheck disable=SC2016 # the guest expands what is in single quotes
set -euo pipefail
run=${RINGRAID_RUN:?started by ./run test vm}
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT

fail() { echo "FAIL: $*"; exit 1; }

# expect CODE OPTIONS...: ./run vm must exit with CODE; its output is in $dir/log.
expect() {
	local want=$1 got=0
	shift
	"$run" vm "$@" >"$dir/log" 2>&1 || got=$?
	[ $got -eq "$want" ] || { cat "$dir/log"; fail "exit code $got instead of $want: vm $*"; }
}

says() { grep -qE "$1" "$dir/log" || { cat "$dir/log"; fail "no '$1' in the output"; }; }

# A script with arguments, input by file and by tree, results and its exit code.
mkdir "$dir/tree"
echo leaf >"$dir/tree/leaf"
echo word >"$dir/word"
cat >"$dir/script" <<'EOF'
#!/bin/bash
echo "$2" "$(cat word)" "$(cat /data/leaf)"
mkdir /out/sub
head -c 1000000 /dev/zero >/out/sub/file
exit 7
EOF
expect 7 --script "$dir/script" --file "$dir/word" --tree "$dir/tree" --out "$dir/out" -- a 'two words'
says '^two words word leaf$'
[ "$(stat -c %s "$dir/out/sub/file")" = 1000000 ] || fail "/out did not come back whole"

# Disks come in the order given, whatever the kernel calls them, and an image keeps its contents.
truncate -s 32M "$dir/image"
expect 0 --disk nvme:16M --disk nvme:"$dir/image" --disk virtio:64M -- sh -c '
	for i in 0 1 2; do blockdev --getsize64 /dev/disk$i; done; echo kept | dd of=/dev/disk1 conv=fsync'
[ "$(grep -E '^[0-9]+$' "$dir/log" | paste -sd' ')" = "16777216 33554432 67108864" ] || fail "disks out of order"
[ "$(head -c 4 "$dir/image")" = kept ] || fail "the image lost a write"

# An injected media error reaches the guest as one.
printf '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "16"\n' >"$dir/rules"
expect 1 --disk nvme:16M,blkdebug="$dir/rules" -- dd if=/dev/disk0 of=/dev/null bs=4k skip=2 count=1
says 'Input/output error'

# A kernel that complains fails a script that passes, unless the complaint is expected.
expect 125 -- sh -c 'echo "BUG: planted" >/dev/kmsg'
says 'BUG: planted'
expect 0 --allow-dmesg 'BUG: planted' -- sh -c 'echo "BUG: planted" >/dev/kmsg'

# No verdict is not a pass.
expect 124 --timeout 10 -- sleep 1000
expect 126 -- sh -c 'echo c >/proc/sysrq-trigger'
says 'sysrq triggered crash'

# md on the same disks, the reference that others compare with.
expect 0 --disk nvme:64M --disk nvme:64M --disk nvme:64M --disk nvme:64M --module raid456 -- sh -c '
	mdadm --create /dev/md0 --run --level=5 --raid-devices=4 /dev/disk0 /dev/disk1 /dev/disk2 /dev/disk3 &&
	mdadm --wait /dev/md0; grep UUUU /proc/mdstat && mdadm --stop /dev/md0'
says '\[UUUU\]'
