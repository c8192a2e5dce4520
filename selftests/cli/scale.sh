#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The figures of docs/scale.md: the simulation agrees with the closed form, and the page
# has what the program prints.
. "${0%/*}/lib.sh"
scale=$top/bench/scale/scale.py

printed() {
	python3 "$scale" | grep '^|' >"$tmp/printed"
	sed -n '/^## The numbers/,/^What they say/p' "$top/docs/scale.md" | grep '^|' | diff - "$tmp/printed"
}
deterministic() {
	local n
	for n in 1 2; do python3 "$scale" --check --lives 20 >"$tmp/run$n" || true; done
	cmp "$tmp/run1" "$tmp/run2"
}

check scale.agrees python3 "$scale" --check --lives 300
check scale.deterministic deterministic
check scale.page printed
