// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the array may promise, from what its members can do.
//
// A member bio that the block layer must split is refused under NOWAIT and
// goes to a worker thread, so the array's limits are the members' tightest and
// its member I/O stays below them. ublk says io_opt as a power of two: a full stripe
// that is none is announced in bytes where the driver takes them (kfunc-patches/ublk-7.3/),
// and else it is a chunk. With none at all mkfs.xfs complains of a stripe unit without a
// width; with a chunk all tools are quiet, align to chunks, and have to be told the width.
//
// Writes of zeros are announced always, as of all members or of none a row of them costs less
// than the pages of zeros that the block layer would send. A discard is one of them, and
// announced where each member deallocates and says that zeros are read then
// (docs/decisions/0038).
//
// Segments are the exception. A request spreads over the members, and a write's
// payload is copied, so the number of segments that a member takes limits only
// the pieces that it is given uncopied. Announced is a virtual boundary of a page,
// always: then a piece of so many pages has one segment more than that, wherever
// its memory lies, and member_io_sectors() keeps pieces below the member's limit.
// A full stripe from ordinary pages is one request.
#pragma once

#include <linux/ublk_cmd.h>

#include <vector>

#include "engine/layout.h"
#include "members/member.h"

namespace rr {

// Sectors that no member splits, whatever the memory looks like.
uint32_t member_io_sectors(const std::vector<const member_device*>& members);

// ublk's parameters of the array's block device.
ublk_params device_params(const arena_layout& layout,
                          const std::vector<const member_device*>& members,
                          uint32_t logical_block_bytes);

// What a write should be a multiple of; at most 15 MiB.
uint32_t full_stripe_bytes(const arena_layout& layout);

// Bytes of the longest request for zeros: whole stripes.
uint32_t zeroes_bytes_max(const arena_layout& layout);

// Bytes of the longest request.
uint32_t request_bytes_max(const arena_layout& layout);

// Bytes of the largest chunk with which a full stripe is one request.
uint32_t chunk_bytes_max(uint32_t members);

}  // namespace rr
