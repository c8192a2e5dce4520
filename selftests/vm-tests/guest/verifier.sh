#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# verifier.sh OBJECT...: BPF objects without our loader, under our loader, and
# their price.
. "${0%/*}/lib.sh"
pins=/sys/fs/bpf/verifier-test
modprobe ublk_drv

# Lines "PROGRAM INSTRUCTIONS STACK" out of libbpf's debug output.
costs() {
	awk '/^libbpf: prog .*BEGIN PROG LOAD LOG/ { split($0, p, "\047"); name = p[2]; stack = 0 }
		/^stack depth/ { for (i = 3; i <= NF; i++) if ($i + 0 > stack) stack = $i + 0 }
		/^processed [0-9]+ insns/ { print name, $2, stack }' "$1"
}

# over_budget: programs that cost more than 5 % above budget, or have none.
over_budget() {
	awk 'NR == FNR { if ($0 !~ /^#/ && NF) { insns[$1] = $2; stack[$1] = $3 }; next }
		!($1 in insns) { print $1 ": no budget (it takes " $2 " instructions, " $3 " bytes of stack)"; next }
		{ seen[$1] = 1 }
		$2 > insns[$1] * 1.05 { print $1 ": " $2 " instructions, the budget is " insns[$1] " + 5 %" }
		$3 > stack[$1] * 1.05 { print $1 ": " $3 " bytes of stack, the budget is " stack[$1] " + 5 %" }
		END { for (p in insns) if (!(p in seen)) print p ": has a budget but was not verified" }' /test/verifier.txt "$1"
}

all_named() {
	[ -z "$(bpftool -j "$1" show | jq -r '.[] | select((.name // "") == "") | .id')" ] || fail "a $1 has no name"
}

for name in "$@"; do
	object=/usr/local/lib/ringraid/$name.bpf.o
	bpftool -d prog loadall "$object" "$pins" >"$tmp/log" 2>&1 || { grep -v '^subprog' "$tmp/log" | tail -n 30; fail "bpftool does not load $object"; }
	costs "$tmp/log" >>"$tmp/costs"
	all_named prog
	all_named map
	say "$name: loaded by bpftool, verified with its defaults"
	rm -r "$pins"
done
sed 's/^/        /' "$tmp/costs"
over_budget "$tmp/costs" >"$tmp/over"
[ ! -s "$tmp/over" ] || { cat "$tmp/over"; fail "above the budget (selftests/budget/verifier.txt)"; }
say "within the budget"

read -ra members < <(disks 4)
start t "${members[@]}" --chunk 64K --assume-clean --engine bpf --queues 2
load io --rw=randrw --bs=4k --iodepth=8 --size=2m
[ "$(bpftool -j struct_ops show | jq '[.[] | select(.kernel_struct_ops == "io_uring_bpf_ops")] | length')" = 2 ] ||
	fail "bpftool struct_ops show does not show two io_uring_bpf_ops"
bpftool -j struct_ops dump name raid5_queue0 | jq -e . >/dev/null || fail "bpftool cannot dump raid5_queue0"
[ "$(bpftool -j prog show id "$(st program_id)" | jq -r .name)" = raid5_loop_step ] || fail "status names another program"
all_named prog
all_named map
for id in $(bpftool -j prog show | jq -r '.[] | select(.name | startswith("raid5")) | .id'); do
	bpftool -j prog show id "$id" | jq -e .btf_id >/dev/null || fail "program $id has no BTF"
	bpftool prog dump xlated id "$id" >/dev/null 2>&1 || fail "program $id cannot be dumped"
done
for id in $(bpftool -j map show | jq -r '.[].id'); do
	kind=$(bpftool -j map show id "$id" | jq -r .type)
	name=$(bpftool -j map show id "$id" | jq -r .name)
	# An arena is pages: it has neither keys nor values to dump or describe.
	[ "$kind" != arena ] || continue
	bpftool -j map dump id "$id" >"$tmp/dump" 2>&1 || { cat "$tmp/dump"; fail "map $name cannot be dumped"; }
	bpftool -j map show id "$id" | jq -e .btf_id >/dev/null || fail "map $name has no BTF"
	jq -e '.[0] | (.formatted // .) | .value | type == "object"' "$tmp/dump" >/dev/null ||
		{ head -c 400 "$tmp/dump"; fail "map $name is not readable: its values have no type"; }
done
jq -n --arg v "$(st verifier)" '$v' | grep -q 'processed [0-9]* insns' || fail "status does not say what the verifier took"
no_stream
stop
# The kernel frees them a moment after the daemon has ended.
left() { bpftool -j map show | jq -r '.[].name' | grep raid5 || true; }
for ((i = 0; i < 50; i++)); do
	[ -n "$(left)" ] || break
	sleep 0.1
done
[ -z "$(left)" ] || fail "maps are left after stop: $(left)"
say "bpftool shows and dumps every program and map of a running array; none is left after it"
