# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The stock kernel of the tests: the newest cloud flavour of trixie-backports.
#
# Its packages are unpacked into the cache under their version and never
# installed. Backports drops old versions, so which one is the newest is asked
# again every week; without a network the newest one cached is used. A kernel
# directory holds vmlinuz, vmlinux (from vmlinuz; it keeps .BTF), its types as
# vmlinux.h to look things up, and lib/modules/VERSION.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

kernel_min=7.1
kernel_flavour=cloud-amd64
# Without these the BPF program cannot run.
kernel_structs=(io_uring_bpf_ops iou_ctx io_uring_sqe)

# The newest cached version, or nothing.
kernel_cached() {
	find "$cache/kernel/" -mindepth 2 -maxdepth 2 -path '*/[0-9]*/vmlinux.h' ! -path '*.tmp/*' \
		-printf '%h\n' 2>/dev/null | sed 's,.*/,,' | sort -V | tail -n1 || true
}

kernel_dir() { echo "$cache/kernel/$(kernel_cached)"; }

kernel_is_fresh() {
	[ -n "$(kernel_cached)" ] &&
		[ -n "$(find "$cache/kernel/resolved" -mtime -7 2>/dev/null)" ]
}

kernel_ensure() { kernel_is_fresh || with_lock kernel kernel_fetch; }

# Prints "VERSION PACKAGE", the newest there is.
kernel_newest() {
	trixie_apt apt-cache search --names-only "^linux-binary(-unsigned)?-[0-9].*-$kernel_flavour\$" |
		sed -nE 's/^(linux-binary(-unsigned)?-([^ ]+)) .*/\3 \1/p' | sort -V -k1,1 -k2,2r | tail -n1
}

kernel_fetch() {
	local version package
	! kernel_is_fresh || return 0
	mkdir -p "$cache/kernel"
	if ! trixie_apt_setup; then
		[ -n "$(kernel_cached)" ] || die "cannot reach the Debian mirror and no kernel is cached"
		say "cannot reach the Debian mirror: staying with kernel $(kernel_cached)"
		return 0
	fi
	read -r version package < <(kernel_newest) || true
	version_ge "${version:-0}" $kernel_min ||
		die "$suite-backports has no $kernel_flavour kernel >= $kernel_min (newest: ${version:-none})"
	[ -d "$cache/kernel/$version" ] || kernel_unpack "$version" "$package"
	touch "$cache/kernel/resolved"
}

kernel_unpack() {
	local version=$1 package=$2 dir=$cache/kernel/$1.tmp deb
	say "fetching kernel $version"
	rm -rf -- "$dir"
	mkdir -p "$dir/deb"
	(cd "$dir/deb" && logged "$cache/log/kernel.log" \
		trixie_apt apt-get -q download "$package" linux-{base,modules}-"$version") ||
		die "could not download $package"
	for deb in "$dir"/deb/*.deb; do dpkg-deb -x "$deb" "$dir/deb/x" || die "bad package $deb"; done
	mkdir -p "$dir/lib/modules" "$dir/usr"
	ln -s ../lib "$dir/usr/lib"
	# Packages moved these files over time: take them wherever they are.
	mv "$(find "$dir/deb/x" -name 'vmlinuz*' -type f -print -quit)" "$dir/vmlinuz" ||
		die "$package holds no vmlinuz"
	mv "$(find "$dir/deb/x" -path "*/modules/$version" -print -quit)" "$dir/lib/modules/" ||
		die "linux-modules-$version holds no modules"
	mv "$(find "$dir/deb/x" "$dir/lib" -name 'config*' -type f -print -quit)" "$dir/config" 2>/dev/null || true
	rm -rf -- "$dir/deb"
	in_root depmod -b "$dir" "$version" || die "depmod failed"
	kernel_vmlinux "$dir/vmlinuz" >"$dir/vmlinux" || die "cannot unpack $dir/vmlinuz"
	in_root bpftool btf dump file "$dir/vmlinux" format c >"$dir/vmlinux.h" || die "kernel $version has no BTF"
	kernel_check_structs "$dir/vmlinux.h"
	mv -T "$dir" "$cache/kernel/$version"
}

kernel_check_structs() {
	local s
	for s in "${kernel_structs[@]}"; do
		grep -q "^struct $s {" "$1" || die "kernel without struct $s: io_uring BPF is not built in"
	done
}

# kernel_vmlinux VMLINUZ: the boot protocol's header says where the payload is.
kernel_vmlinux() {
	local setup off len tool
	setup=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
	read -r off len < <(od -An -tu4 -j $((0x248)) -N8 "$1")
	off=$(((setup + 1) * 512 + off))
	tool=$(kernel_unpacker "$1" "$off") || exit 1
	# Every format but gzip has the unpacked length appended, four bytes.
	[ "$tool" = gzip ] || len=$((len - 4))
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$off" count="$len" status=none |
		in_root "$tool" -dc
}

# kernel_unpacker VMLINUZ OFFSET: by the magic number of the payload.
kernel_unpacker() {
	case $(od -An -tx1 -j "$2" -N4 "$1" | tr -d ' ') in
	28b52ffd) echo zstd ;;
	fd377a58) echo xz ;;
	1f8b*) echo gzip ;;
	02214c18) echo lz4 ;;
	*) die "unknown compression of $1" ;;
	esac
}

# What modules for the stock kernel are built with: its headers packages.
kernel_headers_dir() { echo "$cache/headers/$(kernel_cached)"; }

# kernel_headers_ensure: sets kernel_kdir, the KDIR of a module's make. The
# packages expect to be in /usr/src, so both trees are named.
kernel_headers_ensure() {
	local version src
	kernel_ensure
	version=$(kernel_cached)
	[ -d "$(kernel_headers_dir)" ] || with_lock kernel kernel_headers_fetch "$version"
	src=$(kernel_headers_dir)/usr/src
	kernel_kdir="$src/linux-headers-${version%-"$kernel_flavour"}-common O=$src/linux-headers-$version"
}

# kernel_module_build SOURCES OUT: uring_bpf_xor.ko for the stock kernel, made in
# OUT of a copy of kfunc-patches; prints its path.
kernel_module_build() {
	kernel_headers_ensure
	logged "$cache/log/module.log" in_root make -C "$1/module" OUT="$2" KDIR="$kernel_kdir" ||
		die "the module in $1 does not build" "the whole log: $cache/log/module.log"
	echo "$2/uring_bpf_xor.ko"
}

# kernel_headers_fetch VERSION
kernel_headers_fetch() {
	local version=$1 base=${1%-"$kernel_flavour"} dir=$cache/headers/$1 deb
	[ ! -d "$dir" ] || return 0
	say "fetching the headers of kernel $version"
	trixie_apt_setup || die "cannot reach the Debian mirror, and the headers of kernel $version are not cached"
	rm -rf -- "$dir.tmp"
	mkdir -p "$dir.tmp/deb"
	(cd "$dir.tmp/deb" && logged "$cache/log/headers.log" trixie_apt apt-get -q download \
		"linux-headers-$version" "linux-headers-$base-common" "linux-kbuild-$base") ||
		die "could not download the headers of kernel $version" "the whole log: $cache/log/headers.log"
	for deb in "$dir.tmp"/deb/*.deb; do dpkg-deb -x "$deb" "$dir.tmp" || die "bad package $deb"; done
	rm -rf -- "$dir.tmp/deb"
	mv -T "$dir.tmp" "$dir"
}
