# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Verbs of a gateway, as docs/cluster.md sets one up. What it sets up stays on its disk.
# shellcheck shell=bash
base=nqn.2026-01.org.example

# gateway_install N: addresses and names; the rest is on the disk already (image.sh).
gateway_install() {
	local i=0 net
	hostname "gw$1"
	echo "gw$1" >/etc/hostname
	for net in 10.0.0 10.0.1; do
		printf '[Match]\nName=eth%d\n[Network]\nAddress=%s.%d/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
			$i $net "$1" >/etc/systemd/network/eth$i.network
		i=$((i + 1))
	done
	systemctl restart systemd-networkd
	mkdir -p /etc/nvme
	echo "$base:gw$1" >/etc/nvme/hostnqn
	uuidgen >/etc/nvme/hostid
	sync
}

# The cluster's software, now and at each boot. systemctl enable would load all units anew,
# four times, which an emulated machine takes half a minute for.
gateway_cluster() {
	ln -s /usr/lib/systemd/system/{corosync,pacemaker}.service /etc/systemd/system/multi-user.target.wants/
	systemctl start corosync pacemaker
}

members() { printf '%s\n' /dev/disk/by-id/nvme-uuid.6c0f1c0e-0000-4000-8000-00000000000{1,2,3,4}; }

gateway_connect() {
	nvme connect-all
	udevadm settle
	members | xargs ls
}

# The group of docs/cluster.md; what only looks whether something is there looks less often.
gateway_configure() {
	crm configure <<-END
		property stonith-enabled=false
		op_defaults timeout=300
		primitive array ocf:ringraid:array params uuid=$1 \
		  op start timeout=300 op stop timeout=300 op monitor interval=10 timeout=120
		primitive subsystem ocf:heartbeat:nvmet-subsystem \
		  params nqn=$base:data allowed_initiators="$base:client1" op monitor interval=30
		primitive namespace ocf:heartbeat:nvmet-namespace \
		  params nqn=$base:data namespace_id=1 backing_path=/dev/ringraid/data uuid=$1 op monitor interval=30
		primitive address ocf:heartbeat:IPaddr2 params ip=10.0.0.10 cidr_netmask=24 op monitor interval=30
		primitive port ocf:heartbeat:nvmet-port \
		  params port_id=1 nqns=$base:data addr=10.0.0.10 type=tcp op monitor interval=30
		group data array subsystem namespace address port
		rsc_defaults resource-stickiness=100 migration-threshold=3 multiple-active=stop_unexpected
	END
}
