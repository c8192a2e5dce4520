// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The directories of one array's service: made, checked, locked, cleared.
//
// Both are named after the set's uuid, both are private to root (see
// base/private_directory.h). What is in them belongs to who holds the lock: nothing
// is written, used or removed without it, and what carries an identity of its own
// (the arena, the store) is compared by who knows it before it is used.
//
// The lock ends with its process, so a daemon that was killed holds it no longer
// than the kernel takes to end it.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "service/paths.h"

namespace rr {

// A BPF file system is where arenas are pinned.
bool pins_can_be_seen();

class array_places {
public:
    explicit array_places(const md::uuid& set_uuid) : paths_(set_uuid) {}

    [[nodiscard]] const array_paths& paths() const { return paths_; }

    // EPERM as of make_private_directory().
    Status make_run_directory() const;
    // Files can be made there, or a start fails now (ENOSPC, EROFS) and not after
    // something was overwritten.
    [[nodiscard]] Status check_room() const;
    // ENOTSUP: no BPF file system.
    Status make_pin_directory() const;
    // Those that are there are private.
    [[nodiscard]] Status check() const;

    // EBUSY at once while another process has it. After make_run_directory().
    Status take_lock();
    [[nodiscard]] bool locked() const { return static_cast<bool>(lock_); }
    // Its files are where they were: somebody may clear /run under a living
    // daemon.
    [[nodiscard]] bool are_there() const;
    // The directory and the lock again, after that. EBUSY: somebody has the new
    // lock.
    Status make_again();

    // Atomic; for people and for other commands.
    [[nodiscard]] Status write_state(const nlohmann::json& state) const;
    [[nodiscard]] std::optional<nlohmann::json> read_state() const;

    // The user engine's, which was served before the machine was started: of no use.
    [[nodiscard]] bool has_older_arena() const;
    // State, programs, the arenas of the user engine: the lock, the log and the events
    // stay, and the socket, which is its listener's.
    void remove_run_files() const;
    // That of a dead daemon.
    void remove_socket() const;
    void remove_pins() const;
    // What lies there is another array's: it keeps its pins, under a name that is free.
    void put_foreign_aside() const;

private:
    array_paths paths_;
    Fd lock_;
};

// The object in a JSON file, if there is a whole one.
std::optional<nlohmann::json> read_json(const std::string& path);

// One JSON text, whatever bytes the strings hold.
std::string to_line(const nlohmann::json& value, int indent = -1);

}  // namespace rr
