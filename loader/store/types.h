// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Types of values, as BTF: copied, hashed, compared, printed and converted.
//
// A store carries the types of its values as a BTF blob of its own, so that
// it can be read by somebody who has neither the program nor its source.
// BTF that comes out of a store is hostile: libbpf checks the ids, and every
// walk here has a bounded depth.
#pragma once

#include <bpf/btf.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace rr::store {

using bytes = std::vector<uint8_t>;
using const_bytes = std::span<const uint8_t>;

// A type: where it is defined, and its number there.
struct type_ref {
    const btf* in = nullptr;
    uint32_t id = 0;
};

// Types in one BTF, added as needed. Copies share the BTF, which only grows.
class type_set {
public:
    type_set();
    static Result<type_set> parse(const_bytes raw);

    // The number that @type has here; what it refers to comes along.
    Result<uint32_t> add(type_ref type);
    Result<uint32_t> add_text(const std::string& text);  // offset in the strings
    [[nodiscard]] std::string text(uint32_t offset) const;

    // To be called before a BTF that types came from is freed.
    void forget_sources();

    [[nodiscard]] const btf* get() const { return btf_.get(); }
    [[nodiscard]] btf* change() { return btf_.get(); }
    [[nodiscard]] type_ref at(uint32_t id) const { return {btf_.get(), id}; }
    [[nodiscard]] bytes raw() const;

private:
    Result<uint32_t> copy(type_ref type, unsigned depth);
    std::shared_ptr<btf> btf_;
    std::map<std::pair<const btf*, uint32_t>, uint32_t> copied_;
};

// EINVAL for what cannot be kept: pointers, functions, types without a size.
Status check_storable(type_ref type);
[[nodiscard]] uint32_t type_size(type_ref type);
[[nodiscard]] uint32_t type_align(type_ref type);
// The same for the same layout: names of members, sizes, offsets, signs and
// enumerators count, names of types do not.
[[nodiscard]] uint64_t type_hash(type_ref type);
[[nodiscard]] std::string type_name(type_ref type);

// Values of decl tags "kv.NAME=VALUE" on @type, or on its member @component.
[[nodiscard]] std::string tag_value(type_ref type, int component, const std::string& name);

// A whole number, if the type is one (or an enum, or a bool).
struct integer {
    bool is = false;
    bool is_signed = false;
    uint32_t size = 0;
};
[[nodiscard]] integer as_integer(type_ref type);
[[nodiscard]] int64_t load_integer(const integer& kind, const_bytes value);

[[nodiscard]] nlohmann::json to_json(type_ref type, const_bytes value);
Status from_json(type_ref type, const nlohmann::json& json, std::span<uint8_t> value);

// How two types differ. More than one bit may be set.
enum change : uint32_t {
    change_none = 0,
    change_reordered = 1 << 0,
    change_renamed = 1 << 1,
    change_widened = 1 << 2,   // larger numbers, more members or elements
    change_narrowed = 1 << 3,  // smaller numbers, fewer members or elements
    change_retyped = 1 << 4,   // bits that mean something else
};
struct comparison {
    uint32_t changes = change_none;
    std::vector<std::string> notes;  // "a.b: widened from 4 to 8 bytes"
};
[[nodiscard]] comparison compare(type_ref from, type_ref to);

// Carries @old over into @fresh, member by member, by name; what @from lacks
// keeps the bytes that @fresh has. ERANGE when a number does not fit, unless
// @lossy, then the nearest that fits; EINVAL for what only a converter can do.
Status convert(type_ref from, const_bytes old, type_ref to, std::span<uint8_t> fresh, bool lossy);

// Not cryptographic: against accidents, not against forgery.
[[nodiscard]] uint64_t hash_bytes(const_bytes data, uint64_t seed = 0);

}  // namespace rr::store
