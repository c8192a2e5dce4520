# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Verbs of the steps that run in the machine.
# shellcheck shell=bash
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
export DEBIAN_FRONTEND=noninteractive
disk() { echo "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_member$1"; }

fail() {
	echo "FAIL: $*"
	journalctl -b --no-pager -u 'ringraid*' | tail -n 60
	exit 1
}

# note TEXT: with the seconds since the boot.
note() { printf '%6.1f %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"; }

# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

install_package() {
	apt-get -q -y install --no-install-recommends ./ringraid_*.deb 2>&1 | grep -E '^(Setting up|E:|W:|dpkg)' || true
	[ "$(dpkg-query -W -f '${db:Status-Abbrev}' ringraid)" = 'ii ' ] || fail "the package is not installed"
}

# Of the only array.
unit() { systemctl list-units --all --plain --no-legend 'ringraid@*' | awk '{print $1; exit}'; }
main_pid() { systemctl show -P MainPID "$(unit)"; }

served_by_another() { [ "$(main_pid)" != "$1" ] && ringraid status data >/dev/null 2>&1; }

make_array() {
	ringraid create data "$(disk 0)" "$(disk 1)" "$(disk 2)" "$(disk 3)" --chunk 64K "$@"
	systemctl is-active --quiet "$(unit)" || fail "create did not start the unit"
}

# What looks after arrays is enabled and at work.
expect_watched() {
	local u
	for u in ringraid-monitor.service ringraid-check.timer ringraid-check-continue.timer ringraid-stats.timer \
		ringraid-initramfs.path; do
		systemctl is-enabled --quiet "$u" || fail "$u is not enabled"
		systemctl is-active --quiet "$u" || { systemctl --no-pager --full status "$u" || true; fail "$u is not active"; }
	done
	ringraid config >/dev/null || fail "the configuration is not in order"
}

# Those of the configuration, by the array's name, and those that create was given: the
# unit starts it by its uuid.
expect_settings() {
	[ "$(ringraid --json status data | jq -c '[.slots, .depth]')" = '[48,32]' ] ||
		fail "not as configured: $(ringraid --json status data | jq -c '[.slots, .depth]')"
}

expect_mounted() {
	until_true 120 mountpoint -q /srv || { systemctl --no-pager --full status srv.mount "$(unit)" || true; fail "/srv is not mounted"; }
}

expect_no_md() {
	! grep -qs "^md" /proc/mdstat || { cat /proc/mdstat; fail "md has taken disks"; }
}

# Writes that are read back and compared, again and again until end_load.
begin_load() {
	rm -f ~/load.end
	(
		until [ -e ~/load.end ]; do
			fio --name=load --directory=/srv --size=24m --rw=randrw --bs=4k --iodepth=8 --ioengine=io_uring \
				--eta=never --direct=1 --verify=crc32c --time_based --runtime=8 --output="$HOME/fio.txt" || exit 1
		done
	) &
	load=$!
	sleep 3
}

end_load() {
	kill -0 "$load" 2>/dev/null || { cat ~/fio.txt; fail "fio saw an error"; }
	touch ~/load.end
	wait "$load" || { cat ~/fio.txt; fail "fio saw an error"; }
	note "fio saw nothing"
}
