// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The KV store of an array's BPF program, as the daemon uses it.
//
// The store belongs to the program: its version says which values there are
// and what they look like. The daemon therefore goes by names and BTF, never
// by a struct of its own: what a version does not have is left out, what it
// has besides is passed on.
//
//   counters      of the queues, written by the program
//   array, members  copies of what the superblocks say, for onlookers
//
// The store outlives daemon and program, not the array's service: the data on
// the members never depends on it. One that cannot be used any more is made
// anew, with a word in the log; the counters then start at zero.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "service/paths.h"
#include "store/rollout.h"

namespace rr {

class kept_state {
public:
    // A new store for the built-in program.
    static Result<kept_state> make(const array_paths& paths);
    // That of a daemon that died. A roll-out that was cut off is settled; a
    // store whose own program is not there any more, or was built for another
    // arena or ring, is moved to the built-in one.
    static Result<kept_state> adopt(const array_paths& paths, int arena_fd);
    // That of a daemon that lives, as it is. EBUSY: a program is on probation there. EPROTO:
    // its program does not fit this one's structures.
    static Result<kept_state> look(const array_paths& paths);

    [[nodiscard]] store::store& at() { return store_; }
    [[nodiscard]] const array_paths& paths() const { return paths_; }

    // The object of the active version, its keys resolved.
    [[nodiscard]] Result<store::bytes> active_program() const;
    // That of the other bank, while a version is on probation.
    [[nodiscard]] Result<store::bytes> previous_program() const;
    // Object files of generations that are in no bank any more.
    void forget_programs() const;

    // Members of struct keys @name that the version has and @value names.
    Status publish(const std::string& name, const nlohmann::json& value) const;
    // Numbers by name: structs in arrays are summed up.
    [[nodiscard]] nlohmann::json counters() const;
    [[nodiscard]] uint32_t version() const;
    // These are the values that it has: a program of them differs in its code only.
    [[nodiscard]] bool holds(const store::manifest& declared) const;

private:
    kept_state(array_paths paths, store::store&& at)
        : paths_(std::move(paths)), store_(std::move(at)) {}
    [[nodiscard]] Result<store::bytes> program_of(uint32_t bank) const;
    Status move_to_builtin(int arena_fd);
    [[nodiscard]] nlohmann::json counters_now() const;

    array_paths paths_;
    store::store store_;
};

}  // namespace rr
