// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The life of an array, as a table: the states it can be in, what exists and
// is owned in each, and where every command, signal and accident leads.
//
// The daemon asks the table what a command may do now (array_service), a unit
// test holds docs/life.md against it, and a VM test walks it row by row on a
// real array. Health (healthy, degraded, failed) is another matter, of members;
// it is in the arena, and most of this table does not depend on it.
//
// What is owned is an object each, with an identity, and is taken, adopted,
// checked and let go by its own rules:
//
//   members      array_members   opened O_EXCL; set uuid, device uuid, disk, events
//   lock         run_directory   flock on /run/ringraid/UUID/lock
//   run files    run_directory   state, socket, log, events of the set with this uuid
//   device       ublk_device     number and mark
//   pins         predecessor     arena (life.h of the engine) and store, by set uuid
//   link         name_link       /dev/ringraid/NAME, to a device with our mark
//   dirty mark   array_metadata  in the members' superblocks
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rr {

enum class life_state : uint8_t {
    absent,       // nothing but superblocks
    starting,     // a daemon makes what service needs; no client yet
    serving,      // clients are answered
    parked,       // serving, while the queues wait for another program
    stopping,     // every request is answered; flush and clean mark are due
    deserted,     // the daemon died; clients wait, the arena knows the rows
    taking_over,  // a successor redoes rows
    device_gone,  // the block device was deleted from outside; the daemon lives
};
inline constexpr unsigned life_states = 8;

enum class life_event : uint8_t {
    assemble,        // ringraid assemble (or create) on its members
    status,          // ringraid status, stats
    fail,            // ringraid fail
    upgrade,         // ringraid upgrade
    stop,            // ringraid stop, SIGTERM, SIGINT
    stop_force,      // ringraid stop --force
    killed,          // kill -9 of the daemon, or its crash
    device_deleted,  // `ublk del`, from outside
    member_gone,     // a member vanishes
    other_writer,    // md, or another host, has written to the members
};
inline constexpr unsigned life_events = 10;

enum class life_outcome : uint8_t {
    done,     // it does what its name says
    refused,  // an error with a hint; nothing changes
    later,    // taken, and answered when the present step is over
    noted,    // no command: what happens by itself
    none,     // cannot happen here
};

struct life_rule {
    life_outcome outcome;
    life_state next;
    const char* what;  // a sentence, for people
};

// What exists in a state: bits for owned().
enum life_thing : uint32_t {
    life_members = 1U << 0,
    life_lock = 1U << 1,
    life_run_files = 1U << 2,
    life_device = 1U << 3,
    life_block_device = 1U << 4,
    life_pins = 1U << 5,
    life_link = 1U << 6,
    life_dirty = 1U << 7,
};

[[nodiscard]] const life_rule& life_rule_for(life_state state, life_event event);
// Things that exist at the end of the way into @state.
[[nodiscard]] uint32_t life_owned(life_state state);

[[nodiscard]] const char* to_string(life_state state);
[[nodiscard]] const char* to_string(life_event event);
[[nodiscard]] const char* to_string(life_outcome outcome);
// The table as docs/life.md has it.
[[nodiscard]] std::string life_as_markdown();

}  // namespace rr
