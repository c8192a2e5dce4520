# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The test groups. A group is a function group_NAME ARGS... that reports KTAP
# results; one whose program does not exist yet is skipped as "not present",
# never passed.
#
#   tidy  the sources: shellcheck, licences, format; how ./run becomes root
#   unit  GoogleTest, on the host; hostile bytes for the parsers of metadata, under sanitizers
#   cli   selftests/cli/*.sh: what the commands print and offer, where no array is needed
#   sim   the engine over simulated disks; prints KTAP itself
#   store the KV store, with BPF programs on the running kernel; skips without root
#   chain the library of chained reads, its loop in user space
#   mutations  bugs planted in the engine, each of which sim must see
#   vm    selftests/vm-tests/*.sh, each on the host side, each booting its VMs
#   kernel  selftests/kernel-tests/*.sh, the same with the patched kernel and its
#         debug flavour, which are built first. All of them are run by name or with
#         --full; a run of every group takes what is short and needs one kernel
#
#   package  selftests/package-tests/*.sh: the Debian packages, built, judged, installed in
#         an empty system and taken away again
#   boot  selftests/boot-tests/*.sh: Debian 13 with systemd and our packages; of a run of
#         every group the first only
#
# Those of vm and kernel run side by side, as a guest waits as often as it computes.
# A test of the last four exits 0 (pass), 77 (skip, the last line it printed is the reason)
# or else (fail). It finds RINGRAID_RUN (this entry point), RINGRAID_TOP (the
# tree), RINGRAID_BUILD (the build directory) and RINGRAID_LEVEL (quick, normal
# or full) in its environment. Programs of the other groups see the level too.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

groups_all=(tidy unit cli sim store chain mutations package boot vm kernel)
groups_quick=(tidy unit cli sim store chain)
kernel_slice=(boot module passthrough selftest)
boot_slice=(install)

test_usage() {
	cat <<'EOF'
usage: ./run test [GROUP] [--quick | --full] [ARGS...]
GROUP is tidy, unit, cli, sim, store, chain, mutations, package, boot, vm or kernel; all
by default, but of boot one test and of kernel a slice (by its name it is run whole, and
builds two kernels first, ten minutes each).
--quick leaves out mutations and what boots a kernel; --full takes the long
versions. store loads BPF programs into the running kernel, as root.
ARGS go to the group: unit, store and chain take GoogleTest's options (store and
chain also --seed N), sim its own (--seed N --steps M), cli, package, boot, vm and kernel
the names of the tests to run.
EOF
}

cmd_test() {
	local groups=("${groups_all[@]}") args=() g begun named=''
	export RINGRAID_LEVEL=normal RINGRAID_RUN=$top/run RINGRAID_TOP=$top RINGRAID_BUILD=$build_dir
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) test_usage; exit 0 ;;
		--quick) RINGRAID_LEVEL=quick ;;
		--full) RINGRAID_LEVEL=full ;;
		*)
			if [ -n "$named" ]; then
				args+=("$1")
			elif declare -F "group_$1" >/dev/null; then
				named=$1
			else
				die "no test group '$1'" "the groups are: ${groups_all[*]}"
			fi
			;;
		esac
		shift
	done
	[ $RINGRAID_LEVEL != quick ] || groups=("${groups_quick[@]}")
	[ -z "$named" ] || groups=("$named")
	make_work test
	trap 'end_scripts; remove_work' EXIT
	ktap_start
	if (build_ensure) </dev/null; then
		for g in "${groups[@]}"; do
			begun=$SECONDS
			"group_$g" "${args[@]}"
			ktap_took "$g" $((SECONDS - begun))
		done
	else
		ktap_fail build
	fi
	ktap_end
}

group_unit() {
	local program=$build_dir/unit_tests
	[ -x "$program" ] || { ktap_skip unit 'not present'; return; }
	ktap_program unit ktap_gtest in_root "$program" "$@"
	ktap_program unit ktap_gtest in_root "$build_dir/fuzz_tests" "$@"
}

