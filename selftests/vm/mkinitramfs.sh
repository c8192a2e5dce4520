#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Makes the two halves of a guest's initramfs; runs inside the environment.
#
#   mkinitramfs.sh base OUT KERNEL-VERSION MODULES-ROOT MODULE...
#   mkinitramfs.sh overlay OUT BASE DIRECTORY
#
# The base is the tools with their libraries, and modules, decompressed and
# with their dependencies; it is cached by its content. The overlay is what
# differs per run: init, the script, files, the project's programs; libraries
# its programs need and the base lacks are added. The kernel unpacks both, one
# after the other. MODULES-ROOT holds lib/modules/KERNEL-VERSION, or is "none".
set -euo pipefail

tools=(bash fio mdadm mkfs.ext4 e2fsck tune2fs dumpe2fs mkfs.xfs xfs_repair xfs_db bpftool
	dmsetup blkid losetup blockdev blkdiscard fallocate fstrim lsblk wipefs jq kmod mount umount dd timeout
	flock taskset sync)
kmod_names=(modprobe lsmod insmod rmmod modinfo depmod)

# Directories of the guest: /bin, /sbin, /lib and /lib64 are links into /usr.
make_skeleton() {
	mkdir -p "$stage"/{dev,proc,sys,run,tmp,data,out,root,etc/modprobe.d,var/lib,usr/{bin,sbin,lib,lib64,share}}
	local d
	for d in bin sbin lib lib64; do ln -s "usr/$d" "$stage/$d"; done
	ln -s ../run "$stage/var/run"
	echo root:x:0:0:root:/root:/bin/bash >"$stage/etc/passwd"
	echo root:x:0: >"$stage/etc/group"
	mkdir -p "$stage/etc/mdadm"
	echo 'AUTO -all' >"$stage/etc/mdadm/mdadm.conf"
	cp /etc/mke2fs.conf "$stage/etc/"
}

libraries() { { ldd "$@" 2>/dev/null || true; } | grep -oE '/[^ :]+ \(0x' | sed 's/ (0x$//' | sort -u; }

# in_usr PATH: /lib/x is /usr/lib/x.
in_usr() { sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,' <<<"$1"; }

put() {
	local to
	to=$stage$(in_usr "$2")
	[ ! -e "$to" ] || return 0
	mkdir -p "$(dirname "$to")"
	cp -L "$1" "$to"
}

put_tools() {
	local t path paths=()
	for t in "${tools[@]}"; do
		path=$(command -v "$t") || { echo "no $t in the environment" >&2; exit 1; }
		put "$path" "$path"
		paths+=("$path")
	done
	for t in $(libraries "${paths[@]}"); do put "$t" "$t"; done
	for t in "${kmod_names[@]}"; do ln -sf ../bin/kmod "$stage/usr/sbin/$t"; done
	put /usr/bin/busybox /usr/bin/busybox
	# Not busybox's shell: it prefers its own applets to the real tools.
	ln -s bash "$stage/usr/bin/sh"
	for t in $(busybox --list); do
		[ -e "$stage/usr/bin/$t" ] || [ -e "$stage/usr/sbin/$t" ] || ln -s busybox "$stage/usr/bin/$t"
	done
}

unpack() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac
}

# put_modules VERSION MODULES-ROOT MODULE...
put_modules() {
	local version=$1 from=$2 to=$stage/usr/lib/modules/$1 m kind path name
	shift 2
	mkdir -p "$to/kernel"
	for m in "$@"; do
		modprobe -d "$from" -S "$version" --show-depends "$m" >"$tmp/deps" ||
			{ echo "kernel $version has no module $m" >&2; exit 3; }
		while read -r kind path _; do
			[ "$kind" = insmod ] || continue
			name=$(basename "$path" | sed -E 's/\.(xz|zst|gz)$//')
			[ -e "$to/kernel/$name" ] || unpack "$path" >"$to/kernel/$name"
		done <"$tmp/deps"
	done
	for name in modules.builtin modules.builtin.modinfo modules.order; do
		[ ! -e "$from/lib/modules/$version/$name" ] || cp "$from/lib/modules/$version/$name" "$to/"
	done
	depmod -b "$stage" "$version"
}

pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2"; }

make_base() {
	local out=$1 version=$2 modules=$3
	shift 3
	make_skeleton
	put_tools
	[ "$modules" = none ] || put_modules "$version" "$modules" "$@"
	(cd "$stage" && find . -type f) >"$out.list"
	pack "$stage" "$out"
}

# make_overlay OUT BASE DIRECTORY
make_overlay() {
	local f lib programs=()
	stage=$3
	while IFS= read -r f; do
		[ "$(head -c4 "$f" | tr -d '\0')" = $'\x7fELF' ] && programs+=("$f")
	done < <(find "$stage" -type f \( -perm -u+x -o -name '*.so' \))
	for f in "${programs[@]}"; do
		for lib in $(libraries "$f"); do
			grep -qxF ".$(in_usr "$lib")" "$2.list" || put "$lib" "$lib"
		done
	done
	pack "$stage" "$1"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
stage=$tmp/stage
what=$1
shift
"make_$what" "$@"
