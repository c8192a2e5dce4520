#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Installed, upgraded, removed, installed again and purged in a Debian 13 where nothing
# runs, as piuparts does it: nobody is asked, what people wrote stays, and in the end all
# files are what they were before. It is the image of the boot tests, below a layer that
# goes away; a removal while an array runs is seen there, and here by its state file.
# shellcheck disable=SC2154,SC2034,SC2016 # variables of lib/host.sh; words for other shells
[ "$(id -u)" != 0 ] || [ -n "${has_own_mounts:-}" ] ||
	has_own_mounts=1 exec unshare --mount --propagation private bash "$0"
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/kernel.sh
. "$vm_dir/kernel.sh"
# shellcheck source=selftests/vm/image.sh
. "$vm_dir/image.sh"
is_root || skip 'mounting a Debian 13 image needs root'
image_ensure
mkdir "$work"/{below,layer,system}
# Before $work is removed, and not with it.
trap 'umount -R "$work/system" "$work/layer" "$work/below" 2>/dev/null || true; remove_work' EXIT
mount -o "ro,noload,loop,offset=$((image_start * 512))" "$image" "$work/below" 2>/dev/null ||
	skip 'this machine mounts no loop devices'
mount -t tmpfs tmpfs "$work/layer"
mkdir "$work/layer"/{upper,work}
mount -t overlay -o "lowerdir=$work/below,upperdir=$work/layer/upper,workdir=$work/layer/work" overlay "$work/system"
mount -t proc proc "$work/system/proc"
mount -t tmpfs tmpfs "$work/system/run"
mount -t tmpfs tmpfs "$work/system/mnt"
mount --bind /dev/null "$work/system/dev/null"

inside() { chroot "$work/system" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
asked() { inside DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$work/said" 2>&1; }
quietly() { asked "$@" || { cat "$work/said"; fail "$*"; }; }
state_of() { inside dpkg-query -W -f '${db:Status-Abbrev}' "$1"; }

# Of the whole system, but for what notes down that packages came and went.
files() {
	inside find / -xdev \( -path /mnt -o -path /run -o -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/cache -o -path /var/log \
		-o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/initramfs-tools -o -name '*.cache' \) -prune \
		-o -type d -printf '%p %y %m %u %g\n' -o -printf '%p %y %m %u %g %s %T@ %l\n' | LC_ALL=C sort
}

newer() { # OF NEW
	in_root bash -euc 'dpkg-deb -R "$1" "$3/newer"; sed -i "/^Version:/s/$/+next1/" "$3/newer/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$3/newer" "$2" >/dev/null' bash "$1" "$2" "$work"
}

deb=$(echo "$package_dir"/ringraid_*.deb)
cp "$deb" "$work/system/mnt/one.deb"
newer "$deb" "$work/newer.deb"
cp "$work/newer.deb" "$work/system/mnt/"
files >"$work/before"

quietly apt-get -q -y install --no-install-recommends /mnt/one.deb
[ "$(inside ringraid --version)" = "ringraid $package_version" ] || fail 'another version is installed'
inside ringraid config >/dev/null || fail 'the configuration that comes along is not in order'
list=/etc/ringraid/arrays/fedcba98-7654-3210-fedc-ba9876543210
echo '# mine' >>"$work/system/etc/ringraid/ringraid.conf"
echo 'OPTIONS=' >"$work/system$list"
printf '[monitor]\nmail = a@b\n' >"$work/system/etc/ringraid/conf.d/mine.conf"

# What is ours stays as it is, and nobody is asked about it.
is_kept() {
	grep -qx '# mine' "$work/system/etc/ringraid/ringraid.conf" || fail "$1: the configuration is not as it was written"
	[ -e "$work/system$list" ] || fail "$1: the list of arrays is gone"
	[ -e "$work/system/etc/ringraid/conf.d/mine.conf" ] || fail "$1: conf.d is gone"
}
quietly apt-get -q -y install --no-install-recommends /mnt/newer.deb
is_kept 'an upgrade'
[[ $(inside dpkg-query -W -f '${Version}' ringraid) = *+next1 ]] || fail 'it was not upgraded'

# An initramfs has the rule that keeps md away, before md's own, and whose disks are ours.
quietly sh -euc 'cp -r /etc/initramfs-tools /mnt/conf; sed -i s/^MODULES=.*/MODULES=list/ /mnt/conf/initramfs.conf
	mkinitramfs -d /mnt/conf -o /mnt/initrd "$1"; lsinitramfs /mnt/initrd >/mnt/in-it' sh "$(kernel_cached)"
for file in usr/lib/udev/rules.d/63-ringraid.rules usr/lib/udev/rules.d/64-md-raid-assembly.rules "${list#/}"; do
	grep -qx "$file" "$work/system/mnt/in-it" || fail "the initramfs lacks $file"
done

mkdir -p "$work/system/run/ringraid/x"
touch "$work/system/run/ringraid/x/state.json"
! asked apt-get -q -y remove ringraid || fail 'removed while an array runs'
grep -q 'hint: unmount what is on it' "$work/said" || { cat "$work/said"; fail 'the refusal says nothing'; }
rm -r "$work/system/run/ringraid"

quietly apt-get -q -y remove ringraid
is_kept 'a removal'
[ "$(state_of ringraid)" = 'rc ' ] || fail "after a removal it is $(state_of ringraid)"
# The settings stay and, as Debian has it, the units' links; nothing of it outside /etc and /var/lib.
files | diff "$work/before" - | sed -nE 's/^[<>] //p' | grep -vE '^/(etc/(ringraid|needrestart/conf.d|systemd/system)|var/lib/(ringraid|systemd))' >"$work/left" || true
[ ! -s "$work/left" ] || { cat "$work/left"; fail 'a removal leaves something, or took something of others'; }

quietly apt-get -q -y install --no-install-recommends /mnt/one.deb
is_kept 'an installation after a removal'
quietly apt-get -q -y purge ringraid
files >"$work/after"
diff "$work/before" "$work/after" || fail 'a purge leaves something'

# The libraries have no scripts: put in, and taken away again.
cp "$package_dir"/librr-*.deb "$work/system/mnt/"
quietly sh -c 'dpkg --force-depends -i /mnt/librr-*.deb && dpkg -P librr-store-dev librr-chain-dev'
files >"$work/after"
diff "$work/before" "$work/after" || fail 'a purge of the libraries leaves something'
