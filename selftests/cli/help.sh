#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# --help of every command: one screen, with an example that its own parser takes.
. "${0%/*}/lib.sh"

# A screen is 24 lines; what starts an array has more options than that.
lines_of() {
	case $1 in
	create | assemble) echo 40 ;;
	'') echo 48 ;; # a line for each command
	*) echo 24 ;;
	esac
}

helped() {
	local text
	# shellcheck disable=SC2086 # words
	text=$("$program" $1 --help)
	[ "$(wc -l <<<"$text")" -le "$(lines_of "$1")" ] || { echo "$(wc -l <<<"$text") lines"; return 1; }
	[ "$(wc -L <<<"$text")" -le 80 ] || { echo "more than 80 columns"; return 1; }
	grep -q "^example: .*ringraid" <<<"$text" || { echo "no example"; return 1; }
	# Its words, and each option of the example, are the command's.
	local example word
	example=$(sed -n 's/^example: //p' <<<"$text")
	[ -z "$1" ] || [[ "$example" =~ ringraid\ (--json\ )?$1 ]] || { echo "another command's example: $example"; return 1; }
	# shellcheck disable=SC2013 # words
	for word in $(grep -oE -- ' --[a-z-]+' <<<"$example"); do
		[ "$word" = --json ] || grep -qE -- "$word\b" <<<"${text%example:*}" || { echo "no option $word"; return 1; }
	done
}

check help. helped ''
while read -r command; do
	check "help.${command// /-}" helped "$command"
done < <(commands)
