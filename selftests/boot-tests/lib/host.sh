# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host side of a boot test: a machine with Debian 13 and systemd, booted as often as
# the test wants, each time with something to do.
#
#   machine N SIZE    a new one: an overlay of the image and N member disks
#   boot STEP [ARG]...  boots it, runs guest/STEP.sh there, waits until it is off
#   examine N         mdadm's view of member N, while the machine is off
#
# What the step printed is in the log; one that did not end with 0, a machine that does
# not come up or go down, and a kernel that complains fail the test.
# shellcheck shell=bash source=selftests/vm/environment.sh disable=SC2034,SC2154 # variables shared with what is sourced
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
. "${RINGRAID_TOP:?started by ./run test boot}/selftests/vm/environment.sh"
. "$vm_dir/kernel.sh"
. "$vm_dir/accel.sh"
. "$vm_dir/dmesg.sh"
. "$vm_dir/package.sh"
. "$vm_dir/image.sh"
tests=$top/selftests/boot-tests
level=${RINGRAID_LEVEL:-normal}

fail() { echo "FAIL: $*"; exit 1; }
is_full() { [ "$level" = full ]; }

package_ensure
is_root || [ -e "$cache/image/$(image_key "$(kernel_cached)").img" ] ||
	{ echo "making the Debian 13 image needs root"; exit 77; }
image_ensure
make_work boot
dir=$work
boots=0
lacking=''        # members that are not there at the next boot
late_drives=()    # options of QEMU for disks that are plugged in while it runs
more_files=()     # for the payload, beside the packages
sata=             # members are SATA disks, sda and so on; else NVMe
strangers=0       # as many of the first of them are of no array
boot_timeout=1800

# machine MEMBERS SIZE
machine() {
	local i
	members=$1
	in_root qemu-img create -q -f qcow2 -b "$image" -F raw "$dir/root.qcow2"
	for ((i = 0; i < members; i++)); do truncate -s "$2" "$dir/disk$i"; done
}

# payload STEP [ARG]...
payload() {
	local step=$1
	shift
	rm -rf "$dir/payload"
	mkdir -p "$dir/payload"
	cp "$tests"/guest/*.sh "${more_files[@]}" "$dir/payload/"
	cp "$package_dir"/ringraid_*.deb "$dir/payload/"
	printf 'LEVEL=%s bash ./%s.sh %s\n' "$level" "$step" "${*@Q}" >"$dir/payload/run"
	tar -C "$dir/payload" -cf "$dir/payload.tar" .
	truncate -s 16M "$dir/payload.tar"
}

machine_options() {
	local i
	qemu=(qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M q35 -m 2048 -nic none -smp 2)
	if [ "$(vm_accel)" = kvm ]; then qemu+=(-accel kvm -cpu host); else qemu+=(-accel "tcg,thread=multi" -cpu max); fi
	qemu+=(-kernel "$kernel_image"
		-append "root=PARTUUID=72720001-01 rootwait rw console=ttyS0 loglevel=5 panic=-1 no_timer_check systemd.show_status=1 ${append:-}"
		-serial "file:$dir/console" -serial "file:$dir/out"
		-qmp "unix:$dir/qmp,server=on,wait=off")
	add_disk root "$dir/root.qcow2" qcow2
	add_disk payload "$dir/payload.tar" raw
	for ((i = 0; i < members; i++)); do
		[[ " $lacking " == *" $i "* ]] || add_disk "member$i" "$dir/disk$i" raw "${sata:+ide-hd,bus=ide.$i}"
	done
	qemu+=("${late_drives[@]}")
}

# add_disk SERIAL FILE FORMAT [DEVICE]
add_disk() {
	qemu+=(-drive "if=none,id=$1,format=$3,file=$2,cache=unsafe" -device "${4:-nvme},drive=$1,serial=$1")
}

# boot STEP [ARG]...
boot() {
	local start=$SECONDS pid code complaints
	payload "$@"
	kernel_image=$(kernel_dir)/vmlinuz
	machine_options
	: >"$dir/console"
	: >"$dir/out"
	in_root_exec timeout -k 5 "$boot_timeout" "${qemu[@]}" </dev/null >"$dir/qemu.log" 2>&1 &
	pid=$!
	! declare -F while_it_runs >/dev/null || while_it_runs "$pid"
	wait "$pid" || { boot_show; fail "the machine did not power off within $boot_timeout s ($*)"; }
	boots=$((boots + 1))
	tr -d '\r' <"$dir/out" | sed "s/^/  /"
	code=$(tr -d '\r' <"$dir/out" | sed -n 's/^image-run: exit //p' | tail -n1)
	[ "$code" = 0 ] || { boot_show; fail "step $*: exit code ${code:-none}"; }
	complaints=$(dmesg_complaints "$dir/console")
	[ -z "$complaints" ] || { boot_show; fail "the kernel complains: $complaints"; }
	echo "$((SECONDS - start)) s  boot $boots: $*"
}

boot_show() {
	tr -d '\r' <"$dir/out" | tail -n 60
	cat "$dir/qemu.log"
	tr -d '\r' <"$dir/console" | tail -n 80 | sed 's/^/console: /'
}

examine() { in_root mdadm --examine "$dir/disk$1"; }

# All members are clean and agree.
expect_clean() {
	local i events=''
	for ((i = strangers; i < members; i++)); do
		examine "$i" >"$dir/examine" 2>&1 || true
		grep -q 'State : clean' "$dir/examine" || { cat "$dir/examine"; fail "member $i is not clean"; }
		events+="$(sed -n 's/^ *Events : //p' "$dir/examine") "
	done
	[ "$(tr ' ' '\n' <<<"$events" | sort -u | grep -c .)" = 1 ] || fail "the members differ: $events"
}
