// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a dead daemon left of an array, and how it is brought to an end.
//
// It is looked for by the set's uuid alone: the arena where it is pinned (or, of
// the user engine, in the run directory), and the ublk device that carries the
// set's mark. Files in /run tell people; nothing here depends on them, so a /run
// that was cleared costs nothing but the user engine's arena.
//
//   arena, and clients wait          take it over (recovery.cpp)
//   arena, and no device waits       settle(): redo, flush, mark clean, forget
//   no arena, and clients wait       nobody knows what was in the making: give_up()
//   neither                          nothing was left
//
// The caller holds the array's lock, or there is no run directory to lock.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/arena_memory.h"
#include "engine/queue.h"
#include "ringraid/life.h"
#include "service/membership.h"
#include "service/places.h"
#include "ublk/device.h"

namespace rr {

class failures_so_far;

class predecessor {
public:
    // EPERM: a directory is not ours alone. An arena that cannot be used is no error
    // here: see flaw().
    static Result<predecessor> find(const array_places& places, const md::uuid& set_uuid);

    // Something is there that must be taken over, settled or given up.
    [[nodiscard]] bool exists() const { return found_arena_ || device_.has_value(); }
    // An arena of this array, whole.
    [[nodiscard]] bool has_arena() const { return arena_.has_value(); }
    // Why the arena that is there cannot be used.
    [[nodiscard]] const Status& flaw() const { return flaw_; }
    // Clients wait on the device.
    [[nodiscard]] bool is_waited_for() { return device_ && device_->is_waited_for(); }
    // Nothing was served, or all of it was brought to its end: the members do not
    // need what is in the arena.
    [[nodiscard]] bool served_nothing() const;

    [[nodiscard]] rr_array* array() const;
    [[nodiscard]] rr_life* life() const;
    [[nodiscard]] engine_host engine() const;
    [[nodiscard]] std::optional<ublk_device>& device() { return device_; }
    [[nodiscard]] int arena_fd() const { return arena_->fd(); }
    // For who takes over: the mapping is his from now on.
    arena_memory take_arena();

    // Without clients: rows are written again, members flushed and marked clean; then
    // all traces are removed. @members agree (check_heritage). An error leaves
    // everything for the next try.
    Status settle(array_members& members);
    // Whatever was in the making is forgotten, and clients get errors. EBUSY: a
    // daemon serves the device.
    Status give_up();
    // What both end with.
    void forget();
    // EBUSY: its device is still served, by a daemon that has no part in the lock.
    Status wait_until_dead();

private:
    Status settle_rows(array_members& members, md::array_metadata& metadata,
                       const failures_so_far& before);
    predecessor(const array_places& places, const md::uuid& set_uuid)
        : places_(&places), set_uuid_(set_uuid) {}
    void find_arena(const md::uuid& set_uuid);
    void tell_the_end(const std::string& name, const std::string& block_path) const;

    const array_places* places_;
    md::uuid set_uuid_;
    bool found_arena_ = false;
    engine_host engine_ = engine_host::bpf;
    std::optional<arena_memory> arena_;
    Status flaw_;
    std::optional<ublk_device> device_;
};

struct named_members {
    std::vector<std::string> paths;
    bool only = false;  // the others are done without, wherever they are
};

// The members as the arena has them, opened exclusively: those that are named, and what
// of the others is found on the machine. Waits a moment for a dying daemon to let them
// go. @options.degraded: start although the arena counts on a member that is not there.
Result<array_members> open_left_members(const predecessor& left, const named_members& named,
                                        const md::assembly_options& options);

// Of a daemon that lives: where its members are, found by identity and only looked at.
// ENODEV: one that it counts on is not found.
Result<std::vector<std::string>> paths_of_living(const predecessor& living);

// How what a dead daemon left is to be ended.
struct last_orders {
    std::vector<std::string> devices;        // members to open, beside those that are found
    bool only_named = false;                 // none is looked for
    bool degraded = false;                   // although one is not there
    bool give_up = false;                    // although its members cannot be had now
    const char* give_up_word = "--give-up";  // how that is said to the command
    // Asked before anything is given up.
    std::function<Status()> may_give_up;
};

// Settles it where its members are what was left. Gives it up where they are
// not, or where nothing can be known; where they cannot be had (late,
// read-only, in use: the error says it) only when ordered. What happened, for
// people. EBUSY: a daemon lives.
Result<std::string> end_left(predecessor& left, const last_orders& how);

// The same for all that is left of a set, whose lock it takes meanwhile.
Result<std::string> end_dead_array(const md::uuid& set_uuid, const last_orders& how);

// The arrays that run, or ran until their daemon was killed, as their state files say;
// without one, as the pinned arena says.
std::vector<nlohmann::json> running_arrays();

}  // namespace rr
