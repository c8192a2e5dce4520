# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Verbs of the small machines: of storage nodes, and of the client that writes and verifies.
# shellcheck shell=bash
base=nqn.2026-01.org.example
echo 0 >/proc/sys/kernel/hung_task_timeout_secs 2>/dev/null # a client may wait long

# node_up N: node N's disk as a namespace, as docs/cluster.md has it.
node_up() {
	local n=$1 s h disk
	ip link set eth0 up
	ip addr add "10.0.1.1$n/24" dev eth0
	until disk=$(grep -lx "node$n *" /sys/block/nvme*/device/serial); do sleep 0.2; done
	disk=${disk%/device/serial}
	[ -d /sys/kernel/config/nvmet ] || mount -t configfs none /sys/kernel/config
	cd /sys/kernel/config/nvmet || return
	s=subsystems/$base:st$n
	mkdir -p "$s/namespaces/1"
	echo -n "st$n" >"$s/attr_serial"
	for h in gw1 gw2; do
		mkdir -p "hosts/$base:$h"
		ln -s "$PWD/hosts/$base:$h" "$s/allowed_hosts/"
	done
	echo -n "/dev/${disk##*/}" >"$s/namespaces/1/device_path"
	echo "6c0f1c0e-0000-4000-8000-00000000000$n" >"$s/namespaces/1/device_uuid"
	echo 1 >"$s/namespaces/1/resv_enable"
	echo 1 >"$s/namespaces/1/enable"
	mkdir -p "ports/$n"
	echo tcp >"ports/$n/addr_trtype"
	echo ipv4 >"ports/$n/addr_adrfam"
	echo "10.0.1.1$n" >"ports/$n/addr_traddr"
	echo 4420 >"ports/$n/addr_trsvcid"
	ln -s "$PWD/$s" "ports/$n/subsystems/"
}

# client_connect ADDRESS: it waits for a gateway for as long as it takes.
client_connect() {
	local disk
	ip link set eth1 up
	ip addr add 10.0.0.20/24 dev eth1
	echo "transport=tcp,traddr=$1,trsvcid=4420,nqn=$base:data,hostnqn=$base:client1,hostid=3a1d0c5e-0000-4000-8000-000000000020,ctrl_loss_tmo=-1,reconnect_delay=2,keep_alive_tmo=15" >/dev/nvme-fabrics || return
	until disk=$(client_disk) && [ -b "/dev/$disk" ]; do sleep 0.2; done
	ln -s "$disk" /dev/data
	ln -s "/sys/block/$disk" /run/cluster/disk
	cat /run/cluster/disk/size
}

client_disk() {
	local s
	s=$(grep -lx "$base:data" /sys/class/nvme-subsystem/*/subsysnqn) || return
	basename "$(find "${s%/*}/" -maxdepth 1 -name 'nvme*n1' | grep .)"
}

known=8   # MiB at the beginning that are written once
area=4    # MiB behind them that are written again and again

# What it writes, and compares with what it reads back.
verify=(fio --name=client --filename=/dev/data --direct=1 --ioengine=libaio --iodepth=4 --rw=randwrite
	--bssplit=4k/50:16k/30:64k/20 "--offset=${known}m" "--size=${area}m" --verify=crc32c --verify_fatal=1
	--verify_dump=0 --eta=never)

# client_begin: known bytes, then a writer that reads back all it has written, for ever.
client_begin() {
	dd if=/dev/urandom of=/run/cluster/known bs=1M count=$known status=none
	dd if=/run/cluster/known of=/dev/data bs=64k oflag=direct status=none || return
	"${verify[@]}" --loops=100000 "--rate=${1:-128k}" --output=/run/cluster/fio </dev/null >/dev/null 2>&1 &
	echo $! >/run/cluster/fio.pid
	client_watch </dev/null >/dev/null 2>&1 &
}

# is_writing: fio has not ended; its number alone says nothing, as nobody waits for it.
is_writing() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$(cat /run/cluster/fio.pid)/status"; }

# How long nothing was answered, at most: of the present phase, in tenths of a second.
client_watch() {
	local before='' now since sum
	since=$(tenths)
	while is_writing; do
		sum=$(answered)
		now=$(tenths)
		[ "$((now - since))" -le "$(cat /run/cluster/gap 2>/dev/null || echo 0)" ] || echo $((now - since)) >/run/cluster/gap
		[ "$sum" = "$before" ] || since=$now
		before=$sum
		sleep 0.3
	done
}
answered() { awk '{ print $1 + $5 }' /run/cluster/disk/stat; }
tenths() { awk '{ print int($1 * 10) }' /proc/uptime; }

# client_gap: seconds of the longest pause since it was asked the last time.
client_gap() {
	awk '{ printf "%.1f\n", $1 / 10 }' /run/cluster/gap
	rm -f /run/cluster/gap
}

# client_moves: fio is alive, and its requests are answered.
client_moves() {
	local a b
	is_writing || return 2
	a=$(answered)
	sleep 2
	b=$(answered)
	[ "$b" -gt "$((a + 2))" ]
}

# client_end: the writer saw no error; the known bytes are what they were; a last round.
client_end() {
	is_writing || { cat /run/cluster/fio; return 1; }
	kill -INT "$(cat /run/cluster/fio.pid)"
	while is_writing; do sleep 0.2; done
	grep -E 'err= 0' /run/cluster/fio || { cat /run/cluster/fio; return 1; }
	! grep -E 'verify:|error=|io_u error' /run/cluster/fio || return 1
	sed -nE 's/^ *(read|write): .*\((.*)\).*/\1 \2/p' /run/cluster/fio
	dd if=/dev/data bs=64k count=$((known * 16)) iflag=direct status=none | cmp - /run/cluster/known || return 1
	"${verify[@]}" >/run/cluster/last 2>&1 || { cat /run/cluster/last; return 1; }
}
