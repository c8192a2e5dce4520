// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a version of a program keeps in its store: one entry a key.
//
// Made from the BTF of a BPF object (KV_STORE, KV_KEY of kv_store.bpf.h), or
// read back out of a store. Either way it is checked before anybody uses it:
// no key twice, no name twice, types of 1 to 4096 bytes without pointers,
// defaults within the range, offsets that do not overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ringraid/kv_store.h"
#include "store/types.h"

namespace rr::store {

struct key_entry {
    uint16_t id = 0;
    std::string name;
    uint32_t type_id = 0;  // in the manifest's types; 0 for a dynamic key
    uint32_t size = 0;
    uint64_t hash = 0;
    uint32_t sync = KV_SYNC_OWNER;
    uint32_t persist = KV_PERSIST_DURABLE;
    uint32_t home = KV_HOME_ARRAY;
    bool dynamic = false;
    bool ranged = false;
    int64_t min = 0;
    int64_t max = 0;
    uint32_t sem = 0;
    std::string was;
    std::string up;
    std::string down;
    bytes initial;  // `size` bytes

    uint32_t offset = 0;      // in the area, or in the task's pages; 0 before placement
    uint32_t default_at = 0;  // in the area; 0 for a default of zeros
};

struct manifest {
    std::string program;
    uint32_t version = 0;
    uint32_t flags = 0;
    uint32_t pages = KV_PAGES_DEFAULT;
    type_set types;
    std::vector<key_entry> keys;  // by id

    [[nodiscard]] const key_entry* find(uint32_t id) const;
    [[nodiscard]] const key_entry* find(const std::string& name) const;
    [[nodiscard]] type_ref type(const key_entry& key) const { return types.at(key.type_id); }
    // Of all that a program relies on; places do not count.
    [[nodiscard]] uint64_t hash() const;
};

// Reads the manifest of the BPF object file in @object.
Result<manifest> manifest_of_object(const_bytes object);

// EINVAL with the first thing that is wrong.
Status check_manifest(const manifest& m);

// ERANGE when the value is outside of the key's range.
Status check_range(const manifest& m, const key_entry& key, const_bytes value);

// Gives each key a place: fills `offset` and `default_at`. Values lie one
// after the other from the bank's start; those of tasks never cross a page.
Status place(manifest& m, uint32_t bank, uint32_t area_pages);

[[nodiscard]] const char* sync_name(uint32_t sync);
[[nodiscard]] const char* persist_name(uint32_t persist);

// Changes a copy of an object file so that its keys are resolved: each key's
// offset, and kv_store_info. EBADMSG when the object is not of @m.
struct baking {
    uint32_t bank = 0;
    uint32_t generation = 0;
    uint64_t area_bytes = 0;
};
Status bake_object(bytes& object, const manifest& placed, const baking& how);

}  // namespace rr::store
