#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# fight.sh STEPS: two hosts fight for one array in random steps.
#
# A step is a start (with and without --take-over), a stop, a kill -9, the end of what a
# daemon left, a path or all of them cut or made again, a target that boots and has forgotten
# its reservations, a member failed or added. A client writes wherever the array is served,
# and until it is told that it is no more.
#
# Before each step a model (the variables below) says how it may end, and it must end so.
# Nobody asks ringraid who writes:
#
#   ledger   has every write of the clients: what was acknowledged is there, and no host gets
#            an acknowledgement for what was written when the other had begun to serve
#   turns    sees every request that the kernel sends to a member, on which host's path: none
#            of a write succeeds when it is not that host's turn, be it data or superblock
#   md       finds parity right, at intervals and at the end
#
# Waits are for what must come, and decide nothing by their length.
. "${0%/*}/lib.sh"
. "${0%/*}/lib-fabrics.sh"
read -ra disks < <(disks 4)
steps=$1
judged_each=50
patience=1800 # of eventually
cells=3072 # of 4 KiB: 12 MiB
declare -A other=([a]=b [b]=a)

# What a host is: none, serving, or dead, which is what a daemon that was killed leaves.
declare -A life=([a]=none [b]=none)
declare -A lost=()   # [HOST]: the other one has served since this one's daemon began
declare -A cut=()    # [HOST MEMBER]: there is no path
declare -A held=()   # [MEMBER]: the host that has it reserved; ?: one that served, perhaps
declare -A client=() # [HOST]: the process
declare -A pid=()    # [HOST]: of the daemon
out=''               # the member that is out of the array
dirty=''             # the superblocks do not say clean
tenure=0
turn=''

# note TEXT: of a step, for who looks at a failure.
note() { say "$*" >>"$tmp/steps"; }

# What the observer has seen goes first: it needs no model.
shows() {
	trap - ERR
	set +e
	[ "$1" = 0 ] && return
	cat "$tmp/steps"
	printf 'step %s; seen beside right:\n' "${step:-0}"
	grep -v ^right "$tmp/turns" | sed 's/^/    /'
	on b ringraid status 2>&1 | sed 's/^/    b: /'
	model
	echo
}
trap 'shows $?' EXIT

