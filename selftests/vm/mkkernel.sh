#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds the patched kernel; runs inside the environment.
#
#   mkkernel.sh SOURCE INPUT WORK OUT
#
# SOURCE is the pristine tree and stays so: the tree that is built is made of
# hard links to it, and git writes each file that it patches anew. INPUT holds
# the patches and the fragments of the configuration. WORK is always the same
# directory, so that ccache finds its objects again whatever patches and options
# there are. OUT becomes a kernel directory like the stock kernel's (vmlinuz,
# vmlinux, vmlinux.h, lib/modules), with the config and with tree, where the
# kernel's selftests can be built (make headers is done).
set -euo pipefail
source=$1 input=$2 work=$3 out=$4
tree=$work/tree obj=$work/obj

die() { echo "$*" >&2; exit 1; }

kmake() { nice make -s -C "$tree" O="$obj" CC="ccache gcc" -j"$(nproc)" "$@"; }

make_tree() {
	local p f
	cp -al "$source" "$tree"
	# Otherwise git looks for a repository above, and patches below that.
	export GIT_CEILING_DIRECTORIES=$work
	for p in "$input"/*.patch; do
		[ -e "$p" ] || continue
		git -C "$tree" apply --whitespace=nowarn "$p" || die "does not apply: ${p##*/}"
		while read -r _ _ f; do
			[ ! -e "$tree/$f" ] || [ "$(stat -c %h "$tree/$f")" = 1 ] || die "$f is still the pristine file"
		done < <(git -C "$tree" apply --numstat "$p")
	done
}

# The last word of the fragments on each option.
options() {
	local files=("$input/kernel.config.fragment")
	[ ! -e "$input/debug.fragment" ] || files+=("$input/debug.fragment")
	awk '
		/^CONFIG_/ { name = $0; sub(/=.*/, "", name); line[name] = $0 }
		/^# CONFIG_[A-Za-z0-9_]+ is not set$/ { line[$2] = $0 }
		END { for (name in line) print line[name] }' "${files[@]}" | LC_ALL=C sort
}

# An option whose dependency is missing is dropped without a word.
check_config() {
	local line name lost=0
	while read -r line; do
		name=${line#\# }
		name=${name%%[= ]*}
		case $line in
		'# '*) ! grep -q "^$name=" "$obj/.config" || { echo "on, but wanted off: $name"; lost=1; } ;;
		*) grep -qxF "$line" "$obj/.config" || { echo "did not take effect: $line"; lost=1; } ;;
		esac
	done <"$work/options"
	[ $lost = 0 ] || die "the configuration is not what the fragments say"
}

configure() {
	mkdir "$obj"
	options >"$work/options"
	kmake KCONFIG_ALLCONFIG="$work/options" allnoconfig
	check_config
}

install_kernel() {
	mkdir -p "$out/usr"
	ln -s ../lib "$out/usr/lib"
	cp "$obj/arch/x86/boot/bzImage" "$out/vmlinuz"
	cp "$obj/.config" "$out/config"
	objcopy --strip-debug "$obj/vmlinux" "$out/vmlinux"
	bpftool btf dump file "$obj/vmlinux" format c >"$out/vmlinux.h"
	kmake INSTALL_MOD_PATH="$out" INSTALL_MOD_STRIP=1 modules_install
	rm -f "$out"/lib/modules/*/build
}

# Selftests write where they are built, so theirs are no links.
install_tree() {
	kmake headers
	mkdir "$out/tree" "$out/tree/usr"
	cp -al "$tree"/{Makefile,include,scripts,tools} "$out/tree/"
	rm -rf "$out/tree/tools"/{perf,testing/selftests}
	cp -a "$tree/tools/testing/selftests" "$out/tree/tools/testing/"
	cp -a "$obj/usr/include" "$out/tree/usr/"
}

# In one piece: bash reads a script as it goes, and this one may be edited.
main() {
	make_tree
	configure
	kmake bzImage modules
	install_kernel
	install_tree
	exit
}
main
