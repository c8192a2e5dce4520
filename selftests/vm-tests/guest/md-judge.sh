#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The same disks, served by ringraid and by md in turn: each must read what the
# other wrote, healthy and without any one member, and md's check must find
# parity right. A case is "LAYOUT CHUNK MEMBERS MISSING FIRST"; MISSING is a role
# or "none", FIRST says who makes the array. Either the whole matrix, or cases
# that cover every pair of values, of which every other one has its turn.
. "${0%/*}/lib.sh"

matrix() {
	local layout chunk members missing first
	for layout in left-asymmetric right-asymmetric left-symmetric right-symmetric; do
		for chunk in 4K 64K 512K; do
			for members in 3 4 5 8; do
				for missing in none $(seq 0 $((members - 1))); do
					for first in ours md; do echo $layout $chunk $members "$missing" $first; done
				done
			done
		done
	done
}

# Greedy, from a seeded shuffle: the case with the most new pairs comes next.
# Roles count as first, last or between, but each of every size is in once.
pairwise() {
	awk -v seed="$seed" '
		function once(key, mark) {
			if (key in seen) return 0
			if (mark) seen[key] = 1
			return 1
		}
		function news(i, mark,    a, b, n) {
			n = once(v[i, 6], mark)
			for (a = 1; a <= 5; a++)
				for (b = a + 1; b <= 5; b++) n += once(a " " v[i, a] " " b " " v[i, b], mark)
			return n
		}
		{
			line[NR] = $0
			for (i = 1; i <= 5; i++) v[NR, i] = $i
			v[NR, 6] = $3 " " $4
			if ($4 != "none") v[NR, 4] = $4 == 0 ? "first" : $4 == $3 - 1 ? "last" : "between"
		}
		END {
			srand(seed)
			for (i = 1; i <= NR; i++) order[i] = i
			for (i = NR; i > 1; i--) { j = int(rand() * i) + 1; t = order[i]; order[i] = order[j]; order[j] = t }
			for (;;) {
				best = 0
				for (i = 1; i <= NR; i++) { n = news(order[i], 0); if (n > best) { best = n; which = order[i] } }
				if (!best) break
				news(which, 1)
				print line[which]
			}
		}'
}

# fresh_ref: other data than any case before, as much as $block holds.
fresh_ref() {
	local bytes skip
	bytes=$(blockdev --getsize64 "$block")
	skip=$((RANDOM % 64 * 65536 + 4097))
	tail -c +$skip "$tmp/noise" >"$tmp/ref"
	truncate -s "$bytes" "$tmp/ref"
	quietly dd if="$tmp/ref" of="$block" bs=1M oflag=direct conv=fsync status=none
}

# some_writes: of all sizes, anywhere; 32 KiB and more cross chunks and stripes.
some_writes() {
	local sectors i count
	sectors=$(($(blockdev --getsize64 "$block") / 512))
	for i in 1 2 8 24 200 1100; do
		count=$((i + RANDOM % i))
		write_at $(((RANDOM * 32768 + RANDOM) % (sectors - count))) $count
	done
}

# as md|ours ACTION...: ACTION, with $block served by the one or the other.
serve_md() {
	if [ "$missing" = none ]; then take "${disks[@]}"; else take_degraded "${kept[@]}"; fi
	block=$md
}
serve_ours() { again "${kept[@]}" --engine "$engine" --degraded; state "$health"; }

create_ours() {
	ringraid create t "${disks[@]}" --layout "$layout" --chunk "$chunk" --force --wait --engine "$engine" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log"; fail "create"; }
	block=$(st block_device)
}

create_md() {
	local chunk_kib=${chunk%K} named=("${disks[@]}")
	[ "$missing" = none ] || named[missing]=missing
	quietly mdadm --create "$md" --run --level=5 --raid-devices="$members" --chunk="$chunk_kib" --layout="$layout" \
		--bitmap="$bitmap" "${named[@]}"
	block=$md
	md_idle
}

# The parity is judged in the end, when all members are there.
rebuild_and_check() {
	serve_md
	[ "$missing" = none ] || readd "${disks[missing]}"
	read_all "by md, at the end of: $*"
	check "$*"
	give
}

one() {
	layout=$1 chunk=$2 members=$3 missing=$4
	local first=$5
	read -ra disks < <(disks "$members")
	kept=("${disks[@]}") health=healthy
	[ "$missing" = none ] || { unset "kept[$missing]"; kept=("${kept[@]}") health=degraded; }
	engine=bpf bitmap=none
	[ $((RANDOM % 4)) != 0 ] || engine=user
	[ "$missing" != none ] || [ $((RANDOM % 2)) = 0 ] || bitmap=internal
	if [ "$first" = ours ]; then
		create_ours
		fresh_ref
		[ "$missing" = none ] || quietly ringraid fail t "${disks[missing]}"
		some_writes
		stop
		serve_md
		read_all "by md, made by ringraid: $*"
		some_writes
		give
		serve_ours
		read_all "by ringraid, written by md: $*"
	else
		create_md
		fresh_ref
		some_writes
		give
		serve_ours
		read_all "by ringraid, made by md: $*"
	fi
	some_writes
	stop
	rebuild_and_check "$*"
}

head -c 96000000 /dev/urandom >"$tmp/noise"
if is_full; then matrix >"$tmp/cases"; else matrix | pairwise | awk -v turn=$((seed % 2)) 'NR % 2 == turn' >"$tmp/cases"; fi
say "$(wc -l <"$tmp/cases") of $(matrix | wc -l) cases"
while read -ru 3 layout chunk members missing first; do
	one "$layout" "$chunk" "$members" "$missing" "$first"
	say "$layout, $chunk chunks, $members members, $missing missing, $first first"
done 3<"$tmp/cases"