# draw N: $drawn is the next of the seed's numbers, below N.
chance=$seed
draw() {
	chance=$(((chance * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((chance >> 8) % $1))
}

# The observer of requests.
trace=/sys/kernel/tracing/instances/fight
watch() {
	local host n of=() filter=()
	mkdir -p $trace
	for host in a b; do
		for n in 0 1 2 3; do
			of+=("$(numbers "/dev/$host$n" | tr : ,)=$host")
			filter+=("dev == $((0x$(stat -Lc %t "/dev/$host$n") << 20 | 0x$(stat -Lc %T "/dev/$host$n")))")
		done
	done
	printf -v filter '%s || ' "${filter[@]}"
	echo 4096 >$trace/buffer_size_kb
	for n in issue complete; do
		echo "${filter% || }" >"$trace/events/block/block_rq_$n/filter"
		echo 1 >"$trace/events/block/block_rq_$n/enable"
	done
	/test/turns "${of[@]}" <$trace/trace_pipe >"$tmp/turns" &
	watcher=$!
}
turn() {
	turn=$1
	echo "turn $1" >$trace/trace_marker
}
# seen: until here nobody has written whose turn it was not.
seen() {
	echo "sync $1" >$trace/trace_marker
	eventually "the observer comes so far" grep -q "^[a-z]* $1:" "$tmp/turns"
	grep -q "^right $1:" "$tmp/turns" || { grep -v ^right "$tmp/turns"; fail "two hosts write"; }
}

# reaches HOST [MEMBER]: all that are in the array, or that one.
reaches() {
	local n
	for n in ${2:-0 1 2 3}; do
		[ "$n" = "$out" ] && [ -z "${2:-}" ] || [ -z "${cut[$1$n]:-}" ] || return 1
	done
}
cuts() { printf %s "${cut[${1}0]:-}" "${cut[${1}1]:-}" "${cut[${1}2]:-}" "${cut[${1}3]:-}"; }
is_cut_off() { [ "$(cuts "$1")" = 1111 ]; }
serves() { [ "${life[$1]}" = serving ] && [ -z "${lost[$1]:-}" ]; }

# begin HOST: a tenure, and its client.
begin() {
	tenure=$((tenure + 1))
	/test/ledger write "$tmp/ledger" "${block[$1]}" $tenure >"$tmp/client-$1" 2>&1 &
	client[$1]=$!
}
# end_client HOST RC...: it ends in one of these ways.
end_client() {
	local host=$1 rc=0
	shift
	wait "${client[$host]}" || rc=$?
	[[ " $* " == *" $rc "* ]] || { cat "$tmp/client-$host"; fail "the client on host $host ends with $rc, not $*"; }
	client[$host]=''
}

# look HOST: asks the daemon who it is, and which member is out.
declare -A block=()
look() {
	local said
	said=$({ on "$1" ringraid --json status || true; } | jq -r \
		'"\(.pid) \(.block_device) \(.members | map(.state) | to_entries | map(select(.value != "active").key) | join(","))"')
	read -r "pid[$1]" "block[$1]" out <<<"$said"
	[[ $out =~ ^[0-3]?$ ]] || fail "members that are out: $out"
}
is_going() {
	local said
	said=$({ on "$1" ringraid --json status || true; } | jq -r '.fence as $f | [(.waiting_for | length),
		([.members[] | select(.state == "active").role] - [$f.members[] | select(.holder == $f.key).role] | length)] | join(" ")')
	[ "$said" = "0 0" ]
}
has() {
	local n
	for n in 0 1 2 3; do [ "$n" = "$out" ] || [ -n "${cut[$1$n]:-}" ] || held[$n]=$1; done
}

# expect HOST TAKE-OVER DEGRADED: $want is how a start ends.
#   ok; reserved, for the other; a regex of a refusal
expect() {
	local host=$1 n late='' here=0 foreign=''
	want=ok
	for n in 0 1 2 3; do
		[ "$n" != "$out" ] || continue
		if [ -n "${cut[$host$n]:-}" ]; then
			late=$n
		else
			here=$((here + 1))
			[ "${held[$n]}" != "${other[$host]}" ] || foreign=1
		fi
	done
	if [ "${life[$host]}" = serving ]; then
		want='is being served'
		# Whose members cannot be read is not known.
		[ $here -gt 0 ] || want+='|no device carries the array'
	elif [ "${life[$host]}" = dead ] && { [ -n "${lost[$host]:-}" ] || [ -n "$late" ]; }; then
		want='.'
	elif [ "${life[$host]}" = dead ]; then
		:
	elif [ $here -lt 3 ]; then
		want='missing|cannot|no '
	elif [ -n "$dirty" ] && [ $here -lt 4 ]; then
		want='was not stopped cleanly'
	elif [ -n "$late" ] && [ -z "$3" ]; then
		want='is missing, and the other members count on it'
	elif [ -n "$foreign" ] && [ -z "$2" ]; then
		want=reserved
	fi
}

fail_start() {
	cat "$tmp/said"
	fail "a start $*"
}
# assemble HOST TAKE-OVER DEGRADED
assemble() {
	local host=$1 rc=0 before=$turn options=() was=${life[$1]} n
	[ -z "$2" ] || options+=(--take-over)
	[ -z "$3" ] || options+=(--degraded)
	expect "$@"
	[ "$want" != ok ] || turn "$turn$host"
	# shellcheck disable=SC2046 # words
	on "$host" ringraid assemble $(members "$host") "${options[@]}" --engine user --queues 1 \
		--clean-after 0 --no-path-timeout 86400 >"$tmp/said" 2>&1 || rc=$?
	ended="$want: $rc"
	case $want in
	ok)
		[ $rc -le 1 ] || fail_start "is refused"
		served "$host" "$was"
		;;
	reserved)
		[ $rc = 76 ] || fail_start "ends with $rc, not 76"
		grep -q "reserved for host gw-${other[$host]}" "$tmp/said" || fail_start "does not name the other"
		;;
	*)
		[ $rc != 0 ] || fail_start "is not refused with '$want'"
		grep -qE -e "$want" "$tmp/said" || fail_start "is not refused with '$want'"
		;;
	esac
	[ "$want" = ok ] || turn "$before"
}
served() {
	local host=$1 was=$out n
	turn "$host"
	look "$host"
	[ -b "${block[$host]}" ] || { cat "$tmp/said"; fail "nothing is served"; }
	[ -n "$was" ] || for n in 0 1 2 3; do [ -z "${cut[$host$n]:-}" ] || was=$n; done
	[ "$out" = "$was" ] || fail "member '$out' is out, not '$was'"
	life[$host]=serving
	has "$host"
	dirty=1
	[ "$2" = none ] || return 0
	owns "$host" "${block[$host]}"
	[ "${life[${other[$host]}]}" = none ] || lost[${other[$host]}]=1
	begin "$host"
	over "${other[$host]}"
}

