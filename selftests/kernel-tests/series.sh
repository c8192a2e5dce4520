#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The series as a reviewer takes it: patch by patch, each of which applies, builds
# (io_uring, BPF's core and NVMe; the whole kernel is built at the end, for the
# other tests), adds no warning at W=1 and none of sparse, and has nothing that
# checkpatch --strict remarks on; and each new file has a maintainer.
#
# RINGRAID_PATCHES names another kfunc-patches (one with a planted bug, say).
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
bash "$ktests/lib/series-check.sh"