# group_cli [NAME]...
group_cli() {
	local t name
	for t in "$top"/selftests/cli/*.sh; do
		name=$(basename "$t" .sh)
		[ "$name" != lib ] || continue
		[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
		ktap_program cli ktap_nested in_root bash "$(root_src)/selftests/cli/$name.sh"
	done
}

group_sim() {
	local program=$build_dir/sim_tests
	[ -x "$program" ] || { ktap_skip sim 'not present'; return; }
	ktap_program sim ktap_nested in_root "$program" "$@"
}

group_mutations() {
	ktap_program mutations ktap_nested in_root bash "$(root_src)/selftests/sim/mutate.sh" '' "$@"
}

group_store() {
	local program=$build_dir/store_tests
	[ -x "$program" ] || { ktap_skip store 'not present'; return; }
	ktap_program store ktap_gtest in_root sh -c 'mountpoint -q /sys/fs/bpf ||
		mount -t bpf bpf /sys/fs/bpf; exec "$@"' sh "$program" "$@"
}

group_chain() {
	local program=$build_dir/chain_tests
	[ -x "$program" ] || { ktap_skip chain 'not present'; return; }
	ktap_program chain ktap_gtest in_root "$program" "$@"
}

group_package() { group_scripts package "$@"; }

group_boot() {
	[ $# -gt 0 ] || [ -n "$named" ] || [ "$RINGRAID_LEVEL" = full ] || set -- "${boot_slice[@]}"
	group_scripts boot "$@"
}

group_vm() { group_scripts vm "$@"; }

group_kernel() {
	[ $# -gt 0 ] || [ -n "$named" ] || [ "$RINGRAID_LEVEL" = full ] || set -- "${kernel_slice[@]}"
	group_scripts kernel "$@"
}

# group_scripts GROUP [NAME]...: selftests/GROUP-tests/*.sh
group_scripts() {
	local group=$1 t name found=0 most
	shift
	most=$(nproc)
	[ "$most" -le 4 ] || most=4
	for t in "$top/selftests/$group-tests"/*.sh; do
		name=$(basename "$t" .sh)
		[ -e "$t" ] || continue
		[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
		found=1
		[ ${#scripts[@]} -lt "$most" ] || report_script
		start_script "$group.$name" "$t"
	done
	while [ ${#scripts[@]} -gt 0 ]; do report_script; done
	[ $found = 1 ] || ktap_skip "$group${1:+ $*}" 'not present'
}

# The tests that run: by process, which leads a group of its own, "NAME BEGUN".
declare -A scripts=()

# start_script TEST FILE
start_script() {
	setsid bash "$2" </dev/null >"$work/$1.log" 2>&1 &
	scripts[$!]="$1 $SECONDS"
}

# Waits for one of them.
report_script() {
	local pid rc=0 test begun log
	wait -n -p pid "${!scripts[@]}" || rc=$?
	read -r test begun <<<"${scripts[$pid]}"
	unset "scripts[$pid]"
	log=$work/$test.log
	echo "# $test: $((SECONDS - begun)) s"
	ktap_took "$test" $((SECONDS - begun))
	case $rc in
	0) grep -E '^(seed | *[0-9]+ s  )' "$log" | ktap_note || true; ktap_pass "$test" ;;
	77) ktap_skip "$test" "$(tail -n1 "$log")" ;;
	*) ktap_say_all <"$log"; ktap_fail "$test" ;;
	esac
}

# What was started ends with the run.
end_scripts() {
	local pid
	for pid in "${!scripts[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
	wait
}

# tidy_check NAME COMMAND...: what it prints is shown when it fails.
tidy_check() {
	local name=$1
	shift
	if "$@" >"$work/tidy.log" 2>&1; then
		ktap_pass "tidy.$name"
	else
		ktap_say_all <"$work/tidy.log"
		ktap_fail "tidy.$name"
	fi
}

# tidy_sources REGEX: the files of the tree that match, relative to it.
tidy_sources() {
	(cd "$top" && { git ls-files 2>/dev/null || find . -type f -not -path './.git/*' -printf '%P\n'; } |
		grep -E "$1" | while read -r f; do [ ! -e "$f" ] || echo "$f"; done)
}

tidy_scripts() { tidy_sources '(\.sh|^run|^\.ci/run|^selftests/vm/init)$'; }

tidy_shellcheck() {
	local files
	mapfile -t files < <(tidy_scripts)
	# shellcheck disable=SC2016
	in_root sh -c 'cd "$1" && shift && shellcheck -x -P SCRIPTDIR -P . "$@"' sh "$(root_src)" "${files[@]}"
}

tidy_licence() {
	local f bad=0
	while read -r f; do
		head -n3 "$top/$f" | grep -q 'SPDX-License-Identifier: ' || { echo "$f: no SPDX line"; bad=1; }
	done < <(tidy_sources '(\.(c|h|cpp|hpp|sh|py|cmake)|^run|^\.ci/run|CMakeLists\.txt)$')
	return $bad
}

tidy_format() {
	local files
	mapfile -t files < <(tidy_sources '\.(c|h|cpp|hpp)$' | grep -v '^selftests/.*\.bpf\.c$')
	# shellcheck disable=SC2016
	in_root sh -c 'cd "$1" && shift && clang-format-19 --dry-run -Werror "$@"' sh "$(root_src)" "${files[@]}"
}

# Minutes of work, so with --full only. The engine is C, and the verifier reads it.
tidy_clang() {
	local files
	mapfile -t files < <(tidy_sources '^loader/.*\.cpp$')
	# shellcheck disable=SC2016
	in_root sh -c 'cd "$1" && build=$2 && shift 2 && printf "%s\n" "$@" |
		xargs -P "$(nproc)" -n 4 clang-tidy-19 -p "$build" --quiet --extra-arg=-Wno-error' sh "$(root_src)" "$build_dir" "${files[@]}"
}

group_tidy() {
	tidy_check shellcheck tidy_shellcheck
	tidy_check licence tidy_licence
	tidy_check become-root bash "$vm_dir/become-root-test.sh" "$top/run"
	tidy_check doctor bash "$vm_dir/doctor-test.sh"
	if [ -e "$top/.clang-format" ]; then
		tidy_check format tidy_format
	else
		ktap_skip tidy.format 'no .clang-format'
	fi
	[ "$RINGRAID_LEVEL" != full ] || tidy_check clang tidy_clang
}
