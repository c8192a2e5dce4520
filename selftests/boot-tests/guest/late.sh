#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# late: a member came after the others. gone: it did not come.
. ./lib.sh
expect_mounted
expect_no_md
sha256sum --quiet -c ~/sum || fail "the file has changed"
code=0
ringraid status data >~/status || code=$?
cat ~/status
journalctl -b --no-pager -o cat -u "$(unit)" | grep -iE 'wait|member' || true
case $1 in
late) [ $code = 0 ] || fail "the array is not healthy" ;;
gone) [ $code = 1 ] || fail "the array is not degraded" ;;
esac
note "served: $(systemctl show -P StatusText "$(unit)")"
