#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A newer package under load; a removal that is refused; and what a purge leaves.
. ./lib.sh

# What is on the system, but for what notes down that packages came and went.
list_files() {
	find / -xdev \( -path ~ -o -path /srv -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg \
		-o -path /var/lib/apt -o -path /var/tmp -o -path /var/lib/systemd/timers \
		-o -path /var/lib/systemd/random-seed -o -path /var/lib/initramfs-tools -o -name '*.cache' \) -prune -o -print |
		LC_ALL=C sort
}

list_files >~/before
install_package
# shellcheck disable=SC2119 # no more options
make_array
mkfs.ext4 -q /dev/ringraid/data
mount /dev/ringraid/data /srv
until_true 600 sh -c '! ringraid --json status data | grep -q "\"state\": \"running\""' || fail "parity is never right"

begin_load
note "fio runs"
# What the README shows.
ringraid status data
ringraid top --once --interval 4
ringraid check data
ringraid watch data
before=$(main_pid)
apt-get -q -y install ./newer_ringraid.deb 2>&1 | tee ~/apt.txt | grep -E '^(ringraid|Setting up|E:)' || true
note "upgraded"
grep -q 'has the new daemon: handed over' ~/apt.txt || { cat ~/apt.txt; fail "the daemon was not replaced"; }
[ "$(main_pid)" != "$before" ] || fail "it is the old daemon"
[ "$(readlink "/proc/$(main_pid)/exe")" = /usr/sbin/ringraid ] || fail "it is the old program"
status_pid() { ringraid --json status data | sed -n 's/^  "pid": \([0-9]*\),*$/\1/p'; }
[ "$(main_pid)" = "$(status_pid)" ] || fail "the unit's main process is another"
[ "$(systemctl show -P NRestarts "$(unit)")" = 0 ] || fail "the unit was restarted"
[ "$(systemctl is-active "$(unit)")" = active ] || fail "the unit is not active"
note "$(ringraid handover data 2>/dev/null)"
[ "$(main_pid)" = "$(status_pid)" ] || fail "the unit does not follow"

# The main process is the new one indeed: the unit starts the next when it dies.
before=$(main_pid)
kill -9 "$before"
until_true 300 served_by_another "$before" || fail "nobody took over"
[ "$(systemctl show -P NRestarts "$(unit)")" = 1 ] || fail "it was not the unit that did"
note "$(ringraid handover data 2>/dev/null)"
end_load

# An array that is not healthy keeps its daemon.
ringraid fail data "$(disk 3)"
before=$(main_pid)
apt-get -q -y install --allow-downgrades ./ringraid_*.deb 2>&1 | tee ~/apt.txt | grep -E '^(ringraid|Setting up|E:)' || true
grep -q 'keeps its daemon: it is not healthy' ~/apt.txt || fail "a degraded array was touched"
[ "$(main_pid)" = "$before" ] || fail "a degraded array has a new daemon"

# As needrestart asks its settings (its batch mode lists what it would leave alone, too).
# shellcheck disable=SC2016 # Perl's
perl -e 'our %nrconf; do "/etc/needrestart/needrestart.conf"; die $@ if $@;
	for (keys %{$nrconf{override_rc}}) { exit $nrconf{override_rc}{$_} if $ARGV[0] =~ /$_/ } exit 1' "$(unit)" ||
	fail "needrestart would restart the array"
if apt-get -q -y remove ringraid >~/apt.txt 2>&1; then fail "removed while an array runs"; fi
grep -q 'hint: unmount what is on it' ~/apt.txt || { cat ~/apt.txt; fail "the refusal says nothing"; }
[ -x /usr/sbin/ringraid ] || fail "the program is gone"
note "removal refused"

umount /srv
ringraid stop data
[ ! -e /dev/ringraid/data ] || fail "the link stays"
apt-get -q -y purge ringraid >~/apt.txt 2>&1 || { cat ~/apt.txt; ringraid status || true; fail "the purge ends with an error"; }
list_files >~/after
diff ~/before ~/after || fail "a purge leaves something"
note "purged"
