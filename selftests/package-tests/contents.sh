#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is in the packages is enough: programs of others build with the libraries as
# they are installed, the module builds for the stock kernel, and no file is in two
# packages. The version is one.
# shellcheck disable=SC2154,SC2034 # variables shared with lib/host.sh
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/kernel.sh
. "$vm_dir/kernel.sh"
# shellcheck disable=SC2016 # in there
in_root bash -euo pipefail -c '
	packages=$1 work=$2 version=$3
	for deb in "$packages"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -t | grep -v "/$"
		dpkg-deb -x "$deb" "$work/unpacked"
	done | sort | uniq -d >"$work/twice"
	[ ! -s "$work/twice" ] || { echo "in two packages:"; cat "$work/twice"; exit 1; }
	[ "$("$work/unpacked/usr/sbin/ringraid" --version)" = "ringraid $version" ] ||
		{ echo "the program calls itself $("$work/unpacked/usr/sbin/ringraid" --version)"; exit 1; }
	for page in 5/ringraid.conf.5 7/ringraid.7 8/ringraid.8; do
		zcat "$work/unpacked/usr/share/man/man$page.gz" | grep -x "[.]Os ringraid $version" >/dev/null ||
			{ echo "$page is of another version"; exit 1; }
	done

	export PKG_CONFIG_PATH=$work/unpacked/usr/lib/$(gcc -print-multiarch)/pkgconfig
	cd "$work"
	cat >store.c <<-END
		#include <ringraid/kv_store_api.h>
		int main(void) { return kv_store_error() == 0; }
	END
	cat >chain.c <<-END
		#include <ringraid/chain_api.h>
		#include <ringraid/chain_build.h>
		int main(void) { return rr_chain_error() == 0; }
	END
	for library in store chain; do
		gcc -Wall -Werror $library.c -o $library $(pkg-config --cflags --libs --static rr_$library)
		./$library
	done
' bash "$package_dir" "$work" "$package_version"
kernel_module_build "$work/unpacked/usr/src/uring_bpf_xor-1" "$work/module" | grep . || fail "the module does not build"
