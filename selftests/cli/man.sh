#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The manual pages: without a warning, and with each command, option and setting.
. "${0%/*}/lib.sh"
pages=("$top/docs/ringraid.8" "$top/docs/ringraid.conf.5" "$top/docs/ringraid.7")

# Cross references to pages of other packages are not looked for here.
clean() { mandoc -T lint -W warning "$1"; }

rendered() { mandoc -T utf8 -O width=200 "$1" | sed 's/.\x08//g'; }

every_command() {
	local c
	rendered "${pages[0]}" >"$tmp/page"
	for c in $(below); do
		grep -qE "^\.It Cm $c( |$)" "${pages[0]}" || { echo "no $c"; return 1; }
	done
	for c in $(below store); do
		grep -qE "\b$c\b" "$tmp/page" || { echo "no store $c"; return 1; }
	done
}

every_option() {
	local c option bad=0
	rendered "${pages[0]}" >"$tmp/page"
	while read -r c; do
		# shellcheck disable=SC2086 # words
		for option in $("$program" $c --help | grep -oE '^  (-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
			grep -qE -- "$option([^a-z-]|$)" "$tmp/page" || { echo "$c: no $option"; bad=1; }
		done
	done < <(commands)
	return $bad
}

# With its default, as the program has it.
every_setting() {
	local name standard bad=0
	rendered "${pages[1]}" >"$tmp/page"
	"$program" --json config "$tmp/nothing" >"$tmp/json"
	while IFS=$'\t' read -r name standard; do
		awk -v name="$name" '$1 == name && $2 == "=" { on = 1; print; next } on && / = / { exit } on' "$tmp/page" >"$tmp/item"
		[ -s "$tmp/item" ] || { echo "no $name"; bad=1; }
		[ -z "$standard" ] || tr -s ' \n' ' ' <"$tmp/item" | grep -F -- "Default: $standard" >/dev/null || { echo "$name: not $standard"; bad=1; }
	done < <(jq -r '.array, .monitor, .check | to_entries[] | [.key, .value.value] | @tsv' "$tmp/json")
	return $bad
}

for page in "${pages[@]}"; do check "man.${page##*/}" clean "$page"; done
check man.every-command every_command
check man.every-option every_option
check man.every-setting every_setting
