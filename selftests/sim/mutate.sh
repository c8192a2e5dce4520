#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Does the simulator see bugs? Each file in mutations/ is a sed script that
# plants one (its head says in which files, and what the bug is). Every mutant
# is built out of the tree and must be killed: sim_tests must fail. A script
# that no longer changes its file is a failure too.
#
#   mutate.sh [DIR [NAME...]]   build in DIR (default, or empty: a temporary one)
#
# Without names every third one has its turn, by RINGRAID_SEED, which is printed; all
# of them where RINGRAID_LEVEL is full or nothing.
#
# Prints KTAP with the killing seed; --steps and --schedules as below.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)
steps=200 schedules=50000 patience=600
cxx=${CXX:-c++} cc=${CC:-cc}

if [ -n "${1:-}" ]; then
	dir=$(mkdir -p "$1" && cd "$1" && pwd -P)
	shift
else
	[ $# -eq 0 ] || shift
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
fi

# compile TREE SOURCE OBJECT: as the build does, with the headers of TREE.
compile() {
	local flags=(-O2 -g "-I$1/bpf" "-I$1/bpf/include" "-I$1/loader")
	case $2 in
	*.c) "$cc" "${flags[@]}" -include "$here/interleave.h" -c -o "$3" "$1/$2" ;;
	loader/service/bitmap.cpp | loader/engine/log_writer.cpp) "$cxx" -std=gnu++20 "${flags[@]}" -include "$here/interleave_control.h" -c -o "$3" "$1/$2" ;;
	*) "$cxx" -std=gnu++20 "${flags[@]}" -c -o "$3" "$1/$2" ;;
	esac
}

sim_sources=()
for f in "$here"/*.cpp; do sim_sources+=("selftests/sim/${f##*/}"); done
engine_sources=(bpf/engine/host.c loader/engine/redo.cpp)
# Of these a mutant compiles what its script names.
control_sources=(loader/base/{crc32c,io,text}.cpp loader/engine/{flush_desk,layout,log_writer}.cpp
	loader/md/{bitmap,ppl,superblock,update}.cpp loader/service/{bitmap,judge}.cpp)
object() { echo "$1/$(tr / _ <<<"${2%.*}").o"; }

# What no mutation touches is compiled once.
mkdir -p "$dir/common"
fixed=()
for s in "${sim_sources[@]}" "${control_sources[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
	compile "$top" "$s" "$(object "$dir/common" "$s")" &
done
for s in "${sim_sources[@]}"; do fixed+=("$(object "$dir/common" "$s")"); done
wait

# mutant NAME: prints one line, "killed ..." or why not.
mutant() {
	local script=$here/mutations/$1.sed tree=$dir/$1 file s out rc=0 objects=() sources=("${engine_sources[@]}")
	file=$(sed -n 's/^# file: //p' "$script")
	rm -rf "$tree"
	mkdir -p "$tree/loader"
	cp -r "$top/bpf" "$tree/bpf"
	cp -r "$top"/loader/{base,engine,md,service} "$tree/loader/"
	for s in $file; do
		sed -i -f "$script" "$tree/$s"
		if cmp -s "$top/$s" "$tree/$s"; then
			echo "does not apply to $s"
			return
		fi
	done
	for s in "${control_sources[@]}"; do
		if [[ " $(tr '\n' ' ' <<<"$file")" == *" $s "* ]]; then
			sources+=("$s")
		else
			objects+=("$(object "$dir/common" "$s")")
		fi
	done
	for s in "${sources[@]}"; do
		objects+=("$(object "$tree" "$s")")
		compile "$tree" "$s" "${objects[-1]}" 2>"$tree/log" || { echo 'does not compile'; cat "$tree/log" >&2; return; }
	done
	"$cxx" -o "$tree/sim_tests" "${fixed[@]}" "${objects[@]}" -lfmt
	out=$(timeout $patience "$tree/sim_tests" --seed 1 --steps $steps --schedules $schedules --jobs 1 --stop 2>&1) || rc=$?
	case $rc in
	0) echo "survived $schedules schedules" ;;
	124) echo "survived $patience seconds" ;;
	*) echo "killed by $(sed -n '0,/^# seed /s/^# seed //p' <<<"$out")" ;;
	esac
}

names=("$@")
seed=${RINGRAID_SEED:-$RANDOM}
if [ $# -eq 0 ]; then
	all=("$here"/mutations/*.sed)
	for n in "${!all[@]}"; do
		f=${all[n]##*/}
		if [ "${RINGRAID_LEVEL:-full}" = full ] || [ $((n % 3)) = $((seed % 3)) ]; then names+=("${f%.sed}"); fi
	done
fi
for n in "${names[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
	mutant "$n" >"$dir/$n.result" &
done
wait

echo 'KTAP version 1'
echo "# ${#names[@]} mutations, seed $seed (repeat with RINGRAID_SEED=$seed)"
number=0 failed=0
for n in "${names[@]}"; do
	result=$(cat "$dir/$n.result")
	number=$((number + 1))
	case $result in
	'killed by '*) echo "# $n: $result"; echo "ok $number mutation $n" ;;
	*) echo "# $n: $result"; echo "not ok $number mutation $n"; failed=$((failed + 1)) ;;
	esac
done
echo "1..$number"
[ $failed -eq 0 ]
