# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `run bench`: makes figures. A figure is a folder bench/NAME: README.md asks
# the question, run.sh boots guest.sh, figure.py makes of what came back the
# raw data (JSON), a plot (SVG) and a table (text), all in docs/benchmarks/, from
# which docs/benchmarks.md and the tables in other files are put together.
# shellcheck shell=bash disable=SC2154 # variables shared with run

bench_figures=(engine store instructions xor counts patterns consistency speed nvme jobs)
# Made only by name: these need the patched kernel, which is built first.
bench_extra=(chain)

bench_usage() {
	cat <<EOF
usage: ./run bench [FIGURE...] [--quick | --full]
       ./run bench --page
FIGURE is one of: ${bench_figures[*]}; all of them by default.
By name only, since they need the patched kernel: ${bench_extra[*]}.
--quick takes minutes, --full (the default) an hour. --page measures nothing: it
makes plots, tables and page again of the data that is there.
EOF
}

cmd_bench() {
	local figures=() f page=0
	export RINGRAID_LEVEL=full RINGRAID_RUN=$top/run RINGRAID_TOP=$top RINGRAID_BUILD=$build_dir
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) bench_usage; exit 0 ;;
		--quick) RINGRAID_LEVEL=quick ;;
		--full) RINGRAID_LEVEL=full ;;
		--page) page=1 ;;
		*)
			[ -e "$top/bench/$1/figure.py" ] || die "no figure '$1'" "the figures are: ${bench_figures[*]} ${bench_extra[*]}"
			figures+=("$1")
			;;
		esac
		shift
	done
	[ ${#figures[@]} -gt 0 ] || figures=("${bench_figures[@]}")
	if [ $page = 1 ]; then root_ensure; else build_ensure; fi
	make_work bench
	if [ $page = 0 ]; then
		for f in "${figures[@]}"; do bench_figure "$f"; done
	fi
	bench_python page "${bench_figures[@]}" "${bench_extra[@]}"
	say "docs/benchmarks.md"
}

bench_figure() {
	local start=$SECONDS line
	export BENCH_OUT=$work/$1
	mkdir -p "$BENCH_OUT"
	say "figure $1"
	bash "$top/bench/$1/run.sh" | while IFS= read -r line; do
		say "$1: $((SECONDS - start)) s: $line"
	done
	bench_python figure "$1" "$BENCH_OUT"
	say "figure $1: done, $((SECONDS - start)) s"
}

# bench_python ARGS...: page.py sees the tree read-only; what it writes is moved.
bench_python() {
	rm -rf "$work/made"
	mkdir -p "$work/made"
	in_root env PYTHONDONTWRITEBYTECODE=1 python3 "$(root_src)/bench/lib/page.py" "$work/made" "$RINGRAID_LEVEL" "$@" ||
		die "page.py $* failed"
	cp -r "$work/made/." "$top/"
}
