#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# enter.sh ROOT TREE CACHE N [SRC DST]... COMMAND...: the inner half of in_root, the first
# process of its own mount and PID namespace. Not for use by itself.
set -euo pipefail
root=$1 tree=$2 cache=$3 binds=$4
shift 4
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/src" "$root$cache"
mount --bind "$tree" "$root/src"
mount -o remount,bind,ro "$root/src"
mount --bind "$cache" "$root$cache"
for ((; binds > 0; binds -= 2)); do
	mount --bind "$1" "$root$2"
	shift 2
done
# Not exec: the first process of a PID namespace ignores signals by default.
chroot "$root" "$@"
