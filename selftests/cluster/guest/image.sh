# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Makes a gateway of a Debian 13, in a chroot of its disk: the package, and what both
# gateways have alike, as docs/cluster.md has it. The cluster is off until it is set up.
# shellcheck shell=bash
dpkg -i /mnt/ringraid_*.deb
rm /mnt/ringraid_*.deb /mnt/image.sh
systemctl disable corosync pacemaker
systemctl enable systemd-networkd
printf '%s\n' nvmet nvmet-tcp nvme-tcp >/etc/modules-load.d/nvmet.conf
printf '127.0.0.1 localhost\n10.0.0.1 gw1\n10.0.0.2 gw2\n' >/etc/hosts
mkdir -p /etc/nvme
# An emulated node that is busy is not dead: a longer keep-alive than the page's.
for i in 1 2 3 4; do
	echo "-t tcp -a 10.0.1.1$i -s 4420 --ctrl-loss-tmo=-1 --fast_io_fail_tmo=5 --reconnect-delay=2 --keep-alive-tmo=15"
done >/etc/nvme/discovery.conf

# The script of the laboratory is a service, not a step of the boot.
mkdir -p /etc/systemd/system/image-run.service.d
printf '[Service]\nType=exec\n' >/etc/systemd/system/image-run.service.d/lab.conf

# An emulated processor is slow: Pacemaker's daemons restart each other when one does not
# answer for some seconds, and what nobody looks at is not needed.
mkdir -p /etc/systemd/system/{pacemaker,corosync}.service.d /etc/systemd/journald.conf.d
printf '[Service]\nNice=-15\n' | tee /etc/systemd/system/{pacemaker,corosync}.service.d/lab.conf
# One that stands still for longer than the daemon's watchdog allows is to be fenced, not killed.
mkdir -p /etc/systemd/system/ringraid@.service.d
printf '[Service]\nWatchdogSec=0\n' >/etc/systemd/system/ringraid@.service.d/lab.conf
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/lab.conf
systemctl mask blk-availability lvm2-monitor systemd-timesyncd logd ringraid-stats.timer \
	ringraid-initramfs.path ringraid-initramfs.service

cat >/etc/corosync/corosync.conf <<'END'
totem {
  version: 2
  cluster_name: ringraid
  transport: knet
  crypto_cipher: none
  crypto_hash: none
  token: 20000
}
nodelist {
  node {
    ring0_addr: 10.0.0.1
    name: gw1
    nodeid: 1
  }
  node {
    ring0_addr: 10.0.0.2
    name: gw2
    nodeid: 2
  }
}
quorum {
  provider: corosync_votequorum
  two_node: 1
}
logging {
  to_syslog: yes
}
END
