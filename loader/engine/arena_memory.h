// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The memory behind the arena: it outlives the daemon, and nothing else.
//
// Under the BPF host it is a BPF arena map, pinned in a BPF file system; under
// the user host a file in /run (tmpfs). Both survive kill -9 and vanish with
// the machine, which is right: after a power cut the members are the truth.
// It is mapped at one fixed address in every daemon, because SQEs and BPF
// programs name its bytes by user address.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace rr {

class arena_memory {
public:
    // A new arena of `bytes`, which nobody finds before it is published: one that a
    // death left half made ends with its daemon, or is no arena to anybody.
    static Result<arena_memory> create_map(uint64_t bytes);
    // In a tmpfs, as @path with ".new" behind it.
    static Result<arena_memory> create_file(const std::string& path, uint64_t bytes);
    // It is whole: from here on a successor finds it at @path, in a BPF file system
    // or beside its file. EEXIST: an earlier daemon's map is there.
    Status publish(const std::string& path);
    // The name leads to it; it is made again where somebody has removed it. True of what
    // has no name yet.
    [[nodiscard]] bool is_published() const;
    // Another one has it.
    [[nodiscard]] bool is_displaced() const;
    Status publish_again();
    // That of a daemon that died. ENOENT: there is none.
    static Result<arena_memory> open_map(const std::string& pin);
    static Result<arena_memory> open_file(const std::string& path);

    arena_memory(arena_memory&& other) noexcept;
    arena_memory& operator=(arena_memory&&) = delete;
    arena_memory(const arena_memory&) = delete;
    arena_memory& operator=(const arena_memory&) = delete;
    ~arena_memory();  // unmaps; the memory stays until forget()

    [[nodiscard]] std::span<std::byte> span() const { return memory_; }
    [[nodiscard]] int fd() const { return fd_.get(); }  // of the map or file
    // Removes the name of what was not published.
    void forget();

private:
    arena_memory() = default;
    Status map(uint64_t bytes);

    Fd fd_;
    std::string path_;
    std::span<std::byte> memory_;
};

}  // namespace rr
