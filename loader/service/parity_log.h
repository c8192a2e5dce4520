// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An array that md served with a partial parity log (md/ppl.h): rows that a crash cut off
// are recovered, and the log is given up.
//
// It is given up because the engine does not write one. With its feature bit left on, md
// would later replay what is in it over parity that was written since, and would start the
// array dirty and degraded, trusting a log that nobody kept. The order:
//
//   read       every log believed whole, or of no use; nothing is written
//   replay     parity of rows in flight; durable
//   empty      every member's log: cut off here, what is left is replayed again
//   clean      superblocks without the log's feature: nothing is in flight
//   dirty      as at every start, and only then clients
//
// A complete array gets a write-intent bitmap in the log's place, where it has room: after
// the next crash parity is computed of what was being written, not of everything.
//
// What a log is worth:
//
//   sound on every member, with entries     parity is right, no resync
//   torn, none that holds, refused,         complete: a resync behind the clients
//   or without entries                      degraded: as it is, for a torn entry's rows were
//                                           not begun; a log that is refused or cannot be
//                                           read needs --force
//
// A block of such a row that cannot be read: a degraded array is refused, too, without
// --force, for the block of the missing member would be computed from parity that is old.
//
// No entries on any member is no proof that parity was ever right: md has the feature bit on
// during the first resync, too, and does not log then; an interrupted one is not told on
// disk. md itself forgets it when one entry is there; here some stripes are looked at, the
// last of them first, which a resync reaches last.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "resync/replay.h"
#include "service/membership.h"

namespace rr {

// Reads the logs where @members.plan has some that are to be replayed, into @members.logs,
// and has the array served without. After find_bitmap(). EBADMSG and others: the array is
// degraded, and a member's log cannot be believed or read, without @force.
[[nodiscard]] Status find_parity_logs(array_members& members, bool force);

struct log_recovery {
    replay_report replayed;
    bool parity_right = false;  // of a complete array: no resync is needed
    uint32_t looked_at = 0;     // stripes
    uint32_t wrong = 0;         // of those
};

// Replays @members.logs and empties the logs on the members.
[[nodiscard]] Result<log_recovery> recover_from_logs(const array_members& members, uint64_t seed);

// For programs, and lines for people.
[[nodiscard]] nlohmann::json describe_recovery(const log_recovery& done);
[[nodiscard]] std::vector<std::string> recovery_lines(const log_recovery& done);

}  // namespace rr
