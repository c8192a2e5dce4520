// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where a running array leaves what others look for.
//
//   /run/ringraid/UUID/state.json    which ublk device, engine and members
//   /run/ringraid/UUID/control.sock  the daemon's socket
//   /run/ringraid/UUID/lock          held (flock) by the living daemon
//   /run/ringraid/UUID/log           what a daemon in the background said
//   /run/ringraid/UUID/events        what happened to the array, and events.old (events.h)
//   /run/ringraid/UUID/arena-BOOT    the arena of the user engine
//   /run/ringraid/UUID/program-N.bpf.o  what `ringraid upgrade` brought
//   /sys/fs/bpf/ringraid/UUID/arena  that of the bpf engine, pinned
//   /sys/fs/bpf/ringraid/UUID/store  the KV store of its program, pinned
//   /dev/ringraid/NAME               link to the block device
//
// All of it is gone after a reboot, as it must be: then the superblocks are
// the only truth. Where /run is on a disk it is not, and a power cut may have torn it,
// so the arena's name says of which boot it is: nothing in it need be believed for that.
// What stays says nothing of data:
//
//   /var/lib/ringraid/UUID.check     how far a check came (scrub_note.h)
//   /var/lib/ringraid/UUID.ppl       it is to have a log (array_consistency.cpp)
#pragma once

#include <string>

#include "md/superblock.h"

namespace rr {

struct array_paths {
    explicit array_paths(const md::uuid& id);

    std::string directory;
    std::string state;
    std::string socket;
    std::string lock;
    std::string log;
    std::string events;
    std::string check;
    std::string wanted_log;
    std::string arena_file;
    std::string arena_pin;
    std::string pins;  // the directory of what is pinned
    std::string store_pin;

    // The object file of the store's generation @n.
    [[nodiscard]] std::string program(uint32_t n) const;
};

inline constexpr const char* run_directory = "/run/ringraid";
inline constexpr const char* pin_directory = "/sys/fs/bpf/ringraid";
inline constexpr const char* link_directory = "/dev/ringraid";
inline constexpr const char* kept_directory = "/var/lib/ringraid";

// "name" of md's "host:name".
std::string short_name(const std::string& set_name);

// The link in /dev/ringraid; characters that no file name should have become '_'.
std::string link_path(const std::string& set_name);

}  // namespace rr
