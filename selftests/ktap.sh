# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One flat KTAP report out of everything that tests: results are numbered and
# counted here, whoever produced them. The counts are the last line; a run with
# a failure, or without a single pass, fails. Before them is said what took the
# time, and the failures again, each with the end of what it printed: of a long
# report a reader, or a CI that keeps its last lines, sees what failed and why.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

ktap_start() {
	ktap_n=0 ktap_passed=0 ktap_failed=0 ktap_skipped=0
	ktap_said=() ktap_failures=() ktap_times=()
	echo 'KTAP version 1'
}

ktap_pass() { echo "ok $((++ktap_n)) $1"; ktap_passed=$((ktap_passed + 1)) ktap_said=(); }
ktap_skip() { echo "ok $((++ktap_n)) $1 # SKIP $2"; ktap_skipped=$((ktap_skipped + 1)) ktap_said=(); }
ktap_fail() {
	echo "not ok $((++ktap_n)) $1"
	ktap_failed=$((ktap_failed + 1))
	ktap_failures+=("# not ok $ktap_n $1" "${ktap_said[@]: -$((${#ktap_said[@]} < 30 ? ${#ktap_said[@]} : 30))}")
	ktap_said=()
}

# ktap_say LINE: a diagnostic line of the test that runs.
ktap_say() {
	printf '# %s\n' "$1"
	ktap_said+=("#   $1")
	[ ${#ktap_said[@]} -lt 300 ] || ktap_said=("${ktap_said[@]: -30}")
}

# ktap_say_all: the lines of stdin.
ktap_say_all() {
	local line
	while IFS= read -r line || [ -n "$line" ]; do ktap_say "$line"; done
}

# ktap_took NAME SECONDS: a group, or a test that is a program of its own.
ktap_took() { ktap_times+=("$2 s  $1"); }

# Turns stdin into diagnostic lines.
ktap_note() { sed 's/^/# /'; }

ktap_end() {
	if [ ${#ktap_times[@]} -gt 1 ]; then
		echo '# what took longest:'
		printf '%s\n' "${ktap_times[@]}" | sort -rn | sed -n '1,30s/^/#   /p'
	fi
	[ "$ktap_failed" -eq 0 ] || printf '%s\n' '# what failed:' "${ktap_failures[@]}"
	echo "1..$ktap_n"
	echo "$ktap_passed passed, $ktap_failed failed, $ktap_skipped skipped"
	[ "$ktap_failed" -eq 0 ] && [ "$ktap_passed" -gt 0 ]
}

# ktap_program GROUP PARSER COMMAND...: runs COMMAND, hands each line of its
# output to PARSER GROUP LINE as it comes. A program that fails or says nothing
# without a failed test of its own has failed as a whole.
ktap_program() {
	local group=$1 parser=$2 line before=$ktap_n failed=$ktap_failed rc=0 fd pid
	shift 2
	exec {fd}< <("$@" 2>&1)
	pid=$!
	while IFS= read -r line <&"$fd" || [ -n "$line" ]; do "$parser" "$group" "$line"; done
	exec {fd}<&-
	wait $pid || rc=$?
	if [ $rc -ne 0 ] && [ "$ktap_failed" -eq "$failed" ]; then
		ktap_gtest_log_show
		ktap_fail "$group: the program died (exit code $rc)"
	elif [ "$ktap_n" -eq "$before" ]; then
		ktap_fail "$group: no test ran"
	fi
}

# GoogleTest's output: a test's own lines are shown when it fails.
ktap_log=()
ktap_gtest_log_show() {
	local line
	for line in "${ktap_log[@]}"; do ktap_say "$line"; done
	ktap_log=()
}

ktap_gtest() {
	local name=${2#*] }
	name=$1.${name% (*}
	case $2 in
	'[ RUN      ] '*) ktap_log=() ;;
	'[       OK ] '*' ms)') ktap_pass "$name"; ktap_log=() ;;
	'[  SKIPPED ] '*' ms)') ktap_skip "$name" "${ktap_log[*]:-skipped}"; ktap_log=() ;;
	'[  FAILED  ] '*' ms)') ktap_gtest_log_show; ktap_fail "$name" ;;
	'['*) ;;
	*) ktap_log+=("$2") ;;
	esac
}

# A program that prints KTAP: its results, renumbered under the group's name.
ktap_nested() {
	local re='^(ok|not ok) +([0-9]+ +)?(- +)?([^#]*[^# ])?( *# *SKIP *(.*))?'
	if [[ $2 =~ $re ]]; then
		if [ -n "${BASH_REMATCH[5]}" ]; then
			ktap_skip "$1.${BASH_REMATCH[4]}" "${BASH_REMATCH[6]}"
		elif [ "${BASH_REMATCH[1]}" = ok ]; then
			ktap_pass "$1.${BASH_REMATCH[4]}"
		else
			ktap_fail "$1.${BASH_REMATCH[4]}"
		fi
	else
		case $2 in
		'KTAP version'* | 'TAP version'* | '1..'* | '') ;;
		'# '*) ktap_say "${2#\# }" ;;
		*) ktap_say "${2#\#}" ;;
		esac
	fi
}
