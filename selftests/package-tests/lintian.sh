#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The packages are as Debian's policy wants them: no error and no warning of lintian.
# shellcheck disable=SC2154,SC2034 # variables shared with lib/host.sh
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
in_root lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$package_dir"/*.changes
