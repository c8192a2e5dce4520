#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A disk that comes late at boot is waited for; one that does not come is done without,
# and the file system is mounted in both cases.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
machine 4 128M
boot install
expect_clean

# qmp COMMAND: in JSON, without its braces.
qmp() {
	printf '{"execute": "qmp_capabilities"}\n{%s}\n' "$1" |
		in_root timeout 5 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read())
s.settimeout(2)
try:
    while True: print(s.recv(65536).decode(), end="")
except TimeoutError: pass' "$dir/qmp"
}

# Member 3 is plugged in when the array has begun to wait for it.
while_it_runs() {
	local i
	for ((i = 0; i < 600; i++)); do
		! grep -qa 'Starting.*ringraid@' "$dir/console" || break
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.5
	done
	sleep 3
	qmp '"execute": "device_add", "arguments": {"driver": "nvme", "drive": "member3", "serial": "member3", "bus": "late-port", "id": "late"}' |
		grep -q '"return": {}.*"return": {}\|"return": {}' || fail "the disk cannot be plugged in"
}
lacking=3
late_drives=(-device "pcie-root-port,id=late-port,chassis=1,slot=1" -drive "if=none,id=member3,format=raw,file=$dir/disk3,cache=unsafe")
boot late late
unset -f while_it_runs
expect_clean
late_drives=()
boot late gone
