#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The table of docs/life.md, walked on a real array: every state by every command, by
# kill -9, and by what happens from outside. The guest gets the table from the page.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# STATE|EVENT|OUTCOME|THEN, a line each.
awk -F ' *[|] *' '/^### / { state = substr($0, 5) }
	state && NF == 6 && $2 != "event" && $2 !~ /^-/ { print state "|" $2 "|" $3 "|" $4 }' \
	"$RINGRAID_TOP/docs/life.md" >"$dir/table"
[ "$(wc -l <"$dir/table")" -ge 80 ] || fail "the table of docs/life.md has $(wc -l <"$dir/table") rows"
mapfile -t members < <(nvme 4 16M)
guest life "${members[@]}" --file "$dir/table:/test/table" \
	--file "${RINGRAID_BUILD:?}/vm-tests/ublk_del:/test/ublk_del" --module dm-delay --timeout 1500
