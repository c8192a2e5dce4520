#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 0 to 3 are the array, 4 a spare, 5 to 7 another array.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
spare=/dev/disk4
other=(/dev/disk5 /dev/disk6 /dev/disk7)
conf=/etc/ringraid/ringraid.conf
mkdir -p /etc/ringraid/conf.d /out/json

array() {
	rm -f $conf /etc/ringraid/conf.d/*
	wipe "${disks[@]}" "$spare" "${other[@]}"
	[ $# = 0 ] || printf '%b' "$1" >$conf
	# All there is to measure: a log has no bits to count.
	start t "${disks[@]}" --chunk 64K --assume-clean --consistency bitmap "${@:2}"
}
is() { [ "$(st "$1")" = "$2" ] || fail "$1 is $(st "$1"), not $2"; }

# Settings reach a start, the command line counts more, and rates are changed live.
configured() {
	local uuid
	array '[array]\ndepth = 32\nslots = 16\nsync-max = 5000\n[array t]\nqueues = 1\ndepth = 8\n' --slots 24
	is queues 1
	is depth 8
	is slots 24
	is job.sync_max_kib 5000
	is job.sync_min_kib 1000
	quietly ringraid set t sync-max=0
	is job.sync_max_kib 0
	quietly ringraid set t configured
	is job.sync_max_kib 5000
	uuid=$(st uuid)
	stop
	# By uuid, in a file of its own; what is wrong is said, and is no reason not to serve.
	printf '[array %s]\nsync-max = 300\ndepth = 64\nslots = 0\n' "$uuid" >/etc/ringraid/conf.d/mine.conf
	again "${disks[@]}"
	grep -q '^ringraid: /etc/ringraid/conf.d/mine.conf:4: slots: 0 is not from 1 to 256' "$tmp/log" ||
		{ cat "$tmp/log"; fail "nothing is said of a wrong line"; }
	is depth 64
	is slots 16
	is job.sync_max_kib 300
	# A promise above the limit is lowered with it.
	is job.sync_min_kib 300
	! ringraid config >"$tmp/config" 2>&1 || fail "ringraid config takes a wrong line"
	grep -A3 '^\[array .*:t\]' "$tmp/config" | grep -q 'depth .*= 64 .*mine.conf:3' || { cat "$tmp/config"; fail "not what holds"; }
	# A name, found on the disks.
	stop
	quietly ringraid assemble --name t
	is job.sync_max_kib 300
	# A successor has them, too.
	kill_daemon
	quietly timeout 100 ringraid assemble --scan
	is job.sync_max_kib 300
	stop
	# The wait of a section by name counts for who asks by uuid, as a unit does.
	rm -f /etc/ringraid/conf.d/*
	printf '[array]\nwait = 90\n[array t]\nwait = 1\n' >$conf
	wipe "${disks[3]}"
	! timeout 80 ringraid assemble --uuid "$uuid" 2>"$tmp/log" || fail "it was started without a member"
	grep -q '^ringraid: waiting up to 1 s for late disks' "$tmp/log" || { cat "$tmp/log"; fail "the wait is not its own"; }
}

saved() { # NAME COMMAND...
	local to=/out/json/$1.json
	shift
	ringraid --json "$@" >"$to" 2>"$tmp/err" || true
	[ -s "$to" ] || { cat "$tmp/err"; fail "ringraid --json $* prints nothing"; }
}

# Every command, in the states that change its answer; the host validates.
answers() {
	local pid
	rm -f $conf /etc/ringraid/conf.d/*
	wipe "${disks[@]}" "$spare"
	saved create create t "${disks[@]}" --chunk 64K
	block=$(st block_device)
	saved status.resync status t
	saved wait wait t
	fill
	saved stats stats t
	saved check check t
	saved pause pause t
	saved resume resume t
	saved cancel cancel t
	saved check.wait check t --wait
	saved repair repair t --wait
	saved status.done status t
	saved set set t sync-max=300
	saved set.bitmap set t bitmap=none
	saved upgrade.plan upgrade t --plan
	saved upgrade upgrade t
	saved handover handover t
	saved fail fail t 1
	saved status.degraded status t
	saved check.degraded check t
	saved add add t "$spare"
	saved status.rebuild status t
	exec 9<"$block"
	saved stop.busy stop t
	exec 9<&-
	quietly ringraid set t sync-max=0
	saved watch watch t
	saved remove remove t /dev/disk1
	saved add.spare add t /dev/disk1
	saved events events t
	saved examine examine "${disks[@]}" "$spare"
	saved check.all check --all --for 60s
	saved config config
	saved features features
	pid=$(st pid)
	kill -9 "$pid"
	saved status.dead status t
	eventually "taken over" ringraid assemble --scan >"$tmp/log" 2>&1
	saved stop stop t
	saved assemble assemble --name t
	saved stop.force stop t --force
	saved stop.none stop t
}

# watched: a monitor's program and mails are in $tmp/calls and $tmp/mails.
watch_with() {
	cat >"$tmp/mail" <<-EOF
		#!/bin/sh
		cat >>$tmp/mails
	EOF
	cat >"$tmp/program" <<-EOF
		#!/bin/sh
		echo "\$@" >>$tmp/calls
	EOF
	chmod +x "$tmp/mail" "$tmp/program"
	ringraid monitor --sendmail "$tmp/mail" --program "$tmp/program" 2>>"$tmp/told" &
	monitor=$!
}
called() { [ "$(grep -cxF -- "$1" "$tmp/calls" 2>/dev/null)" = "${2:-1}" ]; }
mailed() { grep -qF -- "$1" "$tmp/mails" 2>/dev/null; }

monitored() {
	rm -rf /run/ringraid/monitor* "$tmp"/{mails,calls}
	rm -rf /run/ringraid/*-*
	watch_with
	array ''
	eventually "NewArray" called "NewArray $block"
	quietly ringraid fail t 1
	eventually "Fail" called "Fail $block /dev/disk1"
	eventually "a mail" mailed 'Subject: Fail event on t:'
	mailed ' degraded  [4/3] [U_UU]' || { cat "$tmp/mails"; fail "the mail does not say how the array is"; }
	# The monitor is killed; what happens meanwhile is told by the next one, once.
	kill -9 $monitor
	quietly ringraid add t "$spare"
	eventually "rebuilt" is_state healthy
	watch_with
	eventually "SpareActive" called "SpareActive $block $spare"
	called "Fail $block /dev/disk1" || fail "Fail is told again"
	kill_daemon
	eventually "DaemonDied" called "DaemonDied $block"
	eventually "a mail of a dead daemon" mailed 'Subject: DaemonDied event on t:'
	quietly timeout 100 ringraid assemble --scan
	is_state healthy || fail "not taken over"
	stop
	eventually "DeviceDisappeared" called "DeviceDisappeared $block"
	kill $monitor
}

kind() { [ "$(ringraid --json status "$1" | jq -r ".job.now | if . then .kind + \" \" + .state else \"none\" end")" = "$2" ]; }

# All arrays, for a time; the rest the next time; what is found is the exit code's.
checked() {
	local rc=0 stripe
	array '[array]\nsync-max = 200\nsync-min = 200\n[array v]\ncheck = no\n'
	quietly ringraid create u "${other[@]}" --chunk 64K --assume-clean
	quietly ringraid check --all --for 2s
	kind t 'check paused' || fail "t: $(ringraid --json status t | jq -c .job.now)"
	kind u 'check paused' || fail "u: $(ringraid --json status u | jq -c .job.now)"
	for a in t u; do quietly ringraid set $a sync-max=0; done
	quietly ringraid check --all --continue --for 0
	grep -q '^ringraid: u: is checked: done, 0 sectors did not match' "$tmp/log" || { cat "$tmp/log"; fail "u was not checked"; }
	kind t none || fail "t is not checked"
	# Nothing was paused: it ends at once, and begins nothing.
	quietly ringraid check --all --continue
	kind t none || fail "--continue begins a check"
	# One that runs when the service manager ends this is paused.
	quietly ringraid set t sync-max=200
	ringraid check --all >"$tmp/log" 2>&1 &
	eventually "a check of t" kind t 'check running'
	kill $!
	wait $! || fail "ended by SIGTERM: exit code $?"
	kind t 'check paused' || fail "t is not paused"
	# Something is wrong on a disk of u.
	for a in t u; do ringraid cancel $a >/dev/null 2>&1 || true; done
	quietly ringraid set t sync-max=0
	stripe=$(offset_of /dev/disk5)
	dd if=/dev/urandom of=/dev/disk5 bs=512 seek=$((stripe + 8)) count=8 oflag=direct conv=notrunc status=none
	ringraid check --all --for 0 >"$tmp/log" 2>&1 || rc=$?
	[ $rc = 1 ] || { cat "$tmp/log"; fail "a mismatch: exit code $rc"; }
	grep -q '^ringraid: u: is checked: done, 8 sectors did not match' "$tmp/log" || { cat "$tmp/log"; fail "not said"; }
	quietly ringraid fail t 0
	ringraid check --all --for 0 >"$tmp/log" 2>&1 || true
	grep -q '^ringraid: t: is left alone: it is degraded' "$tmp/log" || { cat "$tmp/log"; fail "degraded"; }
	quietly ringraid stop t
	quietly ringraid stop u
}

# timed JQ: of stats, as it is now; there timed(WHICH): how many such requests the histograms have.
timed() { ringraid --json stats t | jq -r "def timed(f): [.latency.ways[] | select(f) | .count] | add; $1"; }
# All that was counted was timed, and nothing else.
all_timed() {
	[ "$(timed '[timed(.op == "read"), timed(.op == "write"), timed(.op == "flush")] == [.reads, .writes, .flushes]')" = true ]
}
every_request_timed() {
	# What reads a new device (udev) may be at work still.
	eventually "every request is timed" all_timed
	[ "$(timed 'all(.latency.ways[]; .count == (.buckets | add))')" = true ] || fail "buckets do not add up"
}
# fio's own mean of reads, one at a time, beside the engine's, in ns.
compared() {
	local before fio engine
	before=$(timed '[.latency.ways[0].count, .latency.ways[0].total_ns]')
	fio=$(fio --name=r --filename="$block" --direct=1 --rw=randread --bs=4k --number_ios=400 --size=16m \
		--output-format=json | jq '.jobs[0].read.clat_ns.mean | floor')
	engine=$(timed "[.latency.ways[0].count, .latency.ways[0].total_ns] as \$now | $before as \$then
		| if \$now[0] - \$then[0] < 400 then 0 else (\$now[1] - \$then[1]) / (\$now[0] - \$then[0]) | floor end")
	say "a read of 4 KiB: $fio ns by fio, $engine ns by the engine"
	if [ "$engine" -le $((fio / 50)) ] || [ "$engine" -ge "$fio" ]; then fail "that cannot be"; fi
}

timed_requests() {
	local engine before
	for engine in $(engines); do
		array '[array]\nlatency = on\n' --engine "$engine" --queues 2
		is latency.on true
		load mix --rw=randrw --bssplit="$mix" --iodepth=16 --size=24m --fsync=50
		load stripes --rw=write --bs=192k --size=6m
		every_request_timed
		[ "$(timed 'timed(.path == "full") >= 32 and timed(.path == "rebuilt" or .path == "degraded") == 0')" = true ] ||
			{ timed .latency.ways; fail "not the ways that they took"; }
		compared
		# Off: nothing more; and it goes on where it was.
		quietly ringraid set t latency=off
		before=$(timed .latency)
		load off --rw=randrw --bs=4k --iodepth=8 --size=2m
		[ "$(timed .latency)" = "$before" ] || fail "something is timed"
		quietly ringraid set t configured
		# A member out: reads of it are rebuilt. A successor has the histograms.
		quietly ringraid fail t 1
		load degraded --rw=randrw --bs=16k --iodepth=8 --size=4m
		[ "$(timed 'timed(.path == "rebuilt") > 0 and timed(.path == "rebuilt") <= .rebuilt_reads')" = true ] ||
			{ timed .; fail "rebuilt reads are not told apart"; }
		before=$(timed '[.latency.ways[].count] | add')
		kill_daemon
		quietly timeout 100 ringraid assemble --scan
		is latency.on true
		[ "$(timed '[.latency.ways[].count] | add')" -ge "$before" ] || fail "the successor began anew"
		ringraid stats t | sed -n '/latency :/,$p'
		# (The user engine has no punts, which the host looks for.)
		[ "$engine" = user ] || quietly ringraid stats --prometheus --output /out/timed.prom
		stop
	done
}

measured() {
	array '[array]\nlatency = on\n'
	busy
	quietly ringraid top --once --interval 2
	cat "$tmp/log"
	awk '$1 == "t" && $2 == "healthy" && $4 != "0.0" && $8 != "-" && $10 != "-" { found = 1 } END { exit !found }' "$tmp/log" ||
		fail "top shows no writes, or no latency"
	quietly ringraid stats --prometheus --output /out/ringraid.prom
	ringraid status t
	end_clients
	grep -qE '^ringraid_member_requests_total\{array="t",.*member="/dev/disk2",op="write"\} [1-9]' /out/ringraid.prom ||
		{ cat /out/ringraid.prom; fail "no I/O of members"; }
	stop
}

# Back to md, which finds it as it was left; and from md.
released() {
	local list=/etc/ringraid/arrays uuid d
	mkdir -p $list
	array
	fill
	uuid=$(ls $list)
	[ -n "$uuid" ] || fail "it is not in $list"
	refused 'being served' ringraid release t
	stop
	refused 'no disk here is of other' ringraid release other
	for d in "${disks[@]}"; do
		put32 "$d" 208 0
		put32 "$d" 212 0
		fix_checksum "$d"
	done
	refused 'not stopped cleanly' ringraid release t
	[ -e "$list/$uuid" ] || fail "it was taken out of the list all the same"
	ringraid assemble "${disks[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "assemble"; }
	quietly ringraid wait t
	stop
	saved release release t
	[ ! -e "$list/$uuid" ] || fail "it is in the list"
	md=/dev/md/t
	mkdir -p /dev/md
	quietly sh -c "$(jq -r .mdadm /out/json/release.json)"
	md=$(readlink -f $md)
	check "md has it"
	block=$md
	read_all "by md"
	refused "is a part of ${md##*/}" ringraid release t
	grep -q 'hint: .*nothing to release' "$tmp/log" || { cat "$tmp/log"; fail "no hint"; }
	touch "$list/$uuid"
	refused "is a part of ${md##*/}" ringraid release t
	grep -q 'hint: .*mdadm --stop' "$tmp/log" || { cat "$tmp/log"; fail "no hint"; }
	rm "$list/$uuid"
	give
	again "${disks[@]}"
	[ -e "$list/$uuid" ] || fail "assemble does not take it back"
	read_all "by ringraid again"
	stop
	quietly ringraid release t
	grep -q "^mdadm --assemble /dev/md/t --uuid=" "$tmp/log" || { cat "$tmp/log"; fail "no command for md"; }
	quietly ringraid release t
	grep -q 'was not ringraid' "$tmp/log" || { cat "$tmp/log"; fail "released twice"; }
	rmdir $list
	md=/dev/md0
}

play configured answers monitored checked timed_requests released measured
