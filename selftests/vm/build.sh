# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The build: in the environment, out of the tree, one directory in the cache
# per checkout. Objects come from ccache where any checkout has built them before
# (they name the build directory of the first one, which only a debugger sees).
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

build_ensure() {
	root_ensure
	with_lock "$(basename "$build_dir")" build_make
}

build_make() {
	local log=$cache/log/build-${build_dir##*/}.log
	mkdir -p "$build_dir"
	logged "$log" in_root cmake -S "$(root_src)" -B "$build_dir" -G Ninja \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
		-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
		--no-warn-unused-cli ||
		die "configure failed" "the whole log: $log"
	mkdir -p "$cache/ccache"
	logged "$log" in_root env CCACHE_DIR="$cache/ccache" CCACHE_MAXSIZE=3G CCACHE_NOHASHDIR=1 \
		ninja -C "$build_dir" || die "build failed" "the whole log: $log"
}
