#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The monitor's mail goes to a mailbox here, by a program that takes sendmail's place.
. ./lib.sh
mailbox=/var/mail/root
in_mailbox() { grep -q "^Subject: $1 event on data:" $mailbox; }
is_whole() { ringraid status data | head -n 1 | grep -qF '[4/4] [UUUU]'; }
is_metric() { ringraid stats --prometheus | grep -E "^$1\{" | grep -q " $2\$"; } # NAME VALUE

if [ "${1:-}" = again ]; then
	expect_mounted
	sha256sum --quiet -c ~/sum || fail "the file has changed"
	is_whole || { ringraid status data || true; fail "it is not whole without the disk that was pulled"; }
	exit 0
fi

install_package
cat >/usr/local/sbin/to-mailbox <<END
#!/bin/sh
{ echo "From ringraid \$(date)"; cat; echo; } >>$mailbox
END
chmod +x /usr/local/sbin/to-mailbox
touch $mailbox
printf '[monitor]\nsendmail = /usr/local/sbin/to-mailbox\n[array data]\nspares = 1\n' >/etc/ringraid/conf.d/test.conf
systemctl restart ringraid-monitor
make_array --assume-clean
until_true 120 in_mailbox SparesMissing || fail "nobody says that there is no spare"
ringraid add data "$(disk 4)"
mkfs.ext4 -q /dev/ringraid/data
echo '/dev/ringraid/data /srv ext4 defaults,nofail 0 2' >>/etc/fstab
systemctl daemon-reload
systemctl start srv.mount
dd if=/dev/urandom of=/srv/file bs=1M count=20 conv=fsync status=none
(cd / && sha256sum /srv/file) >~/sum
begin_load
is_metric ringraid_degraded 0 || fail "it is degraded by the metrics"
ringraid set data sync-min=1 sync-max=4000
name=$(basename "$(readlink -f "$(disk 1)")")
note "pulling $name"
echo 1 >"/sys/block/$name/device/device/remove"
until_true 300 in_mailbox Fail || { cat $mailbox; fail "no mail of the failed disk"; }
note "a mail came: $(grep -m1 '^Subject: Fail' $mailbox)"
until_true 120 is_metric ringraid_degraded 1 || fail "the metrics say nothing of it"
ringraid set data configured
until_true 600 is_whole || { ringraid status data || true; fail "the spare does not take its place"; }
is_metric ringraid_degraded 0 || fail "it is degraded by the metrics still"
note "the spare is in"
until_true 120 in_mailbox SparesMissing || fail "nobody says that the spare is used up"
end_load
ringraid status data
