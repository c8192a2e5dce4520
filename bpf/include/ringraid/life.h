/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose arena it is: the page of the arena from which a successor knows that
 * what it found is what the dead daemon left.
 *
 * The arena outlives the daemon under a name that anybody with root's rights
 * can move, the members can be copied, taken by md, or come back under other
 * names, and the number of the ublk device can be another array's tomorrow. So
 * each of them is told here by something that stays: the set's uuid, every
 * member's device uuid and the identity of its disk, the events of the last
 * superblock write, the number and the mark of the ublk device. A successor
 * uses what agrees, and nothing else.
 *
 * Written by the control plane alone, at the start and around each write of
 * superblocks; the engine never looks at it. The words that change while the
 * array serves are single stores in an order that a kill cannot spoil:
 *
 *   phase = SERVING    before the array is marked dirty
 *   events_next = N    superblocks with N events are being written, at utime_next
 *   events = N         they are durable on every member that is left, as is utime
 *   phase = CLOSED     when they are clean, and before anything is removed
 *
 * so that members may carry `events`, or `events_next` where that is more. Events alone do
 * not tell who wrote: md takes one back when an array is clean again. So the moment of the
 * write has to be one of ours, too; md's are whole seconds.
 */
#ifndef RINGRAID_LIFE_H
#define RINGRAID_LIFE_H

#include "geometry.h"

enum {
	RR_LIFE_NAME_BYTES = 64,
	RR_LIFE_PATH_BYTES = 192,
	RR_LIFE_IDENTITY_BYTES = 128,
	RR_LIFE_UUID_BYTES = 16,
	RR_LIFE_BYTES = 8192,
	RR_LIFE_NO_DEVICE = 0xffffffff,
};

/* How far the daemon came: what its death leaves to be done. */
enum rr_life_phase {
	RR_LIFE_MAKING = 0,  /* nothing was served: the members are as they were */
	RR_LIFE_SERVING = 1, /* dirty, and parity is right but for the rows in the arena */
	RR_LIFE_CLOSED = 2,  /* stopped: clean on the members, who are free to change since */
};

struct rr_life_member {
	rr_u8 device_uuid[RR_LIFE_UUID_BYTES];	/* zero: the role had no member */
	rr_u8 identity[RR_LIFE_IDENTITY_BYTES]; /* text, ends with a zero */
	rr_u8 path[RR_LIFE_PATH_BYTES];		/* for people, and where to look first */
	rr_u64 diskseq;				/* the kernel's; another one after it was away */
	rr_u64 utime;				/* of its superblock before our first write */
};

struct rr_life {
	rr_u8 set_uuid[RR_LIFE_UUID_BYTES];
	rr_u8 name[RR_LIFE_NAME_BYTES]; /* "host:name", ends with a zero */
	rr_u64 events;
	rr_u64 events_next;
	rr_u64 utime; /* as in superblocks; 0 before the first write */
	rr_u64 utime_next;
	rr_u64 mark; /* in ublksrv_flags of the ublk device */
	rr_u32 ublk_device;
	rr_u32 engine; /* enum engine_host of the loader */
	rr_u32 phase;
	rr_u32 pid;
	rr_u32 passthrough;
	rr_u32 pad;
	rr_u64 started; /* when @pid was, as in /proc/PID/stat: numbers are used again */
	struct rr_life_member members[RR_MEMBERS_MAX];
};

RR_STATIC_ASSERT(sizeof(struct rr_life_member) == 352, "the same in every build");
RR_STATIC_ASSERT(sizeof(struct rr_life) <= RR_LIFE_BYTES, "fits its pages");
RR_STATIC_ASSERT(sizeof(struct rr_life) == 152 + RR_MEMBERS_MAX * 352,
		 "another record is another RR_ABI_VERSION");

#endif /* RINGRAID_LIFE_H */
