# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `run doctor`: what this machine has, what it lacks, and the exact fix. Looks
# only; it installs and downloads nothing. Fails when something is missing that
# the other commands will not fetch by themselves.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

doctor_items=()

# doctor_item STATE NAME DETAIL [FIX]: STATE is ok, later (made on demand), missing.
doctor_item() { doctor_items+=("$1" "$2" "$3" "${4:-}"); }

doctor_system() {
	local name kernel
	name=$(os_release PRETTY_NAME)
	kernel=$(uname -r)
	if is_native; then
		doctor_item ok system "$name: the environment itself"
	elif command -v apt-get >/dev/null; then
		doctor_item ok system "$name: hosts a private Debian 13 root"
	else
		doctor_item missing system "${name:-unknown}, no apt" "use Debian 12 or 13"
	fi
	if is_root; then
		doctor_item ok root yes
	elif is_native && native_missing >/dev/null; then
		doctor_item ok root "no, and not needed"
	elif [ -n "$(root_way)" ]; then
		doctor_item later root "no" "the other commands ask $(root_way)"
	else
		doctor_item missing root "no, needed to make and enter the environment" "log in as root"
	fi
	if version_ge "$kernel" "$kernel_min"; then
		doctor_item ok running-kernel "$kernel: new enough for demo --native"
	else
		doctor_item ok running-kernel "$kernel: older than $kernel_min, so the device runs in a VM"
	fi
}

doctor_environment() {
	local missing site
	site=$(apt_site 2>/dev/null || true)
	if [ -n "$site" ]; then
		doctor_item ok mirror "$site"
	else
		doctor_item missing mirror "none in the configuration of apt" "RINGRAID_MIRROR=http://... ./run ..."
	fi
	if is_native; then
		missing=$(native_missing | paste -sd' ' || true)
		if [ -z "$missing" ]; then
			doctor_item ok packages "all installed"
		elif is_root || [ -n "$(root_way)" ]; then
			doctor_item later packages "$missing" "./run build installs them"
		else
			doctor_item missing packages "$missing" "./run build, as root"
		fi
		return
	fi
	if [ -d "$(root_dir)" ]; then
		doctor_item ok environment "$(root_dir)"
	else
		doctor_item later environment "no Debian 13 root yet" "./run build makes it (a minute or so)"
	fi
	if command -v mmdebstrap >/dev/null; then
		doctor_item ok mmdebstrap "$(mmdebstrap --version)"
	else
		doctor_item later mmdebstrap "not installed" "apt-get install mmdebstrap (./run build does it)"
	fi
	if ! is_root; then
		return
	elif unshare --mount --pid --fork --kill-child true 2>/dev/null; then
		doctor_item ok namespaces "mount and PID"
	else
		doctor_item missing namespaces "not allowed here" "in a container: give it CAP_SYS_ADMIN (--privileged)"
	fi
}

doctor_patched() {
	local flavour=$1 name=$2 option=$3 dir
	dir=$(patched_dir "$flavour")
	if [ -d "$dir" ]; then
		doctor_item ok "$name" "$dir"
	else
		doctor_item later "$name" "not built" "./run kernel$option builds it (ten minutes or so)"
	fi
}

doctor_disk() {
	local free dir=$cache
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	free=$(df -Pm "$dir" | awk 'NR == 2 { print int($4 / 1024) }')
	if [ "$free" -ge 10 ]; then
		doctor_item ok disk "$free GiB free for $cache"
	else
		doctor_item missing disk "$free GiB free for $cache, 10 wanted" "RINGRAID_CACHE=/some/larger/place ./run ..."
	fi
}

doctor_vm() {
	local kernel
	kernel=$(kernel_cached)
	if [ -n "$kernel" ]; then
		doctor_item ok kernel "$kernel"
	else
		doctor_item later kernel "no stock kernel cached" "./run build fetches it"
	fi
	if ! kvm_plausible; then
		doctor_item ok acceleration "emulation (no usable KVM): slower, same results"
	elif [ -z "$kernel" ] || { ! is_native && ! { is_root && [ -d "$(root_dir)" ]; }; }; then
		doctor_item later acceleration "KVM is there, not tried yet" "./run build, then ./run doctor"
	elif [ "$(vm_accel)" = kvm ]; then
		doctor_item ok acceleration "KVM, a trial boot came up"
	else
		doctor_item ok acceleration "emulation: /dev/kvm is there but a trial boot failed"
	fi
}

# doctor_fabrics CONTROLLERS: members over NVMe/TCP, of an array of this machine (demo
# --native); what each would wait for `ringraid features` tells.
doctor_fabrics() {
	local controllers=$1 c count=0 patient=()
	for c in "$controllers"/nvme*; do
		[ -e "$c/fast_io_fail_tmo" ] || continue
		count=$((count + 1))
		[ "$(<"$c/fast_io_fail_tmo")" != off ] || patient+=("${c##*/}")
	done
	if [ ${#patient[@]} -gt 0 ]; then
		doctor_item later fabrics "${patient[*]}: fast_io_fail_tmo is off, an array would wait for minutes" \
			"echo 5 >$controllers/${patient[0]}/fast_io_fail_tmo, and nvme connect --fast_io_fail_tmo=5"
	elif [ $count -gt 0 ]; then
		doctor_item ok fabrics "$count connections to controllers"
	elif modprobe -qn nvme-tcp 2>/dev/null; then
		doctor_item ok fabrics "nvme-tcp is there, nothing is connected"
	else
		doctor_item ok fabrics "no nvme-tcp in the running kernel: members over TCP in the VM only"
	fi
}

json_string() { printf '"%s"' "$(sed -z 's/[\\"]/\\&/g; s/[\t\n]/ /g' <<<"$1" | sed 's/ *$//')"; }

doctor_json() {
	local i sep=''
	echo '['
	for ((i = 0; i < ${#doctor_items[@]}; i += 4)); do
		printf '%s  {"name": %s, "state": %s, "detail": %s, "fix": %s}' "$sep" \
			"$(json_string "${doctor_items[i + 1]}")" "$(json_string "${doctor_items[i]}")" \
			"$(json_string "${doctor_items[i + 2]}")" "$(json_string "${doctor_items[i + 3]}")"
		sep=$',\n'
	done
	printf '\n]\n'
}

doctor_text() {
	local i
	for ((i = 0; i < ${#doctor_items[@]}; i += 4)); do
		printf '%-8s%-16s%s\n' "${doctor_items[i]}" "${doctor_items[i + 1]}" "${doctor_items[i + 2]}"
		[ -z "${doctor_items[i + 3]}" ] || printf '        fix: %s\n' "${doctor_items[i + 3]}"
	done
}

cmd_doctor() {
	doctor_system
	doctor_environment
	doctor_disk
	doctor_vm
	doctor_fabrics /sys/class/nvme
	doctor_patched normal patched-kernel ''
	doctor_patched debug debug-kernel ' --debug'
	if [ "${1:-}" = --json ]; then doctor_json; else doctor_text; fi
	[[ " ${doctor_items[*]} " != *" missing "* ]] || {
		local i
		for ((i = 0; i < ${#doctor_items[@]}; i += 4)); do
			[ "${doctor_items[i]}" != missing ] || return 1
		done
	}
}
