# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `run vm`: boot a kernel with given disks, run a script in it, bring back its
# files and its verdict.
#
# A guest is an initramfs (the cached base and this run's overlay), disks, and
# two serial lines: ttyS0 is the console, kept in a log; ttyS1 is the script's
# output, which is this command's stdout. Results come back as a tar archive on
# a raw disk, since the stock cloud kernel has neither 9p nor virtiofs. The
# verdict is the script's exit code and a clean kernel log.
# shellcheck shell=bash disable=SC2034,SC2054,SC2154 # variables shared with run; the commas are QEMU's

vm_modules=(ublk_drv virtio_blk)
# Loaded on demand: a mount asks for its filesystem's module by itself, and xfs
# takes two seconds under emulation.
vm_modules_at_hand=(ext4 xfs raid456 null_blk dm-mod dm-flakey dm-log-writes dm-delay loop scsi_debug brd)
vm_up='ringraid-vm: up'

vm_usage() {
	cat <<'EOF'
usage: ./run vm [OPTIONS] -- COMMAND...
       ./run vm [OPTIONS] --script FILE [-- ARGS...]
Boots a kernel in QEMU, runs one command or script as root in it, powers off.

  --disk KIND:SIZE[,OPT]...  an empty sparse disk; KIND is nvme or virtio,
                             SIZE as 64M or 1G; repeatable
  --disk KIND:PATH[,OPT]...  a raw image; what the guest writes stays in it
         OPT blkdebug=FILE   inject I/O errors by QEMU's blkdebug rules
         OPT dev.PROP=VALUE  a property of the device (dev.logical_block_size=4096)
         OPT anything else   added to QEMU's -drive as it is
  --file SRC[:DEST]    put a file or a directory into the guest (DEST: NAME in the working directory)
  --tree DIR           DIR as a read-only ext4 disk, mounted at /data
  --out DIR            bring the guest's /out back into DIR
  --module NAME        load this module at boot; repeatable
  --kernel KERNEL      patched or debug (made if need be, see ./run kernel), stock,
                       or a file; without it RINGRAID_KERNEL, if set, says which
  --modules DIR        modules for a kernel that is a file (holds lib/modules/VERSION)
  --append TEXT        more kernel command line
  --cpus N, --mem MB   default: 2 CPUs, 1024 MB
  --icount             one CPU whose clock counts instructions (slow disks lie)
  --timeout S          default: 600
  --allow-dmesg REGEX  kernel log lines that may appear; repeatable
  --qemu ARG           one more argument for QEMU; repeatable
  --log FILE           keep the whole console here
  --verbose            the console on stderr, as it comes

In the guest: fio, mdadm, mkfs.ext4, mkfs.xfs, xfs_repair, bpftool, dmsetup, jq,
busybox; ringraid and its BPF objects if they are built; modprobe raid456,
null_blk, dm-flakey, dm-log-writes, dm-delay, loop, scsi_debug or brd. The
disks are /dev/disk0, /dev/disk1, ... in the order given, beside the kernel's
own names. The working directory is /root.

Exit code: the script's own, or
  124  timeout    125  the kernel log complains    126  the guest died

  ./run vm -- uname -r
  ./run vm --disk nvme:1G --disk nvme:1G -- lsblk
  ./run vm --disk nvme:d0.img --out /tmp/o --script test.sh -- arg
EOF
}

vm_defaults() {
	vm_disks=() vm_files=() vm_extra_modules=() vm_allow=() vm_qemu=() vm_args=()
	vm_tree='' vm_out='' vm_script='' vm_kernel='' vm_modules_dir='' vm_append='' vm_log=''
	vm_cpus=2 vm_mem=1024 vm_icount=0 vm_timeout=600 vm_interactive=0 vm_verbose=0
}

vm_parse() {
	vm_defaults
	while [ $# -gt 0 ]; do
		case $1 in
		--icount) vm_icount=1 vm_cpus=1 ;;
		--verbose) vm_verbose=1 ;;
		-h | --help) vm_usage; exit 0 ;;
		--) shift; vm_args=("$@"); return ;;
		--*)
			[ $# -ge 2 ] || die "vm: $1 needs a value" "./run vm --help"
			vm_option "$1" "$2"
			shift
			;;
		*) die "vm: what is '$1'?" "the command comes after --; see ./run vm --help" ;;
		esac
		shift
	done
}

