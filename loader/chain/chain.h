// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A chain: files, arena, ring and loop, owned by one thread.
//
// Order of making: files, arena, ring with both registered, worker, program. The
// program is last, since a ring that has one cannot be registered with; what is
// destroyed first is the program, then the ring, then the memory that its reads go
// to. A process that dies leaves it to the kernel in the same order: nothing is
// pinned, so nothing stays.
#pragma once

#include <liburing.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "chain/chain_api.h"
#include "chain/files.h"
#include "chain/program.h"
#include "chain/user_host.h"

namespace rr::chained {

// The options with every default filled in, and checked.
Result<rr_chain_options> complete_options(const rr_chain_options& given);

// Memory of the arena: a map where the kernel's loop runs, else the process's own.
class memory {
public:
    static Result<memory> of_map(uint64_t bytes);
    static Result<memory> of_process(uint64_t bytes);
    memory() = default;
    memory(memory&& other) noexcept;
    memory& operator=(memory&& other) noexcept;
    ~memory();

    [[nodiscard]] chain_shared* shared() const { return static_cast<chain_shared*>(at_); }
    [[nodiscard]] int map_fd() const { return fd_.get(); }

private:
    Fd fd_;
    void* at_ = nullptr;
    uint64_t bytes_ = 0;
};

class chain {
public:
    static Result<std::unique_ptr<chain>> open(const rr_chain_options& options);
    ~chain();
    chain(const chain&) = delete;
    chain& operator=(const chain&) = delete;

    Result<unsigned> submit(std::span<const rr_chain_lookup> lookups);
    Result<unsigned> wait(unsigned want, std::span<rr_chain_result> results);
    Status refresh(unsigned file);
    Status check(unsigned file) const;
    [[nodiscard]] unsigned in_flight() const { return in_flight_; }
    [[nodiscard]] bool in_kernel() const { return program_ != nullptr; }
    [[nodiscard]] const std::string& why() const { return why_; }
    [[nodiscard]] const chain_shared* shared() const { return memory_.shared(); }
    [[nodiscard]] uint64_t enters() const { return enters_ + host_.enters; }
    [[nodiscard]] uint64_t verified() const { return program_ ? program_->verified() : 0; }
    const std::string& faults();
    void bump();

private:
    chain() = default;
    Status make(const rr_chain_options& options);
    Status open_files(const rr_chain_options& options);
    Status make_memory(const rr_chain_options& options, bool map);
    Status make_ring();
    Status make_workers();
    Status make_program(const rr_chain_options& options);
    Status try_kernel(const rr_chain_options& options);
    Status go_user(const rr_chain_options& options);
    void drop_ring();
    void fill(unsigned slot, const rr_chain_lookup& lookup);
    void give_back();
    Status enter();
    unsigned reap(std::span<rr_chain_result> results);
    [[nodiscard]] ::chain* lookup(unsigned slot) const;
    [[nodiscard]] Status check_thread() const;

    std::vector<open_file> files_;
    memory memory_;
    io_uring ring_{};
    bool ring_ready_ = false;
    rr_ring_offsets at_{};
    std::unique_ptr<loop_program> program_;
    chain_user_host host_{};
    std::string why_;
    std::vector<unsigned> free_;
    std::vector<unsigned> given_;  // results that the caller may still look at
    std::vector<uint64_t> tags_;
    unsigned in_flight_ = 0;
    uint64_t enters_ = 0;
    pid_t thread_ = 0;
    unsigned hops_max_ = 0;
    std::string no_faults_;
};

}  // namespace rr::chained
