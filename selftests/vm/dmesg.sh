# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The judge of a guest's kernel log: a script that exits 0 over a kernel that
# warned has not passed.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

dmesg_bad='BUG:|kernel BUG at|WARNING:|Oops|Kernel panic|Call Trace:|general protection fault'
dmesg_bad+='|blocked for more than [0-9]+ seconds|soft lockup|hard LOCKUP|rcu: INFO:.*stall|rcu_.*detected.*stall'
dmesg_bad+='|possible (circular|recursive) locking|lock inversion detected|inconsistent lock state'
dmesg_bad+='|bad unlock balance|held lock freed|DEADLOCK|trying to register non-static key'
dmesg_bad+='|suspicious RCU usage|sleeping function called|scheduling while atomic'
dmesg_bad+='|KASAN:|UBSAN:|KCSAN:|list_(add|del) corruption|refcount_t:|unreferenced object'

# Said by healthy kernels about the machine they run on.
dmesg_harmless='Spectre V2 : WARNING'

# dmesg_complaints FILE ALLOWED-REGEX...: the lines that fail a run.
dmesg_complaints() {
	local file=$1 allow=$dmesg_harmless r
	shift
	for r in "$@"; do allow+="|$r"; done
	grep -aE "$dmesg_bad" "$file" | grep -avE "$allow" || true
}
