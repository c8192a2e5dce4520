# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A real tree of files to fill a file system with: part of the environment's
# own /usr, so the same files for the same environment.
# shellcheck shell=bash source=selftests/vm/environment.sh disable=SC2034,SC2154 # variables shared with what is sourced
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"

# make_tree DIR BYTES: at least BYTES of files in DIR/tree, their checksums in DIR/sums.
make_tree() {
	local from=/
	is_native || from=$(root_dir)
	mkdir -p "$1/tree"
	(cd "$from" && find usr/include usr/lib/x86_64-linux-gnu usr/share -xdev -type f -size -16384k -printf '%p\t%s\n') |
		LC_ALL=C sort | awk -F'\t' -v want="$2" 'n < want { print $1; n += $2 } END { exit n < want }' >"$1/list" ||
		die "the environment has less than $2 bytes of files"
	(cd "$from" && xargs -d '\n' cp --parents -t "$1/tree") <"$1/list"
	(cd "$1/tree" && xargs -d '\n' sha256sum) <"$1/list" >"$1/sums"
}
