#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ext4 and XFS on the array: filled with a real tree, checked, and each member
# failed in turn with every checksum equal.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "$tests/lib/tree.sh"
make_tree "$dir" 30000000
mapfile -t members < <(nvme 4 128M)
guest fs "${members[@]}" --tree "$dir/tree" --file "$dir/sums:/test/sums" --timeout 1800
