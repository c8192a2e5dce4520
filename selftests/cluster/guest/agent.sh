#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Runs what comes over the second serial line, as `ID COMMAND-IN-BASE64`, one after the
# other, and says there what it printed and how it ended. Of a gateway it is image-run's
# script, of the small machines init's.
stty -F /dev/ttyS1 raw -echo
exec 3</dev/ttyS1 >/dev/ttyS1 2>&1
mkdir -p /run/cluster
# shellcheck source=selftests/cluster/guest/small.sh
[ ! -d /cluster ] || . /cluster/small.sh
# shellcheck source=selftests/cluster/guest/gateway.sh
[ ! -e ./gateway.sh ] || . ./gateway.sh
echo "agent: up"
while read -r id words <&3; do
	echo "agent: begin $id"
	(eval "$(base64 -d <<<"$words")") </dev/null 3<&-
	echo "agent: end $id $?"
done
