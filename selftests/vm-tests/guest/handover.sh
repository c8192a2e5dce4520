#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `ringraid handover`: see the cases.
. "${0%/*}/lib.sh"
read -ra ours < <(disks 4)
spare=/dev/disk4

begin() { # ENGINE
	wipe "${ours[@]}" "$spare"
	start t "${ours[@]}" --chunk 64K --assume-clean --engine "$1"
	fill
	busy
}

end() {
	end_clients
	no_stream
	stop
	judge "${ours[@]}"
}

# longest_ms COMMAND...: what a client that reads 4 KiB after 4 KiB waits at most meanwhile.
longest_ms() {
	local probe
	fio --name=probe --filename="$block" --direct=1 --ioengine=psync --rw=randread --bs=4k --size=16m \
		--time_based --runtime=3000 --output-format=json --output="$tmp/probe" &
	probe=$!
	sleep 2
	"$@"
	sleep 1
	kill -INT "$probe"
	wait "$probe" || true
	longest=$(sed -n '/^{/,$p' "$tmp/probe" | jq '.jobs[0].read.clat_ns.max / 1000000 | floor')
}

hand_over() {
	local before
	before=$(st pid)
	ringraid --json handover t >"$tmp/handover" 2>"$tmp/log" || { cat "$tmp/log" "$tmp/handover"; fail "no handover"; }
	[ "$(jq .from_pid "$tmp/handover")" = "$before" ] || fail "it was not $before that handed over"
	[ "$(st pid)" = "$(jq .pid "$tmp/handover")" ] || fail "pid $(st pid) serves"
	eventually "the old daemon ends" is_dead "$before"
	state healthy
}

# verified_ahead: the last handover's clients did not wait for the verifier, which takes longest.
verified_ahead() {
	local log
	log=/run/ringraid/$(st uuid | tr : -)/log
	grep -oE 'verifier: processed|that hands it over' "$log" | tail -n 2 >"$tmp/order"
	[ "$(head -n 1 "$tmp/order")" = 'verifier: processed' ] || { cat "$log"; fail "verified while clients wait"; }
}

take_over() {
	kill_daemon
	again "${ours[@]}"
	state healthy
}

# The same clients, the same array: a daemon that hands over, and one that is killed.
under_load() {
	local engine told longest by_hand
	for engine in bpf user; do
		begin $engine
		hand_over
		told=$(jq '.pause_ns / 1000000 | floor' "$tmp/handover")
		longest_ms hand_over
		by_hand=$longest
		say "$engine: by its own clock $told and $(jq '.pause_ns / 1000000 | floor' "$tmp/handover") ms, parked after $(jq '.park_ns / 1000000 | floor' "$tmp/handover")"
		longest_ms take_over
		say "$engine: a client waits $by_hand ms for a handover, $longest ms for a kill and takeover (emulated)"
		hand_over
		[ $engine = user ] || verified_ahead
		end
	done
}

# What it serves with goes along: rates, a spare, a job that runs.
goes_along() {
	begin bpf
	quietly ringraid add t "$spare"
	quietly ringraid set t sync-min=10 sync-max=400
	quietly ringraid check t
	hand_over
	[ "$(st job.sync_max_kib)" = 400 ] || fail "sync-max is $(st job.sync_max_kib)"
	[ "$(job kind)" = check ] || fail "the check is gone: $(st job)"
	[ "$(st 'spares | length')" = 1 ] || fail "the spare is gone: $(st spares)"
	quietly ringraid set t sync-max=0
	quietly ringraid wait t
	quietly ringraid fail t "${ours[1]}"
	eventually "the spare is in" is_state healthy
	hand_over
	end_clients
	stop
	judge "${ours[0]}" "${ours[2]}" "${ours[3]}" "$spare"
}

# ask: somebody asks for a handover; $old serves and $next prepares, and stands still.
ask() {
	old=$(st pid)
	ringraid handover t >"$tmp/asked" 2>&1 &
	asked=$!
	eventually "it prepares" is_preparing
	kill -STOP "$next"
}
is_preparing() {
	next=''
	read -r next _ <"/proc/$old/task/$old/children" || true
	[ -n "$next" ]
}

# The next daemon cannot: the old one serves, and says why.
refused_and_served() {
	local node
	begin bpf
	old=$(st pid)
	node=$(readlink -f "${ours[2]}")
	mv "$node" /dev/hidden
	refused 'member 2 is not found' ringraid handover t
	grep -q 'hint: this daemon goes on' "$tmp/log" || { cat "$tmp/log"; fail "no hint"; }
	mv /dev/hidden "$node"
	[ "$(st pid)" = "$old" ] || fail "another daemon serves"

	# Killed while it prepares.
	ask
	refused 'handed over already' ringraid handover t
	kill -9 "$next"
	! wait $asked || fail "handed over to a dead process"
	grep -q 'this daemon goes on' "$tmp/asked" || { cat "$tmp/asked"; fail "says nothing of it"; }
	[ "$(st pid)" = "$old" ] || fail "another daemon serves"
	hand_over
	end
}

# The old one dies while the next one prepares: that ends, and nobody serves.
old_dies_early() {
	begin bpf
	ask
	kill_daemon
	! wait $asked || fail "handed over by a dead process"
	kill -CONT "$next"
	eventually "the next one ends" is_dead "$next"
	again "${ours[@]}"
	state healthy
	end
}

# Somebody serves it, or it can be taken over.
settled() {
	local rc=0
	eventually "nobody is left in between" is_decided
	ringraid status >/dev/null 2>&1 || rc=$?
	[ $rc != 0 ] || { served=$((served + 1)); return 0; }
	[ $rc = 4 ] || fail "status gives $rc"
	taken=$((taken + 1))
	again "${ours[@]}"
	state healthy
}
is_decided() { is_dead "$next" || [ "$(st life)" = serving ]; }

# Either dies at some moment of the change itself: from the one when the old one answers
# no more, which is just after "yours".
killed_in_the_middle() {
	local round who at served=0 taken=0 rounds=6
	! is_full || rounds=40
	begin bpf
	for ((round = 0; round < rounds; round++)); do
		at=/run/ringraid/$(st uuid | tr : -)/control.sock
		[ -S "$at" ] || fail "no socket at $at"
		ask
		kill -CONT "$next"
		until [ ! -S "$at" ]; do :; done
		who=$old
		[ $((round % 2)) = 0 ] || who=$next
		sleep "0.$(printf '%02d' $((RANDOM % 40)))"
		kill -9 "$who" 2>/dev/null || true
		wait $asked || true
		settled
	done
	say "$rounds times: $served served, $taken taken over"
	end
}

play under_load goes_along refused_and_served old_dies_early killed_in_the_middle