# over HOST: a daemon that has lost the members, and can know it, ends.
over() {
	local n
	[ "${life[$1]}" = serving ] && [ -n "${lost[$1]:-}" ] || return 0
	for n in 0 1 2 3; do
		[ -n "${cut[$1$n]:-}" ] || [ "$n" = "$out" ] || { gone "$1"; return 0; }
	done
}
gone() {
	eventually "host $1 ends its service" is_dead "${pid[$1]}"
	end_client "$1" 3
	none "$1"
}
none() {
	on "$1" sh -c 'rm -f /sys/class/ublk-char/*'
	life[$1]=none
	lost[$1]=''
}

# drained HOST: what its kernel held back for a path that is cut has failed by now. Where
# nothing is reserved any more it would be written when the path is back.
drained() {
	local n
	[ -n "${lost[$1]:-}" ] || return 0
	for n in 0 1 2 3; do
		[ -z "${cut[$1$n]:-}" ] ||
			while dd if="/dev/$1$n" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; do sleep 0.1; done
	done
}

# parity HOST: is right, as far as an array has any that lacks a member (exit code 1).
parity() {
	local rc=0
	on "$1" timeout 1800 ringraid wait "$uuid" >"$tmp/log" 2>&1 || rc=$?
	[ $rc = "${out:+1}" ] || [ $rc = 0 ] || { cat "$tmp/log"; fail "wait ends with $rc"; }
}

stop_one() {
	local host=$1 n
	drained "${other[$host]}"
	kill "${client[$host]}" 2>/dev/null || true
	if ! serves "$host" || ! reaches "$host"; then
		on "$host" ringraid stop --force >"$tmp/said" 2>&1 || true
		eventually "host $host ends its service" is_dead "${pid[$host]}"
		end_client "$host" 0 3
		! serves "$host" || turn ''
		none "$host"
		return
	fi
	end_client "$host" 0
	parity "$host"
	quietly on "$host" ringraid stop
	none "$host"
	turn ''
	dirty=''
	for n in 0 1 2 3; do
		[ "${held[$n]}" != "$host" ] || [ -n "${cut[$host$n]:-}" ] || held[$n]=''
		[ "$n" != "$out" ] || held[$n]='?'
	done
}

kill_one() {
	kill -9 "${pid[$1]}"
	until is_dead "${pid[$1]}"; do sleep 0.02; done
	life[$1]=dead
}

# give_up HOST: what a dead daemon left is ended.
give_up() {
	local host=$1 n
	drained "${other[$host]}"
	[ -n "${lost[$host]:-}" ] || drained "$host"
	if [ -n "${lost[$host]:-}" ] && ! reaches "$host"; then
		quietly on "$host" ringraid stop --force --give-up
	else
		quietly on "$host" ringraid stop --force
	fi
	end_client "$host" 3
	if [ -z "${lost[$host]:-}" ]; then
		turn ''
		look_whether_dirty
	fi
	none "$host"
}

# A resync that it has left to the next start makes it dirty still: resync_offset of the
# superblock on a disk tells.
look_whether_dirty() {
	local disk=/dev/disk$(((out + 1) % 4)) offset
	offset=$(dd if="$disk" bs=4k skip=1 count=1 iflag=direct status=none | od -An -tx8 -j208 -N8 | tr -d ' ')
	if [ "$offset" = ffffffffffffffff ]; then dirty=''; else dirty=1; fi
}

