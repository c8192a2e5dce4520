# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The patched kernel: the linux-source package that kfunc-patches has a series
# for, with the series, in two flavours: normal, and debug with KASAN, lockdep
# and UBSAN.
#
# The newest package of trixie-backports is unpacked into the cache under its
# version; as with the stock kernel, which one is the newest is asked again every
# week, and without a network the newest one cached is used. A built kernel is
# kept under a hash of all that it was made of: the package, the patches, the
# configuration, the recipe. One kernel is built at a time, in one directory,
# for ccache's sake. What nobody used for a month is removed.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

patches_dir=$top/kfunc-patches
# Change it when a kernel has to be built anew though nothing else changed.
patched_recipe=1

patched_usage() {
	cat <<'EOT'
usage: ./run kernel [--debug] [--path]
Builds the patched kernel, or takes it from the cache, and prints its directory.
  --debug   with KASAN, lockdep, UBSAN and their like
  --path    build nothing; fails if this kernel is not there
The directory holds vmlinuz, vmlinux (with symbols and BTF), vmlinux.h, config,
lib/modules, and tree: what the kernel's own selftests are built in.
./run vm --kernel patched (or debug) boots it.
EOT
}

cmd_kernel() {
	local flavour=normal build=1
	while [ $# -gt 0 ]; do
		case $1 in
		--debug) flavour=debug ;;
		--path) build=0 ;;
		-h | --help) patched_usage; exit 0 ;;
		*) die "kernel: what is '$1'?" "./run kernel --help" ;;
		esac
		shift
	done
	if [ $build = 1 ]; then
		patched_ensure "$flavour"
	else
		patched_kernel=$(patched_dir "$flavour")
		[ -d "$patched_kernel" ] || die "this kernel is not built" "./run kernel"
	fi
	echo "$patched_kernel"
}

# The version that there is a series of patches for, as 7.3.
patched_series() {
	find "$patches_dir" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort -V | tail -n1
}

# The newest cached version of its source, or nothing.
source_cached() {
	find "$cache/source/" -mindepth 1 -maxdepth 1 -name "$(patched_series)[.-]*" ! -name '*.tmp' \
		-printf '%f\n' 2>/dev/null | sort -V | tail -n1 || true
}

source_is_fresh() {
	[ -n "$(source_cached)" ] &&
		[ -n "$(find "$cache/source/resolved-$(patched_series)" -mtime -7 2>/dev/null)" ]
}

# The lock is the stock kernel's, since both use one apt.
source_ensure() { source_is_fresh || with_lock kernel source_fetch; }

source_newest() {
	trixie_apt apt-cache madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -V | tail -n1
}

source_fetch() {
	local package version=''
	package=linux-source-$(patched_series)
	! source_is_fresh || return 0
	mkdir -p "$cache/source"
	! trixie_apt_setup || version=$(source_newest "$package")
	if [ -n "$version" ] && { [ -d "$cache/source/$version" ] || source_unpack "$package" "$version"; }; then
		touch "$cache/source/resolved-$(patched_series)"
		return
	fi
	[ -n "$(source_cached)" ] || die "cannot get $package from $suite-backports, and none is cached"
	say "cannot get $package: staying with $(source_cached)"
}

# source_unpack PACKAGE VERSION
source_unpack() {
	local dir=$cache/source/$2.tmp
	say "fetching $1 $2"
	rm -rf -- "$dir"
	mkdir -p "$dir/deb" "$dir/tree"
	(cd "$dir/deb" && logged "$cache/log/source.log" trixie_apt apt-get -q download "$1=$2") || return 1
	dpkg-deb --fsys-tarfile "$dir"/deb/*.deb | tar -xO --wildcards '*.tar.xz' |
		tar -xJ --strip-components=1 -C "$dir/tree" || die "bad package $1"
	mv -T "$dir/tree" "$cache/source/$2"
	rm -rf -- "$dir"
}

# patched_input FLAVOUR: the files that make the kernel what it is; 0000 is the
# cover letter.
patched_input() {
	find "$patches_dir/$(patched_series)" -name '[0-9]*.patch' ! -name '0000-*' | LC_ALL=C sort
	echo "$patches_dir/config/kernel.config.fragment"
	[ "$1" != debug ] || echo "$patches_dir/config/debug.fragment"
}

# patched_dir FLAVOUR: where that kernel is, or will be.
patched_dir() {
	local files key
	mapfile -t files < <(patched_input "$1")
	key=$({ echo "$patched_recipe $(source_cached)"; cat "${files[@]}"; } | short_hash) || exit 1
	echo "$cache/patched/$1-$key"
}

# patched_ensure FLAVOUR: sets patched_kernel, its directory.
patched_ensure() {
	[ -n "$(patched_series)" ] || die "kfunc-patches holds no series of patches"
	root_ensure
	source_ensure
	patched_kernel=$(patched_dir "$1")
	if [ ! -d "$patched_kernel" ]; then
		with_lock patched patched_build "$1"
		patched_kernel=$(patched_dir "$1")
		[ -d "$patched_kernel" ] || die "kfunc-patches changed while its kernel was built" "once more"
	fi
	touch "$patched_kernel" "$cache/source/$(source_cached)"
}

# patched_build FLAVOUR
patched_build() {
	local work=$cache/patched/work log=$cache/log/patched-$1.log start=$SECONDS files dir
	dir=$(patched_dir "$1")
	[ ! -d "$dir" ] || return 0
	rm -rf -- "$work" "$dir.tmp"
	mkdir -p "$work/input" "$cache/ccache"
	find "$cache/patched" "$cache/source" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf -- {} +
	mapfile -t files < <(patched_input "$1")
	cp "${files[@]}" "$work/input/"
	[ "$(patched_dir "$1")" = "$dir" ] || die "kfunc-patches changed just now" "once more"
	say "building the patched kernel, $1 flavour (ten minutes on two cores; two when ccache knows it)"
	logged "$log" in_root env CCACHE_DIR="$cache/ccache" CCACHE_MAXSIZE=3G \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=ringraid KBUILD_BUILD_HOST=ringraid \
		bash "$(root_src)/selftests/vm/mkkernel.sh" "$cache/source/$(source_cached)" "$work/input" "$work" "$dir.tmp" ||
		die "could not build the patched kernel" "the whole log: $log"
	kernel_check_structs "$dir.tmp/vmlinux.h"
	mv -T "$dir.tmp" "$dir"
	rm -rf -- "$work"
	say "built in $((SECONDS - start)) s"
}
