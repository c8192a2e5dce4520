#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A running array changes daemons on purpose: no client error, a pause below that of
# kill -9 and takeover; who is killed at whichever moment leaves a served array, or one
# that can be taken over.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 5 48M)
guest handover "${members[@]}" --timeout 1800