unplugs() {
	local n
	for n in "${@:2}"; do
		[ -z "${cut[$1$n]:-}" ] || continue
		unplug "$1" "$n"
		cut[$1$n]=1
	done
}
# plugs HOST MEMBER...: those that are cut.
plugs() {
	local n back=()
	for n in "${@:2}"; do
		[ -n "${cut[$1$n]:-}" ] || continue
		plug "$1" "$n"
		cut[$1$n]=''
		back+=("$n")
	done
	for n in "${back[@]}"; do eventually "host $1 has member $n again" connected "$1$n"; done
}
connected() {
	local state
	read -r state <"${ctl[$1]}/state"
	[ "$state" = live ]
}
# settle HOST: after its paths are back.
settle() {
	[ "${life[$1]}" = serving ] || return 0
	if [ -n "${lost[$1]:-}" ]; then
		over "$1"
	elif reaches "$1"; then
		eventually "host $1 goes on" is_going "$1"
		look "$1"
		has "$1"
	fi
}

cut_one() {
	unplugs "$1" "$2"
	! serves "$1" || [ "$2" = "$out" ] || {
		parity "$1"
		eventually "host $1 has failed member $2" is_out "$1" "$2"
	}
}
is_out() {
	look "$1"
	[ "$out" = "$2" ]
}

# boots MEMBER...: targets that forget.
boots() {
	local n host back=()
	for host in a b; do
		for n in "$@"; do
			[ -n "${cut[$host$n]:-}" ] || { unplugs "$host" "$n"; back+=("$host$n"); }
		done
	done
	drained a
	drained b
	for n in "$@"; do
		boot "$n"
		held[$n]=''
	done
	for n in "${back[@]}"; do
		plug "${n:0:1}" "${n:1}"
		cut[$n]=''
	done
	for n in "${back[@]}"; do eventually "member $n is back" connected "$n"; done
	settle a
	settle b
}

fail_one() {
	parity "$1"
	quietly on "$1" ringraid fail "$uuid" "/dev/$1$2"
	is_out "$1" "$2" || fail "member '$out' is out, not $2"
}
add_one() {
	local host=$1 n=$out rc=0
	on "$host" ringraid add "$uuid" "/dev/$host$n" >"$tmp/said" 2>&1 || rc=$?
	if [ $rc != 0 ] && [[ ${held[$n]} == [?${other[$host]}] ]]; then
		grep -q "reserved for host gw-${other[$host]}" "$tmp/said" || { cat "$tmp/said"; fail "add"; }
		drained "${other[$host]}"
		quietly on "$host" ringraid fence-clear "/dev/$host$n"
		quietly on "$host" ringraid add "$uuid" "/dev/$host$n"
	elif [ $rc != 0 ] || [ "${held[$n]}" = "${other[$host]}" ]; then
		cat "$tmp/said"
		fail "add ends with $rc"
	fi
	parity "$host"
	look "$host"
	[ -z "$out" ] || fail "member $out is still out"
	has "$host"
}

# check HOST: what was acknowledged can be read.
check_one() { quietly /test/ledger check "$tmp/ledger" "${block[$1]}"; }

# peace: all paths are there, one has the array, and it is whole.
peace() {
	local host
	for host in a b; do plugs $host 0 1 2 3; done
	for host in a b; do settle $host; done
	for host in a b; do
		[ "${life[$host]}" != dead ] || if [ -n "${lost[$host]:-}" ]; then give_up $host; else assemble $host '' ''; fi
	done
	if serves a; then host=a; elif serves b; then host=b; else
		host=a
		assemble a 1 ''
	fi
	[ -z "$out" ] || add_one $host
	check_one $host
	stop_one $host
}
# judged: all that was acknowledged is on the disks, also where one of them is not read.
judged() {
	peace
	take "${disks[@]}"
	check
	quietly /test/ledger check "$tmp/ledger" "$md"
	give
	seen "$1"
}