vm_option() {
	case $1 in
	--disk) vm_disks+=("$2") ;;
	--file) vm_files+=("$2") ;;
	--module) vm_extra_modules+=("$2") ;;
	--allow-dmesg) vm_allow+=("$2") ;;
	--qemu) vm_qemu+=("$2") ;;
	--tree) vm_tree=$2 ;;
	--out) vm_out=$2 ;;
	--script) vm_script=$2 ;;
	--kernel) vm_kernel=$2 ;;
	--modules) vm_modules_dir=$2 ;;
	--append) vm_append=$2 ;;
	--log) vm_log=$2 ;;
	--cpus) vm_cpus=$2 ;;
	--mem) vm_mem=$2 ;;
	--timeout) vm_timeout=$2 ;;
	*) die "vm: unknown option $1" "./run vm --help" ;;
	esac
}

# Sets kernel_image, kernel_version, kernel_modules (a directory or "none") and
# kernel_id, which tells apart kernels of one version.
vm_pick_kernel() {
	case ${vm_kernel:=${RINGRAID_KERNEL:-stock}} in
	stock) kernel_ensure; vm_take_kernel "$(kernel_dir)" ;;
	patched) patched_ensure normal; vm_take_kernel "$patched_kernel" ;;
	debug) patched_ensure debug; vm_take_kernel "$patched_kernel" ;;
	*) vm_copy_kernel ;;
	esac
}

