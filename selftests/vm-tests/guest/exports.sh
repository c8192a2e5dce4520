#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 0 to 3 are the array. Each client works in a part of its own, of 16 MiB.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
mount -t configfs configfs /sys/kernel/config
nvmet=/sys/kernel/config/nvmet
others=(iscsi vduse vhost-user fuse)
me=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555

array() {
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean --engine "$(engines | cut -d' ' -f1)"
}

# exported NAME STATE
exported() {
	[ "$(ringraid --json exports | jq -r ".exports[] | select(.name == \"$1\") | .state")" = "$2" ]
}
no_exports() { [ "$(ringraid --json exports | jq '.exports | length')" = 0 ]; }

# nothing_left: the kernel and the file system are as if nobody had exported anything.
nothing_left() {
	local left
	# What this kernel has not made has nothing in it.
	left=$({
		find $nvmet/subsystems $nvmet/ports $nvmet/hosts -mindepth 1 -maxdepth 1
		find /sys/kernel/config/target/core -mindepth 1 -maxdepth 1 -name 'iblock_*'
		find /sys/kernel/config/target/iscsi -mindepth 1 -maxdepth 1 -name 'iqn*'
		find /sys/bus/vdpa/devices -mindepth 1 -maxdepth 1
		find /run/ringraid/exports -mindepth 1 ! -name lock
	} 2>/dev/null || true)
	[ -z "$left" ] || fail "left: $left"
	no_exports || fail "exports are listed"
	! pidof qemu-storage-daemon >/dev/null || fail "a server runs on"
}

# nvme_connect NQN [HOSTNQN]: sets $disk.
nvme_connect() {
	local reply host=${2:-$me}
	exec 7<>/dev/nvme-fabrics
	if ! printf 'transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=%s,hostnqn=%s,hostid=%s,keep_alive_tmo=600' "$1" "$host" "${host##*:}" >&7; then
		exec 7<&-
		dmesg | tail -n 3
		return 1
	fi
	read -r reply <&7
	exec 7<&-
	controller=nvme${reply#*instance=}
	controller=${controller%%,*}
	eventually "the namespace is there" found_namespace
}
found_namespace() {
	local d
	for d in /sys/block/nvme*n*; do
		# By the array's uuid, as udev does it.
		if [ -e "$d/uuid" ] && [ "$(tr -d - <"$d/uuid")" = "$(st uuid | tr -d :)" ]; then
			disk=/dev/${d##*/}
			[ -b "$disk" ] && return 0
		fi
	done
	return 1
}
nvme_disconnect() { echo 1 >"/sys/class/nvme/$controller/delete_controller"; }

# client_at NAME DISK MIB: slow where the network is emulated, so what it wrote is soon looked at.
client_at() {
	client "$1" "$2" --bssplit=4k/60:20k/20:128k/20 --rate_iops=40 --iodepth=4 --size=8m --offset="$3m" --verify_backlog=8
}
all_busy() {
	local before
	before=$(counter writes)
	eventually "clients write" counts writes $((before + 10 * ${#clients[@]}))
}

# through_it_all: what may happen to an array under its clients.
through_it_all() {
	all_busy
	say "busy"
	quietly ringraid fail t 1
	all_busy
	say "degraded"
	state degraded
	kill_daemon
	say "killed"
	sleep 1
	quietly timeout 300 ringraid assemble --scan
	all_busy
	say "taken over"
	state degraded
	quietly ringraid add t "${disks[1]}"
	quietly ringraid wait t
	state healthy
	say "rebuilt"
	all_busy
}

# written DISK: what is written through a client's disk is on the array, and the other way round.
written() {
	dd if=/dev/urandom of="$tmp/a" bs=64k count=16 status=none
	quietly dd if="$tmp/a" of="$1" bs=64k count=16 oflag=direct conv=fsync status=none
	cmp -s -n 1048576 "$tmp/a" <(dd if="$block" bs=64k count=16 iflag=direct status=none) || fail "not on the array: what $1 was given"
	quietly dd if="$tmp/a" of="$block" bs=64k count=16 seek=16 oflag=direct status=none
	cmp -s -n 1048576 "$tmp/a" <(dd if="$1" bs=64k count=16 skip=16 iflag=direct status=none) || fail "not what the array has: $1"
	[ "$(blockdev --getsize64 "$1")" = "$(blockdev --getsize64 "$block")" ] || fail "$1 has another size"
}

nbd_connect() { quietly nbd-client -name t-nbd 127.0.0.1 10809 /dev/nbd0; }

two() {
	local nvme
	array
	quietly ringraid export t nvme-tcp
	quietly ringraid export t nbd
	ringraid exports
	exported t-nvme-tcp serving || fail "nvme-tcp is not serving"
	exported t-nbd serving || fail "nbd is not serving"
	refused 'exported as t-nbd, t-nvme-tcp' ringraid stop
	nvme_connect "$(target)"
	nvme=$disk
	written "$nvme"
	say "written through nvme"
	nbd_connect
	written /dev/nbd0
	say "written through nbd"
	client_at nvme "$nvme" 32
	client_at nbd /dev/nbd0 64
	through_it_all
	end_clients
	# A daemon that is dead has clients that wait: they are not sent away.
	nvme_disconnect
	quietly nbd-client -d /dev/nbd0
	kill_daemon
	refused 'daemon of .*t is dead' ringraid unexport t-nbd
	quietly timeout 300 ringraid assemble --scan
	quietly ringraid unexport t-nbd
	quietly ringraid unexport t-nvme-tcp
	nothing_left
	stop
	judge "${disks[@]}"
}

# Refused, with what to do; and nothing is left of it.
refusals() {
	local nqn=nqn.2014-08.org.nvmexpress:uuid:1 other
	array
	refused 'whoever reaches 10.0.0.1' ringraid export t nvme-tcp --address 10.0.0.1
	refused 'is no NVMe qualified name' ringraid export t nvme-tcp --target nqn.x/../y
	refused 'vhost-user has no --address' ringraid export t vhost-user --address 127.0.0.1
	refused 'no array nobody' ringraid export nobody nbd
	refused 'no export x' ringraid unexport x
	nothing_left
	# Not an address of this machine: found at the last step, after the namespace was enabled.
	refused 'cannot listen at 10.9.8.7:4420' ringraid export t nvme-tcp --address 10.9.8.7 --any-host
	refused 'did not start' ringraid export t nbd --address 10.9.8.7 --any-host
	nothing_left
	# Another's subsystem, with another's namespace in it, stays as it is.
	mkdir -p $nvmet/subsystems/$nqn/namespaces/1
	echo -n /dev/disk3 >$nvmet/subsystems/$nqn/namespaces/1/device_path
	refused 'is not ringraid' ringraid export t nvme-tcp --target $nqn
	[ "$(cat $nvmet/subsystems/$nqn/namespaces/1/device_path)" = /dev/disk3 ] || fail "another's namespace was changed"
	rmdir $nvmet/subsystems/$nqn/namespaces/1 $nvmet/subsystems/$nqn
	# Something of this machine's has it.
	quietly mkfs.ext4 -q "$block"
	mkdir -p "$tmp/mnt"
	mount "$block" "$tmp/mnt"
	refused 'is used by this machine' ringraid export t nbd
	umount "$tmp/mnt"
	nothing_left
	# One who may, and one who may not.
	quietly ringraid export t nvme-tcp --host "$me"
	other=${me%5}6
	! nvme_connect "$(target)" "$other" 2>/dev/null || fail "a host that is not named may connect"
	nvme_connect "$(target)"
	nvme_disconnect
	refused 'there is an export t-nvme-tcp' ringraid export t nvme-tcp
	# Somebody changed it meanwhile.
	echo 0 >"$nvmet/subsystems/$(target)/namespaces/1/enable"
	exported t-nvme-tcp 'not serving' || fail "a disabled namespace is serving"
	echo -n /dev/disk3 >"$nvmet/subsystems/$(target)/namespaces/1/device_path"
	refused 'exports /dev/disk3 now' ringraid unexport t-nvme-tcp
	echo -n "$block" >"$nvmet/subsystems/$(target)/namespaces/1/device_path"
	quietly ringraid unexport t-nvme-tcp
	nothing_left
	killed_halfway
	# Forced, exports go first, also under clients that are at work.
	quietly ringraid export t nbd
	quietly ringraid export t nvme-tcp
	nvme_connect "$(target)"
	nbd_connect
	client_at nvme "$disk" 32
	client_at nbd /dev/nbd0 64
	all_busy
	timeout 60 ringraid stop --force >"$tmp/said" 2>&1 || { cat "$tmp/said"; fail "stop --force"; }
	grep -q '^no longer exported: t-nbd, t-nvme-tcp$' "$tmp/said" || { cat "$tmp/said"; fail "it does not say what has ended"; }
	nothing_left
	nvme_disconnect
	nbd-client -d /dev/nbd0 >/dev/null 2>&1 || true
	wait "${clients[@]}" || true
	clients=()
	judge "${disks[@]}"
}
target() { ringraid --json exports | jq -r '.exports[] | select(.kind == "nvme-tcp") | .target'; }

# Killed at some moment while it was made: unexport ends what is there.
killed_halfway() {
	local i pid
	for i in 1 2 3 4 5; do
		ringraid export t nvme-tcp --host "$me" >/dev/null 2>&1 &
		pid=$!
		sleep 0.0$((RANDOM % 10))
		kill -9 $pid 2>/dev/null || true
		wait $pid || true
		ringraid unexport t-nvme-tcp >"$tmp/log" 2>&1 || grep -q 'no export' "$tmp/log" || { cat "$tmp/log"; fail "not ended"; }
		nothing_left
	done
}

# begin_other KIND: exports it, sets $disk to a client's.
begin_other() {
	quietly ringraid export t "$1"
	"client_of_${1//-/_}"
	written "$disk"
	say "written through $1"
}
end_other() {
	"leave_${1//-/_}"
	quietly ringraid unexport "t-$1"
}

# alone KIND: with nothing beside it.
alone() {
	array
	begin_other "$1"
	client_at "$1" "$disk" 32
	through_it_all
	end_clients
	end_other "$1"
	nothing_left
	stop
	judge "${disks[@]}"
}
iscsi() { alone iscsi; }
vduse() { alone vduse; }
vhost-user() { alone vhost-user; }
fuse() { alone fuse; }

client_of_fuse() {
	modprobe loop
	disk=$(losetup -f --show --direct-io=on /run/ringraid/exports/t-fuse.img)
}
leave_fuse() { quietly losetup -d "$disk"; }
client_of_vduse() {
	disk=$(ringraid --json exports | jq -r '.exports[0].device')
	eventually "the disk is there" test -b "$disk"
}
leave_vduse() { true; }
client_of_vhost_user() {
	quietly nbdkit -p 10810 -i 127.0.0.1 -P "$tmp/nbdkit.pid" blkio virtio-blk-vhost-user path=/run/ringraid/exports/t-vhost-user.sock
	quietly nbd-client 127.0.0.1 10810 /dev/nbd1
	disk=/dev/nbd1
}
leave_vhost_user() {
	quietly nbd-client -d /dev/nbd1
	kill "$(cat "$tmp/nbdkit.pid")"
}
client_of_iscsi() {
	pidof iscsid >/dev/null || initiator
	quietly iscsiadm -m discovery -t st -p 127.0.0.1
	quietly iscsiadm -m node -l
	eventually "the disk is there" found_scsi
	# However long a takeover is here.
	echo 300 >"/sys/block/${disk#/dev/}/device/timeout"
}
found_scsi() {
	local d
	for d in /sys/block/sd*; do
		if [ -e "$d" ] && [ "$(tr -d ' ' <"$d/device/vendor" 2>/dev/null)" = LIO-ORG ]; then
			disk=/dev/${d##*/}
			[ -b "$disk" ] && return 0
		fi
	done
	return 1
}
leave_iscsi() { quietly iscsiadm -m node -u; }

# costs: context switches of the whole machine for a request of 4 KiB, one after the other
# and 16 at a time: those of a long run less those of a short one, as beginning and end are
# none of it, and less what the machine does by itself in the time between.
moment() { echo "$(awk '/^ctxt/ { print $2 }' /proc/stat) $(cut -d' ' -f1 /proc/uptime | tr -d .)"; }
# count COMMAND...: sets $switches and $took.
count() {
	local switches_before took_before
	read -r switches_before took_before <<<"$(moment)"
	quietly "$@"
	read -r switches took <<<"$(moment)"
	switches=$((switches - switches_before))
	took=$((took - took_before))
}
# cost NAME DISK RW
cost() {
	local depth idle idle_took few few_took
	for depth in 1 16; do
		count sleep 3
		idle=$switches
		idle_took=$took
		requests 100 "$2" "$3" $depth
		few=$switches
		few_took=$took
		requests 500 "$2" "$3" $depth
		say "cost $1 $3 depth $depth: $(awk "BEGIN { printf \"%.1f\", ($switches - $few - $idle * ($took - $few_took) / $idle_took) / 400 }") switches a request"
	done
}
requests() {
	count fio --name=c --filename="$2" --direct=1 --ioengine=libaio --iodepth="$4" --rw="$3" --bs=4k \
		--number_ios="$1" --size=16m --randrepeat=1 --thread
}
costs() {
	local rw kind
	array
	for rw in randread randwrite; do cost device "$block" $rw; done
	quietly ringraid export t nvme-tcp
	nvme_connect "$(target)"
	for rw in randread randwrite; do cost nvme-tcp "$disk" $rw; done
	nvme_disconnect
	quietly ringraid unexport t-nvme-tcp
	quietly ringraid export t nbd
	nbd_connect
	for rw in randread randwrite; do cost nbd /dev/nbd0 $rw; done
	quietly nbd-client -d /dev/nbd0
	quietly ringraid unexport t-nbd
	for kind in "${others[@]}"; do
		begin_other "$kind"
		for rw in randread randwrite; do cost "$kind" "$disk" $rw; done
		end_other "$kind"
	done
	stop
}

if is_full; then
	play two refusals "${others[@]}" costs
else
	# The seed's last bit is the engine's.
	play two refusals "${others[seed / 2 % ${#others[@]}]}"
fi
