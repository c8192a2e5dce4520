# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A laboratory of four machines, each a QEMU of its own, on two networks.
#
#   gw1 gw2   gateways: Debian 13 with systemd, Pacemaker, our package
#   node4     a storage node: the stock kernel and the tools of ./run vm, one disk
#   rest      three more storage nodes, with an address and a disk each, and the client;
#             they live through everything, and one machine costs less than four
#
# Networks are multicast groups on the loopback interface (front: clients, gateways and
# their cluster; storage: gateways and nodes), so that a machine may die and come back
# without another noticing more than its silence. What runs in a machine is told by its
# second serial line, where guest/agent.sh listens: `on MACHINE COMMAND` runs one there.
# The disks are files and outlive their machine, as disks do.
# shellcheck shell=bash source-path=SCRIPTDIR/../vm disable=SC2034,SC2154 # variables shared with what is sourced
build_dir=/nonexistent # nodes and clients have nothing of ours
. "$vm_dir/kernel.sh"
. "$vm_dir/accel.sh"
. "$vm_dir/dmesg.sh"
. "$vm_dir/package.sh"
. "$vm_dir/image.sh"
. "$vm_dir/vm.sh"
image_packages+=(pacemaker corosync crmsh resource-agents nvme-cli iproute2 libxml2-utils)

declare -A machine_pid=() machine_line=()

# Everything that takes long and is kept: packages, image, initramfs, the gateways' disk.
lab_prepare() {
	package_ensure
	is_root || [ -e "$cache/image/$(image_key "$(kernel_cached)").img" ] ||
		{ echo "making the Debian 13 image needs root"; exit 77; }
	image_ensure
	lab_gateway_disk
	make_work cluster
	lab_small
	lab_port=$((20000 + $$ % 10000 * 2))
	trap lab_end EXIT
}

# Sets gateway_disk: the image with our package installed, the cluster off until it is set
# up. Kept beside the image, as what a package's installation takes in an emulated machine
# is better spent once and outside.
lab_gateway_disk() {
	gateway_disk=$cache/image/gateway-$({
		echo "$image $package_dir"
		declare -f lab_make_gateway
		cat "$top/selftests/cluster/guest/image.sh"
	} | short_hash).img
	[ -e "$gateway_disk" ] || with_lock image lab_make_gateway
	touch "$gateway_disk"
}

lab_make_gateway() {
	[ ! -e "$gateway_disk" ] || return 0
	is_root || die "making the gateways' disk needs root" "run it as root"
	say "installing the package on the gateways' disk"
	cp --sparse=always "$image" "$gateway_disk.tmp"
	mkdir -p "$gateway_disk.d"
	# shellcheck disable=SC2016 # in there
	logged "$cache/log/gateway.log" unshare --mount bash -euc '
		mount -o loop,offset="$3" "$1" "$2"
		cp "$4"/ringraid_*.deb "$5" "$2/mnt/"
		chroot "$2" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive bash -eu /mnt/image.sh
		umount "$2"
	' bash "$gateway_disk.tmp" "$gateway_disk.d" $((image_start * 512)) "$package_dir" \
		"$top/selftests/cluster/guest/image.sh" ||
		die "cannot install the package" "the whole log: $cache/log/gateway.log"
	rmdir "$gateway_disk.d"
	mv "$gateway_disk.tmp" "$gateway_disk"
}

# The initramfs of node4 and rest.
lab_small() {
	vm_defaults
	vm_extra_modules=(nvmet nvmet-tcp nvme-tcp virtio_net)
	vm_script=$top/selftests/cluster/guest/agent.sh
	vm_files=("$top/selftests/cluster/guest/small.sh:/cluster/small.sh")
	vm_pick_kernel
	vm_base
	vm_overlay
}

# shellcheck disable=SC2317,SC2329 # called by the trap
lab_end() {
	local name
	for name in "${!machine_pid[@]}"; do lab_kill "$name"; done
	[ -z "${RINGRAID_CLUSTER_LOGS:-}" ] || lab_keep_logs "$RINGRAID_CLUSTER_LOGS"
	remove_work
}