# vm_take_kernel DIRECTORY: one in the cache, complete.
vm_take_kernel() {
	kernel_image=$1/vmlinuz kernel_modules=$1 kernel_id=${1##*/}
	kernel_version=$(modules_version "$1")
}

vm_copy_kernel() {
	cp "$vm_kernel" "$work/vmlinuz" || die "cannot read the kernel $vm_kernel"
	kernel_image=$work/vmlinuz kernel_id=$(short_hash <"$work/vmlinuz")
	kernel_modules=none kernel_version=none
	[ -n "$vm_modules_dir" ] || return 0
	kernel_version=$(modules_version "$vm_modules_dir")
	[ -e "$vm_modules_dir/lib/modules/$kernel_version/modules.dep" ] ||
		die "$vm_modules_dir holds no lib/modules/VERSION/modules.dep" \
			"make modules_install INSTALL_MOD_PATH=$vm_modules_dir"
	mkdir -p "$work/modules/usr"
	cp -rL "$vm_modules_dir/lib" "$work/modules/"
	ln -s ../lib "$work/modules/usr/lib"
	kernel_modules=$work/modules
}

modules_version() { basename "$(find "$1/lib/modules/" -mindepth 1 -maxdepth 1 | sort -V | tail -n1)"; }

# Sets initramfs_base, made when this combination is new.
vm_base() {
	local modules=("${vm_modules[@]}" "${vm_modules_at_hand[@]}" "${vm_extra_modules[@]}") key
	key=$({
		root_state
		cat "$vm_dir/mkinitramfs.sh"
		echo "$kernel_id $kernel_version ${modules[*]}"
		[ "$kernel_modules" = none ] || cat "$kernel_modules/lib/modules/$kernel_version/modules.dep"
	} | short_hash)
	initramfs_base=$cache/initramfs/$key.cpio
	[ -e "$initramfs_base" ] || with_lock initramfs vm_make_base "${modules[@]}"
	touch "$initramfs_base"
}

vm_make_base() {
	[ ! -e "$initramfs_base" ] || return 0
	mkdir -p "$cache/initramfs"
	find "$cache/initramfs" -type f -mtime +14 -delete
	say "making the guest's base"
	in_root bash "$(root_src)/selftests/vm/mkinitramfs.sh" base "$initramfs_base.tmp" \
		"$kernel_version" "$kernel_modules" "$@" || die "could not make the initramfs"
	mv "$initramfs_base.tmp.list" "$initramfs_base.list"
	mv "$initramfs_base.tmp" "$initramfs_base"
}

# What differs per run: init, its settings, the script, files, our programs.
vm_overlay() {
	local o=$work/overlay spec
	mkdir -p "$o"/{etc,root,usr/local/bin,usr/local/lib/ringraid}
	cp "$vm_dir/init" "$o/init"
	printf 'vm_modules="%s"\nvm_disks=%d\nvm_interactive=%d\n' \
		"$([ "$kernel_modules" = none ] || echo "${vm_modules[*]} ${vm_extra_modules[*]}")" \
		${#vm_disks[@]} "$vm_interactive" >"$o/etc/ringraid-vm"
	vm_make_script "$o/script"
	vm_put_project "$o"
	for spec in "${vm_files[@]}"; do vm_put_file "$o" "${spec%%:*}" "$spec"; done
	in_root bash "$(root_src)/selftests/vm/mkinitramfs.sh" overlay "$work/overlay.cpio" \
		"$initramfs_base" "$o" || die "could not make the initramfs"
	cat "$initramfs_base" "$work/overlay.cpio" >"$work/initrd"
}

vm_make_script() {
	if [ -n "$vm_script" ]; then
		cp "$vm_script" "$1.file" || die "cannot read the script $vm_script"
		chmod +x "$1.file"
		printf '#!/bin/bash\nexec /script.file %s\n' "${vm_args[*]@Q}" >"$1"
	elif [ ${#vm_args[@]} -gt 0 ]; then
		printf '#!/bin/bash\n%s\n' "${vm_args[*]@Q}" >"$1"
	elif [ "$vm_interactive" = 0 ]; then
		die "vm: nothing to run" "./run vm -- COMMAND, or --script FILE"
	fi
	[ ! -e "$1" ] || chmod +x "$1"
}

vm_put_project() {
	local f
	[ -d "$build_dir" ] || return 0
	f=$(find "$build_dir" -maxdepth 3 -name ringraid -type f -perm -u+x -print -quit)
	if [ -n "$f" ]; then
		in_root strip --strip-debug -o "$1/usr/local/bin/ringraid" "$f" || cp "$f" "$1/usr/local/bin/"
	fi
	find "$build_dir" -maxdepth 4 -name '*.bpf.o' -exec cp {} "$1/usr/local/lib/ringraid/" \;
}

# vm_put_file OVERLAY SRC SRC[:DEST]
vm_put_file() {
	local dest=root/${2##*/}
	[ "$2" = "$3" ] || dest=${3#*:}
	# /lib and the like are links into /usr in the guest.
	dest=$1/$(sed -E 's,^/*,,; s,^(bin|sbin|lib|lib64)/,usr/\1/,' <<<"$dest")
	mkdir -p "$(dirname "$dest")"
	cp -rL "$2" "$dest" || die "cannot read the file $2"
}

# vm_add_disk INDEX KIND:SIZE-OR-PATH[,OPT]...
vm_add_disk() {
	local i=$1 kind=${2%%:*} rest=${2#*:} image opts opt drive='' dev='' rules=''
	IFS=, read -ra opts <<<"$rest"
	image=${opts[0]}
	case $kind in nvme | virtio) ;; *) die "vm: no disk kind '$kind'" "nvme:SIZE or virtio:SIZE" ;; esac
	if [[ $image =~ ^[0-9]+[KMGT]?$ ]]; then
		truncate -s "$image" "$work/disk$i"
	else
		expose "$image" "disk$i"
	fi
	for opt in "${opts[@]:1}"; do
		case $opt in
		blkdebug=*) rules=$work/blkdebug$i; cp "${opt#*=}" "$rules" || die "cannot read ${opt#*=}" ;;
		dev.*) dev+=,${opt#dev.} ;;
		*) drive+=,$opt ;;
		esac
	done
	if [ -n "$rules" ]; then
		drive="driver=raw,file.driver=blkdebug,file.config=$rules,file.image.driver=file,file.image.filename=$work/disk$i$drive"
	else
		drive="format=raw,file=$work/disk$i$drive"
	fi
	[[ $drive == *,cache=* ]] || drive+=,cache=unsafe
	[ "$kind" = nvme ] || kind=virtio-blk-pci
	qemu+=(-drive "if=none,id=disk$i,$drive" -device "$kind,drive=disk$i,serial=disk$i$dev")
}

vm_add_own_disks() {
	truncate -s 16G "$work/result.img"
	qemu+=(-drive "if=none,id=result,format=raw,cache=unsafe,file=$work/result.img"
		-device virtio-blk-pci,drive=result,serial=rr-result)
	[ -n "$vm_tree" ] || return 0
	[ -d "$vm_tree" ] || die "vm: --tree: no directory $vm_tree"
	local mb
	mb=$(($(du -sm "$vm_tree" | cut -f1) * 5 / 4 + 16))
	cp -rL "$vm_tree" "$work/tree"
	in_root mke2fs -q -t ext4 -d "$work/tree" "$work/data.img" ${mb}M || die "could not make the data disk"
	qemu+=(-drive "if=none,id=data,format=raw,readonly=on,file=$work/data.img"
		-device virtio-blk-pci,drive=data,serial=rr-data)
}

# Sets the array qemu.
vm_qemu_args() {
	local i accel
	accel=$(vm_accel)
	qemu=(qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M q35 -m "$vm_mem" -nic none)
	if [ "$vm_icount" = 1 ]; then
		qemu+=(-accel tcg -cpu max -smp 1 -icount shift=0,sleep=off)
	elif [ "$accel" = kvm ]; then
		qemu+=(-accel kvm -cpu host -smp "$vm_cpus")
	else
		qemu+=(-accel tcg,thread=multi -cpu max -smp "$vm_cpus")
	fi
	qemu+=(-kernel "$kernel_image" -initrd "$work/initrd"
		-append "console=ttyS0 panic=-1 quiet no_timer_check log_buf_len=4M $vm_append")
	if [ "$vm_interactive" = 1 ]; then
		qemu+=(-serial mon:stdio)
	else
		qemu+=(-serial "file:$work/console" -chardev stdio,id=out,signal=off -serial chardev:out)
	fi
	for i in "${!vm_disks[@]}"; do vm_add_disk "$i" "${vm_disks[i]}"; done
	vm_add_own_disks
	qemu+=("${vm_qemu[@]}")
}

# Boots and waits. Sets vm_end: exit, timeout, noboot (never came up) or died.
vm_boot() {
	local pid out out_pid tail_pid='' up=0 start=$SECONDS boot_limit
	boot_limit=$((vm_timeout < 300 ? vm_timeout : 300))
	: >"$work/console"
	exec {out}> >(exec cat)
	out_pid=$!
	in_root_exec "${qemu[@]}" </dev/null 1>&"$out" 2>"$work/qemu.err" &
	pid=$!
	exec {out}>&-
	if [ "$vm_verbose" = 1 ]; then tail -f "$work/console" >&2 & tail_pid=$!; fi
	# unshare sits out a SIGTERM; its death is QEMU's.
	# shellcheck disable=SC2064
	trap "kill -KILL $pid $tail_pid 2>/dev/null; remove_work" EXIT
	vm_end=''
	while kill -0 $pid 2>/dev/null; do
		sleep 0.1
		if [ $up = 0 ] && grep -qa "$vm_up" "$work/console"; then up=1; fi
		if [ $((SECONDS - start)) -ge "$vm_timeout" ]; then
			vm_end=timeout
		elif [ $up = 0 ] && [ $((SECONDS - start)) -ge $boot_limit ]; then
			vm_end=noboot
		fi
		[ -z "$vm_end" ] || { kill -KILL $pid 2>/dev/null; break; }
	done
	wait $pid 2>/dev/null || true
	[ -z "$tail_pid" ] || { sleep 0.2; kill $tail_pid 2>/dev/null || true; }
	wait $out_pid 2>/dev/null || true
	trap remove_work EXIT
	[ -z "$vm_end" ] || return 0
	vm_code=$(sed -n 's/\r$//; s/^ringraid-vm: exit \([0-9]*\)$/\1/p' "$work/console" | tail -n1)
	if [ -n "$vm_code" ]; then
		vm_end='exit'
	elif grep -qa "$vm_up" "$work/console"; then
		vm_end=died
	else
		vm_end=noboot
	fi
}

# What the guest left behind on its result disk.
vm_collect() {
	mkdir -p "$work/result"
	tar -xf "$work/result.img" -C "$work/result" 2>/dev/null || true
	[ -z "$vm_out" ] || [ ! -d "$work/result/out" ] || {
		mkdir -p "$vm_out" && cp -r "$work/result/out/." "$vm_out/"
	}
	[ -s "$work/result/dmesg" ] || cp "$work/console" "$work/result/dmesg"
	[ -z "$vm_log" ] || { tr -d '\r' <"$work/console"; cat "$work/result/dmesg"; } >"$vm_log"
}

vm_show_console() {
	[ ! -s "$work/qemu.err" ] || sed 's/^/qemu: /' "$work/qemu.err" >&2
	tr -d '\r' <"$work/console" | tail -n 40 | sed 's/^/console: /' >&2
}

# The verdict, as this command's exit code.
vm_verdict() {
	local complaints
	case $vm_end in
	timeout) vm_show_console; say "vm: timeout after $vm_timeout s"; return 124 ;;
	noboot) vm_show_console; say "vm: the guest did not come up"; return 126 ;;
	died) vm_show_console; say "vm: the guest died"; return 126 ;;
	esac
	complaints=$(dmesg_complaints "$work/result/dmesg" "${vm_allow[@]}")
	[ -n "$complaints" ] || return "$vm_code"
	grep -anE -A25 "$dmesg_bad" "$work/result/dmesg" | head -n 120 | sed 's/^/dmesg: /' >&2
	say "vm: the kernel log complains (the script's exit code was $vm_code)"
	return 125
}

# vm_run OPTIONS...: the whole facility.
vm_run() {
	vm_parse "$@"
	vm_start
}

vm_start() {
	root_ensure
	make_work vm
	vm_pick_kernel
	vm_base
	vm_overlay
	vm_qemu_args
	if [ "$vm_interactive" = 1 ]; then
		in_root "${qemu[@]}"
		return
	fi
	vm_boot
	if [ "$vm_end" = noboot ]; then
		say "vm: no sign of life, trying once more"
		vm_boot
	fi
	vm_collect
	vm_verdict
}
