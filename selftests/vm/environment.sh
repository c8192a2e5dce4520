# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The environment (in_root and its parts) for scripts that ./run has started.
# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # variables shared with what is sourced
top=${RINGRAID_TOP:?started by ./run}
cache=${RINGRAID_CACHE:?}
vm_dir=$top/selftests/vm
. "$vm_dir/lib.sh"
. "$vm_dir/apt.sh"
. "$vm_dir/root.sh"
