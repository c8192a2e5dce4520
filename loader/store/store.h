// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The values of a store while programs run: get, put, make, delete, list.
//
// Values of existing keys are read and written by each key's own rules and
// need no lock. What changes the structure (make, delete, resize) takes the
// store's lock, and is published by one directory word: a process that dies
// halfway leaves the key as it was or as it was to be.
//
// A deleted key's space is given back when the next one is made or moved,
// after every program that could still hold its address is over.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "store/area.h"

namespace rr::store {

// Who the caller is to keys that have an owner.
enum class access {
    outside,  // refuses what could be torn (EBUSY)
    racy,     // reads it all the same
    owner,    // no program writes them now, says the caller
};

class store {
public:
    static Result<store> create(const manifest& m, const std::string& pin);
    static Result<store> open(const std::string& pin, bool read_only = false);
    explicit store(area&& at) : area_(std::move(at)) {}

    [[nodiscard]] area& at() { return area_; }
    [[nodiscard]] const area& at() const { return area_; }

    // ENOENT, or the value of the key, whatever its size is.
    Result<bytes> get(uint32_t id, access who = access::outside) const;
    Status put(uint32_t id, const_bytes value, access who = access::outside) const;

    // ENOENT when no key is called so.
    Result<uint16_t> find(const std::string& name) const;

    // A new dynamic key with this value. EEXIST, ENOSPC.
    Status make(uint32_t id, const std::string& name, uint32_t sync, const_bytes value) const;
    // The lowest number that is free.
    Result<uint16_t> free_id() const;
    Status remove(uint32_t id) const;
    // A dynamic key's size; what fits of the value stays, the rest is zeros.
    Status resize(uint32_t id, uint32_t size, access who = access::outside) const;

    // Of the active bank.
    Result<manifest> describe() const;
    [[nodiscard]] uint32_t pages_used() const;

    // Programs are kept off the store until it is destroyed; the store outlives
    // it and stays where it is. Nobody else shuts or opens the gate meanwhile.
    class pause {
    public:
        pause(const area& of, store_lock lock);
        pause(pause&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), lock_(std::move(other.lock_)) {}
        pause(const pause&) = delete;
        pause& operator=(pause&&) = delete;
        ~pause();

    private:
        const area* of_;
        store_lock lock_;
    };
    // ENOTSUP when the program does not look at the gate.
    Result<pause> shut_gate() const;

private:
    Status put_into(uint32_t bank, uint32_t id, uint64_t meta, const_bytes value, access who) const;
    // EBUSY while a roll-out is between two versions.
    Status settled() const;
    Status may_touch(uint32_t bank, uint32_t id, uint64_t meta, access who) const;
    Result<bytes> get_from(uint32_t bank, uint32_t id, access who) const;
    Result<uint16_t> find_in(uint32_t bank, const std::string& name) const;

    // What @read, given the active bank, says when no roll-out came between,
    // and with @structure no key was made, moved or deleted.
    template <typename F>
    auto undisturbed(bool structure, F read) const -> decltype(read(0U)) {
        for (unsigned i = 0; i < KV_TRIES; i++) {
            const uint32_t changes = __atomic_load_n(&area_.header().changes, __ATOMIC_SEQ_CST);
            const uint64_t state = area_.state();
            auto seen = read(kv_state_active(state));
            if (area_.state() == state &&
                (!structure ||
                 __atomic_load_n(&area_.header().changes, __ATOMIC_SEQ_CST) == changes))
                return seen;
        }
        return with_hint(fail(EAGAIN, "the store changes faster than it can be read"), "try again");
    }
    Result<uint32_t> allocate(uint32_t size) const;
    Status reclaim() const;
    void count_pages() const;

    area area_;
};

}  // namespace rr::store
