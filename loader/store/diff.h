// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What changes between two manifests, key by key, and whether it may.
//
// The number is the key's identity. What is lossy (a key or a part of it
// goes, numbers get smaller) or ambiguous (other bits at the same size, a name
// that nobody explained) is blocked until its name is accepted.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "store/manifest.h"

namespace rr::store {

// The names of keys whose loss is accepted; "*" stands for all.
using accepted = std::set<std::string>;

enum class direction { up, down };

struct key_diff {
    uint16_t id = 0;
    std::string name;
    std::string kind;  // same, added, removed, renamed, reordered, widened,
                       // narrowed, retyped, redefined
    std::vector<std::string> notes;
    std::string converter;      // the function that does it
    std::string blocked;        // why it may not happen unasked; empty: it may
    bool lossy = false;         // accepted, so numbers may be cut to fit
    bool keep_default = false;  // the new version starts with its default
    const key_entry* from = nullptr;
    const key_entry* to = nullptr;
};

struct manifest_diff {
    uint32_t from_version = 0;
    uint32_t to_version = 0;
    std::vector<key_diff> keys;

    [[nodiscard]] bool blocked() const;
    [[nodiscard]] bool changed() const;
    // EINVAL with the reasons, when something is blocked.
    [[nodiscard]] Status verdict() const;
};

// Both manifests must outlive the result. Dynamic keys of @from that @to does
// not know are not listed: they move along as they are.
manifest_diff diff_manifests(const manifest& from, const manifest& to, const accepted& words,
                             direction way = direction::up);

}  // namespace rr::store
