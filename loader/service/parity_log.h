// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An array that has a partial parity log (md/ppl.h), md's or ours: rows that a crash cut off
// are recovered, and all logs are empty before a client is served. The order:
//
//   read       every log believed whole, or of no use; nothing is written
//   replay     parity of rows in flight; durable
//   empty      every member's log: cut off here, what is left is replayed again
//   clean      superblocks: nothing is in flight
//   dirty      as at every start, and only then clients
//
// From there on the log is the engine's (bpf/engine/log.h). It is given up, and a bitmap takes
// its place, where
//
//   a member has no room for ours       for good
//   parity is not known to be right     until it is (array_consistency.cpp): md, which knows
//                                       no better, would call the array clean after a crash
//                                       when a single entry is there
//
// The superblocks have no log's feature then, before the first write: md would later replay
// what is in it over parity that was written since.
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
// One member of a complete array that takes no writes, its log's end among them, is done
// without, where the others' parity is known to be right: an array starts with it missing as
// well. Else, or where it is the second one, the start is refused, and the logs are kept.
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

// Says in @members.logged whether the array has logs that can be kept, and has all superblocks
// to be written agree. After find_bitmap().
void settle_on_logs(array_members& members);

// That, and reads the logs that are to be replayed, into @members.logs. EBADMSG and others:
// the array is degraded, and a member's log cannot be believed or read, without @force.
[[nodiscard]] Status find_parity_logs(array_members& members, bool force);

// The logs of all members that are there, but for roles in @without: empty, and durable. Who
// takes no writes is returned.
[[nodiscard]] std::vector<md::member_write_error> empty_logs(const array_members& members,
                                                             uint32_t without = 0);
// The same where nobody needs it any more: after a clean stop.
void leave_logs_empty(const array_members& members, uint32_t without);

struct log_recovery {
    replay_report replayed;
    bool parity_right = false;                      // of a complete array: no resync is needed
    uint32_t looked_at = 0;                         // stripes
    uint32_t wrong = 0;                             // of those
    std::optional<md::member_write_error> without;  // takes no writes, and is to be out
};

// Replays @members.logs and empties the logs on the members, but on who is out.
[[nodiscard]] Result<log_recovery> recover_from_logs(const array_members& members, uint64_t seed);

// For programs, and lines for people.
[[nodiscard]] nlohmann::json describe_recovery(const log_recovery& done);
[[nodiscard]] std::vector<std::string> recovery_lines(const log_recovery& done);

}  // namespace rr
