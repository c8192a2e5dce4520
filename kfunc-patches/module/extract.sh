#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# extract.sh FILE PATCH...: prints FILE as the patch that creates it has it. A
# later patch that changes it is an error: the text would be another one.
set -eu
file=$1
shift
awk -v file="$file" '
	/^diff --git / { ours = $4 == "b/" file; inside = 0 }
	ours && /^new file mode / { made++ }
	ours && /^index / && !made { changed = 1 }
	ours && /^@@ / { inside = 1; next }
	/^-- $/ { inside = 0 }
	ours && inside && /^\+/ { print substr($0, 2) }
	END {
		if (made != 1 || changed) {
			print "extract.sh: no single patch makes " file | "cat >&2"
			exit 1
		}
	}' "$@"
