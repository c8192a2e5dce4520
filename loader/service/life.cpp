// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/life.h"

#include <array>
#include <vector>

#include <fmt/format.h>

namespace rr {
namespace {

using enum life_state;
using enum life_outcome;

using row = std::array<life_rule, life_events>;

constexpr uint32_t held = life_members | life_lock | life_run_files;
constexpr uint32_t served =
    held | life_device | life_block_device | life_pins | life_link | life_dirty;

struct state_row {
    const char* name;
    const char* meaning;
    uint32_t owned;
    row rules;  // in the order of life_event
};

// One row a state; the columns are assemble, status, fail, upgrade, stop,
// stop --force, killed, device deleted, member gone, other writer.
constexpr std::array<state_row, life_states> table = {{
    {"absent",
     "nothing but superblocks",
     0,
     {{{done, serving, "starts it; a dirty array has its parity recomputed while it serves"},
       {refused, absent, "no array runs"},
       {refused, absent, "no array runs"},
       {refused, absent, "no array runs"},
       {refused, absent, "no array runs"},
       {refused, absent, "no array runs"},
       {none, absent, "there is no daemon"},
       {none, absent, "there is no device"},
       {noted, absent, "the next start needs --degraded"},
       {noted, absent, "theirs; the superblocks tell"}}}},
    {"starting",
     "a daemon makes what service needs; no client yet",
     held,
     {{{refused, starting, "it is starting"},
       {done, starting, "says starting, and the step"},
       {refused, starting, "it is starting"},
       {refused, starting, "it is starting"},
       {later, absent, "ends the start, and takes back what it made"},
       {later, absent, "ends the start, and takes back what it made"},
       {noted, deserted, "nothing was served: the next start clears what is left"},
       {noted, absent, "the start fails, and takes back what it made"},
       {noted, starting, "the start fails, or the member is recorded as failed"},
       {none, starting, "the members are held"}}}},
    {"serving",
     "clients are answered",
     served,
     {{{refused, serving, "it is being served"},
       {done, serving, "its state, from the daemon"},
       {done, serving, "answered when the failure is durable"},
       {done, parked, "another program"},
       {done, stopping, "refused while the block device is in use"},
       {done, stopping, "clients get errors"},
       {noted, deserted, "clients wait"},
       {noted, device_gone, "logged at once; members are flushed and marked clean"},
       {noted, serving, "the next write to it records its failure"},
       {none, serving, "the members are held"}}}},
    {"parked",
     "serving, while the queues wait for another program",
     served,
     {{{refused, parked, "it is being served"},
       {done, parked, "its state, from the daemon"},
       {done, parked, "answered when the failure is durable"},
       {later, serving, "one after the other"},
       {later, stopping, "after the upgrade"},
       {later, stopping, "after the upgrade"},
       {noted, deserted, "clients wait; the successor settles the roll-out"},
       {noted, device_gone, "as when serving"},
       {noted, parked, "the next write to it records its failure"},
       {none, parked, "the members are held"}}}},
    {"stopping",
     "every request is answered; flush and clean mark are due",
     held | life_pins | life_dirty,
     {{{refused, stopping, "it is stopping"},
       {done, stopping, "says stopping, and the step"},
       {refused, stopping, "it is stopping"},
       {refused, stopping, "it is stopping"},
       {later, absent, "the same answer as the first"},
       {later, absent, "the same answer as the first"},
       {noted, deserted, "without clients: the next start flushes and marks clean"},
       {noted, stopping, "it was to be deleted"},
       {noted, absent, "recorded as failed; the rest is clean"},
       {none, stopping, "the members are held"}}}},
    {"deserted",
     "the daemon died; clients wait, the arena knows the rows",
     life_run_files | life_device | life_block_device | life_pins | life_link | life_dirty,
     {{{done, taking_over, "a successor, where the members are what the dead daemon left"},
       {refused, deserted, "says that the daemon is dead, and what to do"},
       {refused, deserted, "the daemon is dead"},
       {refused, deserted, "the daemon is dead"},
       {refused, deserted, "the daemon is dead: assemble, or stop --force"},
       {done, absent,
        "rows redone and marked clean; given up where the members differ, "
        "refused where they "
        "cannot be had"},
       {none, deserted, "it is dead"},
       {noted, deserted, "without clients: the next start redoes rows and marks clean"},
       {noted, deserted, "the takeover needs --degraded"},
       {noted, deserted,
        "a takeover is refused; stop --force gives the dead daemon's state "
        "up"}}}},
    {"taking over",
     "a successor redoes rows",
     held | life_device | life_block_device | life_pins | life_link | life_dirty,
     {{{refused, taking_over, "it is being taken over"},
       {done, taking_over, "says taking over, and the step"},
       {refused, taking_over, "it is being taken over"},
       {refused, taking_over, "it is being taken over"},
       {later, deserted, "ends the takeover; clients go on waiting"},
       {later, deserted, "ends the takeover; clients go on waiting"},
       {noted, deserted, "clients wait; the redo may be done again"},
       {noted, deserted, "the takeover fails"},
       {noted, taking_over, "recorded as failed, as when serving"},
       {none, taking_over, "the members are held"}}}},
    {"device gone",
     "the block device was deleted from outside; the daemon lives",
     held,
     {{{refused, device_gone, "stop it first"},
       {done, device_gone, "says that the device is gone"},
       {refused, device_gone, "nothing is served"},
       {refused, device_gone, "nothing is served"},
       {done, absent, "the members are clean already"},
       {done, absent, "the members are clean already"},
       {noted, deserted, "nothing is left to do: the next start clears its files"},
       {none, device_gone, "it is gone"},
       {none, device_gone, "the members are let go"},
       {noted, device_gone, "theirs: the members are let go"}}}},
}};

struct thing_name {
    life_thing thing;
    const char* name;
};
constexpr std::array things = {thing_name{life_members, "members"},
                               thing_name{life_lock, "lock"},
                               thing_name{life_run_files, "run files"},
                               thing_name{life_device, "ublk device"},
                               thing_name{life_block_device, "block device"},
                               thing_name{life_pins, "pins"},
                               thing_name{life_link, "link"},
                               thing_name{life_dirty, "dirty mark"}};

const state_row& of(life_state state) {
    return table[static_cast<size_t>(state)];
}

std::string owned_text(uint32_t owned) {
    std::string out;
    for (const thing_name& t : things) {
        if ((owned & t.thing) != 0)
            out += fmt::format("{}{}", out.empty() ? "" : ", ", t.name);
    }
    return out.empty() ? "-" : out;
}

}  // namespace

const life_rule& life_rule_for(life_state state, life_event event) {
    return of(state).rules[static_cast<size_t>(event)];
}

uint32_t life_owned(life_state state) {
    return of(state).owned;
}

const char* to_string(life_state state) {
    return of(state).name;
}

const char* to_string(life_event event) {
    static constexpr std::array<const char*, life_events> names = {
        "assemble",     "status", "fail",           "upgrade",     "stop",
        "stop --force", "killed", "device deleted", "member gone", "other writer"};
    return names[static_cast<size_t>(event)];
}

const char* to_string(life_outcome outcome) {
    static constexpr std::array<const char*, 5> names = {"done", "refused", "later", "noted", "-"};
    return names[static_cast<size_t>(outcome)];
}

std::string life_as_markdown() {
    std::string out = "| state | what it is | what exists |\n|---|---|---|\n";
    for (const state_row& s : table)
        out += fmt::format("| {} | {} | {} |\n", s.name, s.meaning, owned_text(s.owned));
    for (const state_row& s : table) {
        out += fmt::format(
            "\n### {}\n\n| event | outcome | then | what happens "
            "|\n|---|---|---|---|\n",
            s.name);
        for (size_t e = 0; e < life_events; e++) {
            const life_rule& r = s.rules[e];
            out += fmt::format("| {} | {} | {} | {} |\n", to_string(static_cast<life_event>(e)),
                               to_string(r.outcome), to_string(r.next), r.what);
        }
    }
    return out;
}

}  // namespace rr
