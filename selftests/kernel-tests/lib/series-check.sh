#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# series-check.sh: what kernel-tests/series.sh promises, without a guest.
#
# The directories that the series is about are built before the first patch,
# whose warnings are the package's own, and after each. Only what a patch
# changes is compiled again, so a warning is new if no build before had it.
# Debian's sparse is older than a keyword of this kernel: it is given its name.
# shellcheck disable=SC2154 # work: by make_work
set -euo pipefail
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
for part in kernel patched; do
	# shellcheck source=/dev/null
	. "$vm_dir/$part.sh"
done
patches_dir=${RINGRAID_PATCHES:-$top/kfunc-patches}
# The last is compiled for its own sake: no configuration of this machine has it.
directories=(io_uring/ drivers/nvme/host/ kernel/bpf/ drivers/nvme/host/apple.o)
list=io-uring@vger.kernel.org

kmake() {
	in_root env CCACHE_DIR="$cache/ccache" make -C "$tree" O="$obj" CC="ccache gcc" \
		C=1 CHECK="sparse -D__typeof_unqual__=__typeof__" W=1 -j"$(nproc)" "$@"
}

# Without the lines' numbers, which move.
warnings() {
	grep -E '(warning|error): ' "$1" | sed -E "s,^[^ ]*$tree/,,; s/:[0-9]+(:[0-9]+)?:/:/g" | sort -u || true
}

# build NAME: what is out of date; its warnings that no build before had are new.
build() {
	kmake "${directories[@]}" >"$work/log" 2>&1 || { cat "$work/log"; die "$1: does not build"; }
	warnings "$work/log" >"$work/now"
	comm -13 "$work/known" "$work/now" >"$work/new"
	sort -u "$work/known" "$work/now" -o "$work/known"
}

configure() {
	mkdir "$obj"
	cp "$patches_dir/config/kernel.config.fragment" "$obj/fragment"
	kmake -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig
	kmake -s prepare >"$work/log" 2>&1 || { cat "$work/log"; die "the kernel's own preparation fails"; }
}

# in_tree COMMAND...
in_tree() { in_root env -C "$tree" GIT_CEILING_DIRECTORIES="$work" "$@"; }

# style PATCH
style() {
	cp "$1" "$work/"
	in_tree scripts/checkpatch.pl --strict --terse "$work/${1##*/}" >"$work/style" 2>&1 ||
		{ cat "$work/style"; die "${1##*/}: checkpatch --strict"; }
}

# maintained PATCH: the list reads about every file that it makes.
maintained() {
	local file
	while read -r file; do
		in_tree scripts/get_maintainer.pl --no-git-fallback --no-m -f "$file" >"$work/lists"
		grep -q "^$list" "$work/lists" || die "${1##*/}: MAINTAINERS names no $list for $file"
	done < <(sed -n 's,^ create mode [0-7]* ,,p' "$1")
}

apply() {
	in_tree git apply - <"$1" || die "${1##*/}: does not apply"
}

root_ensure
source_ensure
make_work series
tree=$work/tree obj=$work/obj
cp -al "$cache/source/$(source_cached)" "$tree"
: >"$work/known"
configure
build "the package's source"
package=$(wc -l <"$work/known")
style "$(find "$patches_dir/$(patched_series)" -name '0000-*.patch')"
count=0
for patch in "$patches_dir/$(patched_series)"/[0-9]*.patch; do
	[[ $patch != */0000-* ]] || continue # the cover letter
	apply "$patch"
	build "${patch##*/}"
	[ ! -s "$work/new" ] || { cat "$work/new"; die "${patch##*/}: new warnings"; }
	style "$patch"
	maintained "$patch"
	count=$((count + 1))
done
[ $count -gt 0 ] || die "$patches_dir holds no patches"
printf '%4d s  %s\n' $SECONDS "$count patches: each builds without a new warning (the package has $package) and passes checkpatch --strict"
