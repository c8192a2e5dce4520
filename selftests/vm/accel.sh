# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# KVM or emulation: a /dev/kvm proves nothing (nested guests have one that
# hangs), so KVM is used where a trial boot of the stock kernel comes up. The
# answer holds until the machine reboots.
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with run

vm_accel() {
	local answer
	answer=$cache/accel-$(cat /proc/sys/kernel/random/boot_id)-$(id -u)
	if [ ! -e "$answer" ]; then
		rm -f "$cache"/accel-*-"$(id -u)"
		if kvm_plausible && kvm_trial; then echo kvm; else echo tcg; fi >"$answer.tmp"
		mv "$answer.tmp" "$answer"
	fi
	cat "$answer"
}

kvm_plausible() { grep -qE '^flags.*\<(vmx|svm)\>' /proc/cpuinfo && [ -r /dev/kvm ] && [ -w /dev/kvm ]; }

# Without an initramfs the kernel panics within a second or two, and says so.
kvm_trial() {
	kernel_ensure
	in_root timeout -k 1 20 qemu-system-x86_64 -nodefaults -no-reboot -display none -M q35 -m 512 \
		-accel kvm -cpu host -smp 2 -serial stdio -kernel "$(kernel_dir)/vmlinuz" \
		-append 'console=ttyS0 panic=-1' </dev/null 2>/dev/null | grep -qa 'Kernel panic - not syncing: VFS'
}
