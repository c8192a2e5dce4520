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
    // A new arena of `bytes` at a path in a BPF file system, or in a tmpfs.
    // EEXIST: an earlier daemon's arena is there.
    static Result<arena_memory> create_map(const std::string& pin, uint64_t bytes);
    static Result<arena_memory> create_file(const std::string& path, uint64_t bytes);
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
    // Removes the name, so that the memory ends with its last user.
    void forget();

private:
    arena_memory() = default;
    Status map(uint64_t bytes);

    Fd fd_;
    std::string path_;
    std::span<std::byte> memory_;
};

}  // namespace rr
