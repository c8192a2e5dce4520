# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `run package`: the Debian packages, by dpkg-buildpackage over the CMake build.
#
# The tree has its debian/ in loader/packaging; the command copies both into a
# directory of a fixed name in the environment's /tmp, so that every build has the same
# paths, and builds there as Debian would. Results are in the cache under a hash of what
# they are made of: the sources, the environment and this file.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

# What the packages are made of, relative to the tree.
package_sources() {
	(cd "$top" && { git ls-files -co --exclude-standard 2>/dev/null || find . -type f -not -path './.git/*' -printf '%P\n'; } |
		grep -E '^(CMakeLists.txt|LICENSE|bpf/|loader/|kfunc-patches/|docs/[^/]*\.[578]$)' | LC_ALL=C sort -u |
		while read -r f; do [ ! -f "$f" ] || echo "$f"; done)
}

package_key() {
	{
		root_state
		cat "$vm_dir/package.sh"
		(cd "$top" && package_sources | xargs -d '\n' sha256sum)
	} | short_hash
}

# Sets package_dir, where the packages are, and package_version.
package_ensure() {
	root_ensure
	package_dir=$cache/package/$(package_key)
	package_version=$(sed -nE '1s/^ringraid \(([^)]*)\).*/\1/p' "$top/loader/packaging/debian/changelog")
	[ -d "$package_dir" ] || with_lock package package_make "$package_dir"
	[ "$cache/package/$(package_key)" = "$package_dir" ] || {
		rm -rf -- "$package_dir"
		die "the sources have changed while the packages were built" "once more: ./run package"
	}
	touch "$package_dir"
}

# package_make OUT [PLACE]: PLACE is where it is built, inside.
package_make() {
	local out=$1 log=$cache/log/package.log
	[ ! -d "$out" ] || return 0
	mkdir -p "$cache/package" "$cache/ccache"
	find "$cache/package" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf -- {} +
	say "building the packages"
	rm -rf -- "$out.tmp"
	mkdir -p "$out.tmp"
	package_sources >"$out.tmp/sources"
	# shellcheck disable=SC2016 # in there
	logged "$log" in_root env CCACHE_DIR="$cache/ccache" CCACHE_MAXSIZE=3G CCACHE_NOHASHDIR=1 \
		CMAKE_C_COMPILER_LAUNCHER="${package_launcher-ccache}" \
		CMAKE_CXX_COMPILER_LAUNCHER="${package_launcher-ccache}" \
		bash -euc '
			mkdir -p "$3"
			cd "$1"
			xargs -d "\n" cp --parents -t "$3" <"$2/sources"
			cd "$3"
			cp -r loader/packaging/debian debian
			dpkg-buildpackage -us -uc -b
			cd ..
			cp ./*.deb ./*.changes ./*.buildinfo "$2"
		' bash "$(root_src)" "$out.tmp" "${2:-/tmp/build/ringraid}" ||
		die "the packages do not build" "the whole log: $log"
	mv -T "$out.tmp" "$out"
}

cmd_package() {
	case ${1:-} in
	'') ;;
	*) die "package takes no arguments" "./run package builds them and prints where they are" ;;
	esac
	package_ensure
	find "$package_dir" -name '*.deb' | LC_ALL=C sort
}