# RINGRAID_CLUSTER_LOGS: a directory for the machines' consoles and what their agents said.
lab_keep_logs() {
	mkdir -p "$1"
	cp "$work"/*.console "$work"/*.out "$1/" 2>/dev/null || true
}

# lab_card NETWORK MACHINE-NUMBER: a network card.
lab_card() {
	local port=$lab_port
	[ "$1" = front ] || port=$((port + 1))
	qemu+=(-netdev "socket,id=$1,mcast=230.114.0.1:$port,localaddr=127.0.0.1"
		-device "virtio-net-pci,netdev=$1,mac=52:54:00:72:$([ "$1" = front ] && echo 00 || echo 01):$(printf %02x "$2")")
}

# lab_disk SERIAL FILE FORMAT
lab_disk() { qemu+=(-drive "if=none,id=$1,format=$3,file=$2,cache=unsafe" -device "nvme,drive=$1,serial=$1"); }

# power_on MACHINE. One processor each: those of an emulator that has fewer to run them on
# wait for each other's locks. What watches over a kernel's time is off for the same reason.
power_on() {
	local name=$1 append='console=ttyS0 panic=-1 no_timer_check net.ifnames=0 nowatchdog'
	append+=' rcupdate.rcu_cpu_stall_suppress=1 sysctl.kernel.hung_task_timeout_secs=0'
	qemu=(qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M q35 -smp 1)
	if [ "$(vm_accel)" = kvm ]; then qemu+=(-accel kvm -cpu host); else qemu+=(-accel "tcg,thread=multi" -cpu max); fi
	qemu+=(-kernel "$kernel_image")
	case $name in
	gw?) lab_gateway "${name#gw}" ;;
	node4) lab_node 4; lab_card storage 14 ;;
	rest) lab_node 1 2 3; lab_card storage 11; lab_card front 20 ;;
	esac
	lab_run "$name" "$append"
}

lab_gateway() {
	qemu+=(-m 1280)
	append+=' root=PARTUUID=72720001-01 rootwait rw loglevel=5 systemd.show_status=0'
	[ -e "$work/gw$1.root" ] || in_root qemu-img create -q -f qcow2 -b "$gateway_disk" -F raw "$work/gw$1.root"
	lab_payload "gw$1"
	lab_disk root "$work/gw$1.root" qcow2
	lab_disk payload "$work/gw$1.tar" raw
	lab_card front "$1"
	lab_card storage "$1"
}

# lab_node N...: the disks of these storage nodes.
lab_node() {
	local n
	qemu+=(-m 512 -initrd "$work/initrd")
	append+=' quiet'
	for n in "$@"; do
		[ -e "$work/node$n.disk" ] || truncate -s 64M "$work/node$n.disk"
		lab_disk "node$n" "$work/node$n.disk" raw
	done
}

# lab_run MACHINE COMMAND-LINE
lab_run() {
	local name=$1 line
	[ -e "$work/$name.in" ] || mkfifo "$work/$name.in"
	: >"$work/$name.out"
	exec {line}<>"$work/$name.in"
	machine_line[$name]=$line
	qemu+=(-append "$2" -serial "file:$work/$name.console"
		-chardev "file,id=line,path=$work/$name.out,input-path=$work/$name.in" -serial chardev:line)
	in_root_exec "${qemu[@]}" </dev/null >>"$work/$name.qemu" 2>&1 &
	machine_pid[$name]=$!
}

# lab_payload GATEWAY: what image-run runs there.
lab_payload() {
	local dir=$work/$1.payload
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$top"/selftests/cluster/guest/{agent,gateway}.sh "$dir/"
	cp "$dir/agent.sh" "$dir/run"
	tar -C "$dir" -cf "$work/$1.tar" .
	truncate -s 1M "$work/$1.tar"
}

# lab_kill MACHINE: without the shell's word of it.
lab_kill() {
	kill -KILL "${machine_pid[$1]}" 2>/dev/null || true
	wait "${machine_pid[$1]}" 2>/dev/null || true
}

# power_off MACHINE: as when the plug is pulled.
power_off() {
	local line=${machine_line[$1]}
	lab_kill "$1"
	unset "machine_pid[$1]" "machine_line[$1]"
	exec {line}>&-
	cat "$work/$1.console" >>"$work/$1.consoles"
}

# freeze MACHINE, thaw MACHINE: it stands still, and knows nothing of that afterwards.
freeze() { kill -STOP "$(lab_qemu "${machine_pid[$1]}")"; }
thaw() { kill -CONT "$(lab_qemu "${machine_pid[$1]}")"; }

# lab_qemu PID: what in_root_exec has become in the end.
lab_qemu() {
	local pid=$1 child
	while child=$(cat "/proc/$pid/task/$pid/children") && [ -n "$child" ]; do pid=${child%% *}; done
	echo "$pid"
}

is_on() { [ -n "${machine_pid[$1]:-}" ] && kill -0 "${machine_pid[$1]}" 2>/dev/null; }
has_come_up() { grep -qa '^agent: up' "$work/$1.out"; }

# await_up MACHINE...
await_up() {
	local name
	for name in "$@"; do within 1800 "$name comes up" has_come_up "$name"; done
}

# begin MACHINE COMMAND...: starts it; its number is in line_id. `ended` and `result` follow.
begin() {
	local name=$1
	shift
	line_id=${EPOCHREALTIME/[.,]/}
	printf '%s %s\n' "$line_id" "$(base64 -w0 <<<"$*")" >&"${machine_line[$name]}"
}

# ended MACHINE ID
ended() { grep -qa "^agent: end $2 " "$work/$1.out" || ! is_on "$1"; }

# result MACHINE ID: what it printed, and its exit code.
result() {
	tr -d '\r' <"$work/$1.out" | sed -n "/^agent: begin $2\$/,/^agent: end $2 /p" | sed '1d;$d'
	return "$(tr -d '\r' <"$work/$1.out" | sed -n "s/^agent: end $2 //p" | grep . || echo 255)"
}

# on MACHINE COMMAND...
on() {
	local name=$1 end=$((SECONDS + 1800))
	begin "$@"
	until ended "$name" "$line_id"; do
		[ $SECONDS -lt $end ] || return 124
		sleep 0.1
	done
	result "$name" "$line_id"
}

# within SECONDS WHAT COMMAND...
within() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "not within the time: $what"
		sleep 5 # a look costs an emulated machine much of what it has
	done
}

# lab_kernels: no machine's kernel complains.
lab_kernels() {
	local f complaints
	for f in "$work"/*.console "$work"/*.consoles; do
		[ -e "$f" ] || continue
		complaints=$(dmesg_complaints "$f")
		[ -z "$complaints" ] || fail "the kernel of ${f##*/} complains: $complaints"
	done
}

# lab_complain: the end of what each machine said, for a failure's report.
lab_complain() {
	local f
	for f in "$work"/*.out "$work"/*.console "$work"/*.qemu; do
		[ -s "$f" ] || continue
		echo "--- ${f##*/}"
		tr -d '\r' <"$f" | tail -n 12
	done
}
