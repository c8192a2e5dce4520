#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# doctor-test.sh: what `run doctor` says of controllers over fabrics. They are made up.
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
# shellcheck source=selftests/vm/doctor.sh
. "${BASH_SOURCE[0]%/*}/doctor.sh"
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT

# says STATE TEXT
says() {
	doctor_items=()
	doctor_fabrics "$dir"
	if [ "${doctor_items[0]}" != "$1" ] || [[ ${doctor_items[2]}${doctor_items[3]} != *"$2"* ]]; then
		echo "FAIL: not $1 and $2, but ${doctor_items[*]}"
		exit 1
	fi
}

says ok nvme-tcp
mkdir "$dir"/nvme{0,1,2}
echo 5 >"$dir/nvme1/fast_io_fail_tmo"
says ok '1 connections'
echo off >"$dir/nvme2/fast_io_fail_tmo"
says later 'nvme2: fast_io_fail_tmo is off'
says later "echo 5 >$dir/nvme2/fast_io_fail_tmo"