# choose: $what, for $host, $n and $flag: what chance names, when that can be.
kinds=()
weighs() {
	local i
	for ((i = 0; i < $1; i++)); do kinds+=("$2"); done
}
weighs 5 start
weighs 7 take
weighs 3 stop
weighs 3 kill
weighs 3 give_up
weighs 3 cut
weighs 4 plug
weighs 1 cut_one
weighs 1 boot
weighs 1 boot_one
weighs 1 fail
weighs 5 add
weighs 2 check
hosts=(a b)
choose() {
	while :; do
		draw ${#kinds[@]}
		what=${kinds[drawn]}
		draw 2
		host=${hosts[drawn]}
		draw 4
		n=$drawn
		draw 2
		flag=$drawn
		! can || return 0
	done
}
# is_futile HOST: a start there is refused whatever chance says; that is seldom tried.
is_futile() {
	is_cut_off "$1" || { [ -n "$out" ] && [ -n "$dirty" ] && [ "${life[$1]}" = none ]; }
}
can() {
	case $what in
	start) { [ "${life[$host]}" != serving ] && ! is_futile "$host"; } || [ "$flag$n" = 10 ] ;;
	take) [ "${life[$host]}" != serving ] && { ! is_futile "$host" || [ "$flag$n" = 10 ]; } ;;
	stop) [ "${life[$host]}" = serving ] && { reaches "$host" || [ -z "$out" ] || ! serves "$host"; } ;;
	kill) [ "${life[$host]}" = serving ] ;;
	give_up) [ "${life[$host]}" = dead ] && { [ -n "${lost[$host]:-}" ] || { [ -z "$out" ] && reaches "$host"; }; } ;;
	cut) ! is_cut_off "$host" ;;
	plug) [ -n "$(cuts "$host")" ] ;;
	cut_one) reaches "$host" && [ -z "${cut[$host$n]:-}" ] && { ! serves "$host" || [ -z "$out" ] || [ "$out" = "$n" ]; } ;;
	boot | boot_one) : ;;
	fail) serves "$host" && [ -z "$out" ] && reaches "$host" ;;
	add) serves "$host" && [ -n "$out" ] && reaches "$host" && [ -z "${cut[$host$out]:-}" ] ;;
	check) serves "$host" && reaches "$host" ;;
	esac
}
do_it() {
	local degraded=''
	ended=''
	# A successor may do without a member that a start may not do without.
	[ "$flag" = 0 ] || [ "${life[$host]}" = dead ] || degraded=1
	case $what in
	start) assemble "$host" '' "$degraded" ;;
	take) assemble "$host" 1 "$degraded" ;;
	stop) stop_one "$host" ;;
	kill) kill_one "$host" ;;
	give_up) give_up "$host" ;;
	cut) unplugs "$host" 0 1 2 3 ;;
	plug) plugs "$host" 0 1 2 3; settle "$host" ;;
	cut_one) cut_one "$host" "$n" ;;
	boot) boots 0 1 2 3 ;;
	boot_one) boots "$n" ;;
	fail) fail_one "$host" "$n" ;;
	add) add_one "$host" ;;
	check) check_one "$host" ;;
	esac
}
# A host's daemon may be what the other one's tenure has ended, but nobody is served by two.
agree() {
	! { serves a && serves b; } || fail "the model has two that serve"
}
model() {
	local host n
	for host in a b; do
		printf ' %s %s%s' $host "${life[$host]}" "${lost[$host]:+, lost}"
		for n in 0 1 2 3; do printf '%s' "${cut[$host$n]:+ -$n}"; done
	done
	printf '; held %s; out %s; dirty %s' "${held[*]@Q}" "${out:--}" "${dirty:--}"
}

# Clients of a daemon that was killed wait, as they should, and for long.
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
fabrics_up
for i in 0 1 2 3; do target $i; done
host a
host b
declare -A ctl=()
: >"$tmp/empty"
for h in a b; do
	for i in 0 1 2 3; do
		ctl[$h$i]=$(controller $h $i)
		held[$i]=''
		# Who looks around does not find the other's paths.
		on "${other[$h]}" mount --bind "$tmp/empty" "/dev/$(namespace $h $i)"
	done
done
watch
/test/ledger create "$tmp/ledger" $cells $((steps * 5000))
wipe "${disks[@]}"
turn a
# shellcheck disable=SC2046 # words
quietly on a ringraid create t $(members a) --chunk 64K --assume-clean --size 4M --bitmap-chunk 1M --engine user \
	--queues 1 --clean-after 0 --no-path-timeout 86400
served a none
uuid=$(on a ringraid --json status | jq -r .uuid)
for ((step = 1; step <= steps; step++)); do
	choose
	note "$step: $host $what $n $flag"
	do_it
	note "    $ended $(model)"
	agree
	[ $((step % 10)) != 0 ] || seen $step
	[ $((step % judged_each)) != 0 ] || { judged "judged-$step"; say "$step steps"; }
done
judged end
kill $watcher
/test/ledger count "$tmp/ledger"
tail -n 1 "$tmp/turns"
