// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The mapped area of a store: made, opened, checked, its banks read and written.
//
// Everything in it may have been written by anybody who may write the map.
// What is read here is copied and checked before it is believed; a store that
// does not hold together is refused and left as it is.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "ringraid/kv_store.h"
#include "store/manifest.h"

namespace rr::store {

struct lock_file;

class area {
public:
    // A new store for @m, with its values at their defaults, in bank 0.
    static Result<area> create(const manifest& m);
    static Result<area> open(const std::string& pin, bool read_only = false);
    static Result<area> from_fd(Fd map, bool read_only = false);

    area(area&&) noexcept;
    area& operator=(area&&) noexcept;
    ~area();

    Status pin(const std::string& path) const;

    [[nodiscard]] int fd() const { return map_.get(); }
    [[nodiscard]] uint32_t map_id() const { return map_id_; }
    [[nodiscard]] bool read_only() const { return read_only_; }
    [[nodiscard]] uint64_t size() const { return size_; }
    // Fixed at creation and checked at open; kept apart from the mapping.
    [[nodiscard]] uint32_t pages() const { return pages_; }
    [[nodiscard]] const std::string& program() const { return program_; }
    [[nodiscard]] std::string uuid() const;

    [[nodiscard]] kv_header& header() const { return at_->h; }
    [[nodiscard]] kv_bank& bank(uint32_t i) const { return at_->bank[i & 1]; }
    [[nodiscard]] uint8_t* bytes_at(uint64_t offset) const {
        return reinterpret_cast<uint8_t*>(at_) + offset;
    }
    [[nodiscard]] uint64_t state() const {
        return __atomic_load_n(&at_->h.state, __ATOMIC_SEQ_CST);
    }
    void set_state(uint32_t phase, uint32_t active, uint32_t generation) const {
        __atomic_store_n(&at_->h.state, kv_state(phase, active, generation), __ATOMIC_SEQ_CST);
    }
    [[nodiscard]] uint32_t active() const { return kv_state_active(state()); }
    [[nodiscard]] uint64_t word(uint32_t bank_no, uint32_t key) const {
        return __atomic_load_n(&bank(bank_no).dir[key], __ATOMIC_SEQ_CST);
    }
    // Lets programs of @generation run; 0: none. Only with the store's lock.
    void set_gate(uint32_t generation) const {
        __atomic_store_n(&at_->h.gate, generation, __ATOMIC_SEQ_CST);
    }
    // Whether this handle keeps the programs off the store, store::shut_gate().
    // The gate alone does not say so: another process shut it, or programs that
    // passed it before are still at work.
    [[nodiscard]] bool paused() const { return pauses_ != 0; }
    void count_pause(bool begins) const { pauses_ += begins ? 1 : -1; }

    // Whether @need bytes at @offset are values of the bank.
    [[nodiscard]] bool in_bank(uint32_t bank_no, uint64_t offset, uint64_t need) const;

    // The manifest of a bank, with its dynamic keys, all checked.
    Result<manifest> read_manifest(uint32_t bank_no) const;

    // The types of a bank, and the text of entries.
    Result<type_set> read_types(uint32_t bank_no) const;

    // Writes @m, which is placed, and its default values into a bank that is
    // not in use. The directory is written too: the bank becomes whole only
    // by the state word.
    Status write_bank(uint32_t bank_no, const manifest& m, uint32_t generation) const;
    void wipe_bank(uint32_t bank_no) const;

    // Enters a key's name; ENOSPC when its part of the hash is full.
    Status enter_name(uint32_t bank_no, uint16_t id, const std::string& name) const;

private:
    friend class store_lock;
    area() = default;
    Status map_it();

    Fd map_;
    kv_area* at_ = nullptr;
    uint64_t size_ = 0;
    uint32_t pages_ = 0;
    uint32_t map_id_ = 0;
    bool read_only_ = false;
    std::string program_;
    mutable std::atomic<int> pauses_{0};
    mutable std::weak_ptr<lock_file> lock_;
    mutable std::thread::id locked_by_;
};

// One writer of a store's structure at a time, over all processes; released
// by the kernel when the process ends in whatever way. A thread that holds it
// may take it again through the same handle: what pauses programs also writes.
class store_lock {
public:
    static Result<store_lock> take(const area& of);

private:
    std::shared_ptr<lock_file> file_;
};

// Every BPF program that ran when this was called, and does not sleep, is over.
Status wait_for_programs();

// A value as it lies at a slot: copies by the key's rules.
// EAGAIN: writers kept overtaking. EBUSY: another writer holds it.
Status read_value(const uint8_t* slot, uint32_t sync, std::span<uint8_t> into);
Status write_value(uint8_t* slot, uint32_t sync, const_bytes value);

// Keeps other writers from a SEQ slot.
class value_lock {
public:
    value_lock() = default;
    value_lock(const value_lock&) = delete;
    value_lock& operator=(const value_lock&) = delete;
    ~value_lock();
    Status take(uint8_t* slot);

private:
    uint8_t* slot_ = nullptr;
};

// Lets go of SEQ values whose writer is dead; how many there were.
uint32_t break_dead_locks(const area& of, const manifest& m, uint32_t bank);

}  // namespace rr::store
