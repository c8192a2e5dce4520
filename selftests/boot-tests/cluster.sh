#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# docs/cluster.md on machines of its own: a storage node dies, a gateway dies, and a client
# that verifies every byte sees no error. What happens is in selftests/cluster/scenario.sh.
[ "${RINGRAID_LEVEL:-normal}" = full ] || { echo "four machines at once: with --full"; exit 77; }
exec bash "${RINGRAID_TOP:?started by ./run test boot}/selftests/cluster/scenario.sh"
