# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What tests of the packages share: the packages, built, in $package_dir; $work is theirs.
# shellcheck shell=bash source=selftests/vm/environment.sh disable=SC2034,SC2154 # variables shared with what is sourced
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
. "${RINGRAID_TOP:?started by ./run test package}/selftests/vm/environment.sh"
. "$vm_dir/package.sh"
level=${RINGRAID_LEVEL:-normal}
fail() { echo "FAIL: $*"; exit 1; }
# The reason is the last line; leaving is no error.
skip() { trap - ERR; echo "$*"; exit 77; }
is_full() { [ "$level" = full ]; }
package_ensure
make_work package
