// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/types.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace rr::store {
namespace {

constexpr unsigned depth_max = 24;
constexpr uint32_t bytes_max = 1 << 20;  // of any type, long before sums overflow

const btf_type* type_of(type_ref t) {
    return btf__type_by_id(t.in, t.id);
}

// Without typedefs and qualifiers.
type_ref strip(type_ref t) {
    for (unsigned i = 0; i < depth_max; i++) {
        const btf_type* type = type_of(t);
        if (type == nullptr || !(btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type)))
            break;
        t.id = type->type;
    }
    return t;
}

std::string name_at(type_ref t, uint32_t offset) {
    const char* name = btf__name_by_offset(t.in, offset);
    return name == nullptr ? "" : name;
}

struct member {
    std::string name;
    std::string was;
    type_ref type;
    uint32_t bit = 0;    // offset
    uint32_t width = 0;  // of a bit field, else 0
};

// Tags are looked for in all of the BTF: only where they are wanted.
std::vector<member> members_of(type_ref t, bool tags = false) {
    std::vector<member> out;
    const btf_type* type = type_of(t);
    const btf_member* m = btf_members(type);
    out.reserve(btf_vlen(type));
    for (uint32_t i = 0; i < btf_vlen(type); i++)
        out.push_back({name_at(t, m[i].name_off),
                       tags ? tag_value(t, static_cast<int>(i), "was") : "",
                       {t.in, m[i].type},
                       btf_member_bit_offset(type, i),
                       btf_member_bitfield_size(type, i)});
    return out;
}

bool is_kind(type_ref t, uint32_t kind) {
    const btf_type* type = type_of(t);
    return type != nullptr && btf_kind(type) == kind;
}

uint32_t elements(type_ref t) {
    return btf_array(type_of(t))->nelems;
}
type_ref element(type_ref t) {
    return {t.in, btf_array(type_of(t))->type};
}

std::vector<std::pair<std::string, int64_t>> enumerators(type_ref t) {
    std::vector<std::pair<std::string, int64_t>> out;
    const btf_type* type = type_of(t);
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        if (btf_is_enum(type))
            out.emplace_back(name_at(t, btf_enum(type)[i].name_off),
                             btf_kflag(type)
                                 ? int64_t{btf_enum(type)[i].val}
                                 : int64_t{static_cast<uint32_t>(btf_enum(type)[i].val)});
        else
            out.emplace_back(name_at(t, btf_enum64(type)[i].name_off),
                             static_cast<int64_t>(btf_enum64_value(&btf_enum64(type)[i])));
    }
    return out;
}

Status check(type_ref t, unsigned depth) {
    t = strip(t);
    const btf_type* type = type_of(t);
    if (type == nullptr || depth > depth_max)
        return fail(EINVAL, "a type is nested too deep or does not exist");
    switch (btf_kind(type)) {
        case BTF_KIND_INT:
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64:
        case BTF_KIND_FLOAT:
            if (type->size == 0 || type->size > 16 || (type->size & (type->size - 1)) != 0)
                return fail(EINVAL, "a number of {} bytes", type->size);
            if (type->size > 8 && !btf_is_float(type))
                return with_hint(fail(EINVAL, "a number of {} bytes", type->size),
                                 "keep it as two 64-bit ones");
            return {};
        case BTF_KIND_ARRAY: {
            if (Status ok = check(element(t), depth + 1); !ok)
                return ok;
            const uint64_t all = uint64_t{type_size(element(t))} * elements(t);
            return all == 0 || all > bytes_max ? Status(fail(EINVAL, "an array of {} bytes", all))
                                               : Status();
        }
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            if (type->size == 0 || type->size > bytes_max)
                return fail(EINVAL, "a struct of {} bytes", type->size);
            for (const member& m : members_of(t)) {
                if (Status ok = check(m.type, depth + 1); !ok) {
                    Error error = ok.error();
                    error.what = fmt::format("member {}: {}", m.name, error.what);
                    return forward_error(error);
                }
                const uint64_t bits = m.width != 0 ? m.width : uint64_t{type_size(m.type)} * 8;
                if (m.bit + bits > uint64_t{type->size} * 8 || (m.width == 0 && m.bit % 8 != 0) ||
                    (m.width != 0 && (!as_integer(m.type).is || m.width > 64)))
                    return fail(EINVAL, "member {} lies outside of its struct", m.name);
            }
            return {};
        case BTF_KIND_PTR:
            return with_hint(fail(EINVAL, "a pointer cannot outlive its program"),
                             "keep an index or an offset instead");
        default:
            return fail(EINVAL, "a {} cannot be stored",
                        btf_kind(type) == BTF_KIND_FWD ? "type that is only declared"
                                                       : "type of this kind");
    }
}

uint64_t mix(uint64_t seed, uint64_t value) {
    seed ^= value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2);
    seed *= 0xff51afd7ed558ccdULL;
    return seed ^ (seed >> 33);
}

uint64_t mix(uint64_t seed, const std::string& text) {
    return hash_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, seed);
}

uint64_t hash_type(type_ref t, unsigned depth) {
    t = strip(t);
    const btf_type* type = type_of(t);
    if (type == nullptr || depth > depth_max)
        return 0;
    const uint32_t kind = btf_kind(type);
    uint64_t h = mix(0, kind == BTF_KIND_ENUM64 ? uint32_t{BTF_KIND_ENUM} : kind);
    switch (btf_kind(type)) {
        case BTF_KIND_INT:
            // char and unsigned char differ by sign only where it can be told.
            return mix(mix(h, type->size),
                       btf_int_encoding(type) & (BTF_INT_SIGNED | BTF_INT_BOOL));
        case BTF_KIND_FLOAT:
            return mix(h, type->size);
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64:
            h = mix(mix(h, type->size), btf_kflag(type));
            for (const auto& [name, value] : enumerators(t))
                h = mix(mix(h, name), static_cast<uint64_t>(value));
            return h;
        case BTF_KIND_ARRAY:
            return mix(mix(h, elements(t)), hash_type(element(t), depth + 1));
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            h = mix(h, type->size);
            for (const member& m : members_of(t))
                h = mix(mix(mix(mix(h, m.name), m.bit), m.width), hash_type(m.type, depth + 1));
            return h;
        default:
            return h;
    }
}

void note(comparison& c, uint32_t change, const std::string& path, const std::string& text) {
    c.changes |= change;
    c.notes.push_back(path.empty() ? text : path + ": " + text);
}

std::string joined(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
}

const member* find_member(const std::vector<member>& in, const std::string& name) {
    auto at = std::find_if(in.begin(), in.end(), [&](const member& m) { return m.name == name; });
    return name.empty() || at == in.end() ? nullptr : &*at;
}

// The member of @from that became @to: by name, else by either side's `was`;
// an anonymous one (a nested struct) by its place among the anonymous.
const member* origin(const std::vector<member>& from, const std::vector<member>& all_to,
                     const member& to) {
    if (to.name.empty()) {
        size_t nth = 0;
        for (const member& m : all_to) {
            if (&m == &to)
                break;
            nth += m.name.empty();
        }
        for (const member& m : from)
            if (m.name.empty() && nth-- == 0)
                return &m;
        return nullptr;
    }
    if (const member* same = find_member(from, to.name))
        return same;
    if (const member* old = find_member(from, to.was);
        old != nullptr && find_member(all_to, old->name) == nullptr)
        return old;
    for (const member& m : from)  // down: the newer side knows the older name
        if (m.was == to.name && find_member(all_to, m.name) == nullptr)
            return &m;
    return nullptr;
}

void compare_types(comparison& c, type_ref from, type_ref to, const std::string& path,
                   unsigned depth);

void compare_integers(comparison& c, const integer& a, uint32_t a_bits, const integer& b,
                      uint32_t b_bits, const std::string& path) {
    // What every value of a fits into: wider, and not signed into unsigned.
    const bool fits =
        a.is_signed == b.is_signed ? b_bits >= a_bits : !a.is_signed && b_bits > a_bits;
    if (a.is_signed == b.is_signed && a_bits == b_bits)
        return;
    if (fits)
        note(c, change_widened, path, fmt::format("widened from {} to {} bits", a_bits, b_bits));
    else if (a.is_signed == b.is_signed)
        note(c, change_narrowed, path, fmt::format("narrowed from {} to {} bits", a_bits, b_bits));
    else
        note(c, change_retyped, path,
             fmt::format("{} became {}", a.is_signed ? "signed" : "unsigned",
                         b.is_signed ? "signed" : "unsigned"));
}

void compare_enums(comparison& c, type_ref from, type_ref to, const std::string& path) {
    auto a = enumerators(from);
    auto b = enumerators(to);
    for (const auto& [name, value] : a) {
        auto at = std::find_if(b.begin(), b.end(), [&](const auto& e) { return e.first == name; });
        if (at == b.end())
            note(c, change_narrowed, path, fmt::format("{} is gone", name));
        else if (at->second != value)
            note(c, change_retyped, path, fmt::format("{} was {}, is {}", name, value, at->second));
    }
    if (b.size() > a.size())
        note(c, change_widened, path, "new enumerators");
}

void compare_structs(comparison& c, type_ref from, type_ref to, const std::string& path,
                     unsigned depth) {
    auto a = members_of(from, true);
    auto b = members_of(to, true);
    std::vector<const member*> used;
    size_t gone = 0;
    size_t fresh = 0;
    for (const member& m : b) {
        const member* old = origin(a, b, m);
        if (old == nullptr) {
            fresh++;
            note(c, change_widened, joined(path, m.name), "new");
            continue;
        }
        if (old->name != m.name)
            note(c, change_renamed, joined(path, m.name), "was " + old->name);
        if (!used.empty() && old < used.back())
            note(c, change_reordered, joined(path, m.name), "moved");
        used.push_back(old);
        if (old->width != 0 || m.width != 0) {
            integer x = as_integer(old->type);
            integer y = as_integer(m.type);
            if (x.is && y.is)
                compare_integers(c, x, old->width != 0 ? old->width : x.size * 8, y,
                                 m.width != 0 ? m.width : y.size * 8, joined(path, m.name));
        } else {
            compare_types(c, old->type, m.type, joined(path, m.name), depth + 1);
        }
    }
    for (const member& m : a)
        if (std::find(used.begin(), used.end(), &m) == used.end()) {
            gone++;
            note(c, change_narrowed, joined(path, m.name), "gone");
        }
    if (gone != 0 && fresh != 0)
        note(c, change_retyped, path, "members came and went: renamed, or not?");
}

void compare_types(comparison& c, type_ref from, type_ref to, const std::string& path,
                   unsigned depth) {
    if (depth > depth_max || hash_type(from, depth) == hash_type(to, depth))
        return;
    from = strip(from);
    to = strip(to);
    integer a = as_integer(from);
    integer b = as_integer(to);
    const bool enums = a.is && b.is && !is_kind(from, BTF_KIND_INT) && !is_kind(to, BTF_KIND_INT);
    if (enums)
        compare_enums(c, from, to, path);
    if (a.is && b.is && (enums || is_kind(from, BTF_KIND_INT) == is_kind(to, BTF_KIND_INT))) {
        if ((btf_is_int(type_of(from)) && btf_int_encoding(type_of(from)) & BTF_INT_BOOL) &&
            a.size == b.size)
            note(c, change_retyped, path, "a truth value became a number");
        else if (btf_is_int(type_of(to)) && btf_int_encoding(type_of(to)) & BTF_INT_BOOL)
            note(c, change_retyped, path, "a number became a truth value");
        else
            compare_integers(c, a, a.size * 8, b, b.size * 8, path);
        return;
    }
    if (is_kind(from, BTF_KIND_ARRAY) && is_kind(to, BTF_KIND_ARRAY)) {
        if (elements(to) != elements(from))
            note(c, elements(to) > elements(from) ? change_widened : change_narrowed, path,
                 fmt::format("{} elements became {}", elements(from), elements(to)));
        compare_types(c, element(from), element(to), path + "[]", depth + 1);
        return;
    }
    if (is_kind(from, BTF_KIND_STRUCT) && is_kind(to, BTF_KIND_STRUCT)) {
        const size_t before = c.notes.size();
        compare_structs(c, from, to, path, depth);
        if (c.notes.size() == before && type_size(from) != type_size(to))
            note(c, change_reordered, path, "padded differently");
        else if (c.notes.size() == before)
            note(c, change_reordered, path, "members lie elsewhere");
        return;
    }
    note(c, change_retyped, path, fmt::format("{} became {}", type_name(from), type_name(to)));
}

// Bit fields and plain numbers alike, little endian as every BPF target here.
uint64_t load_bits(const_bytes from, uint32_t bit, uint32_t width) {
    uint64_t out = 0;
    for (uint32_t i = 0; i < width; i++)
        out |= uint64_t{static_cast<uint8_t>(from[(bit + i) / 8] >> ((bit + i) % 8) & 1)} << i;
    return out;
}

void store_bits(std::span<uint8_t> to, uint32_t bit, uint32_t width, uint64_t value) {
    for (uint32_t i = 0; i < width; i++) {
        const auto mask = static_cast<uint8_t>(1U << ((bit + i) % 8));
        uint8_t& at = to[(bit + i) / 8];
        at = static_cast<uint8_t>((value >> i & 1) != 0 ? at | mask : at & ~mask);
    }
}

int64_t extend(uint64_t raw, uint32_t width, bool is_signed) {
    if (width < 64 && is_signed && (raw >> (width - 1) & 1) != 0)
        raw |= ~0ULL << width;
    return static_cast<int64_t>(raw);
}

// A number into @width bits; the nearest that fits when @lossy.
Status fit(int64_t value, bool from_signed, uint32_t width, bool to_signed, bool lossy,
           uint64_t& out) {
    const uint64_t top = to_signed ? (1ULL << (width - 1)) - 1 : ~0ULL >> (64 - width);
    const int64_t bottom = to_signed ? -static_cast<int64_t>(top) - 1 : 0;
    const bool negative = from_signed && value < 0;
    const bool high = !negative && static_cast<uint64_t>(value) > top;
    const bool low = negative && value < bottom;
    if (!high && !low) {
        out = static_cast<uint64_t>(value);
        return {};
    }
    if (!lossy)
        return fail(ERANGE, "the value {} does not fit into {} bits",
                    from_signed ? fmt::format("{}", value)
                                : fmt::format("{}", static_cast<uint64_t>(value)),
                    width);
    out = high ? top : static_cast<uint64_t>(bottom);
    return {};
}

Status convert_number(type_ref from, const_bytes old, uint32_t old_bit, uint32_t old_width,
                      type_ref to, std::span<uint8_t> fresh, uint32_t bit, uint32_t width,
                      bool lossy) {
    const integer a = as_integer(from);
    const integer b = as_integer(to);
    int64_t value = extend(load_bits(old, old_bit, old_width), old_width, a.is_signed);
    // An enumerator keeps its name, whatever its number is.
    if (!is_kind(from, BTF_KIND_INT) && !is_kind(to, BTF_KIND_INT)) {
        auto names = enumerators(from);
        auto at = std::find_if(names.begin(), names.end(),
                               [&](const auto& e) { return e.second == value; });
        if (at != names.end())
            for (const auto& [name, number] : enumerators(to))
                if (name == at->first)
                    value = number;
    }
    uint64_t out = 0;
    if (Status ok = fit(value, a.is_signed, width, b.is_signed, lossy, out); !ok)
        return ok;
    store_bits(fresh, bit, width, out);
    return {};
}

Status convert_types(type_ref from, const_bytes old, type_ref to, std::span<uint8_t> fresh,
                     bool lossy, unsigned depth);

Status convert_structs(type_ref from, const_bytes old, type_ref to, std::span<uint8_t> fresh,
                       bool lossy, unsigned depth) {
    auto a = members_of(from, true);
    auto b = members_of(to, true);
    for (const member& m : b) {
        const member* o = origin(a, b, m);
        if (o == nullptr)
            continue;
        type_ref mt = strip(m.type);
        type_ref ot = strip(o->type);
        Status ok;
        if (as_integer(mt).is && as_integer(ot).is)
            ok = convert_number(ot, old, o->bit, o->width != 0 ? o->width : as_integer(ot).size * 8,
                                mt, fresh, m.bit, m.width != 0 ? m.width : as_integer(mt).size * 8,
                                lossy);
        else
            ok = convert_types(ot, old.subspan(o->bit / 8, type_size(ot)), mt,
                               fresh.subspan(m.bit / 8, type_size(mt)), lossy, depth + 1);
        if (!ok) {
            Error error = ok.error();
            error.what = fmt::format("{}: {}", m.name, error.what);
            return forward_error(error);
        }
    }
    return {};
}

Status convert_types(type_ref from, const_bytes old, type_ref to, std::span<uint8_t> fresh,
                     bool lossy, unsigned depth) {
    from = strip(from);
    to = strip(to);
    if (depth > depth_max)
        return fail(EINVAL, "a type is nested too deep");
    if (hash_type(from, depth) == hash_type(to, depth) && old.size() == fresh.size()) {
        std::memcpy(fresh.data(), old.data(), old.size());
        return {};
    }
    if (as_integer(from).is && as_integer(to).is)
        return convert_number(from, old, 0, as_integer(from).size * 8, to, fresh, 0,
                              as_integer(to).size * 8, lossy);
    if (is_kind(from, BTF_KIND_ARRAY) && is_kind(to, BTF_KIND_ARRAY)) {
        const uint32_t a = type_size(element(from));
        const uint32_t b = type_size(element(to));
        for (uint32_t i = 0; i < std::min(elements(from), elements(to)); i++)
            if (Status ok = convert_types(element(from), old.subspan(size_t{i} * a, a), element(to),
                                          fresh.subspan(size_t{i} * b, b), lossy, depth + 1);
                !ok)
                return ok;
        return {};
    }
    if (is_kind(from, BTF_KIND_STRUCT) && is_kind(to, BTF_KIND_STRUCT))
        return convert_structs(from, old, to, fresh, lossy, depth);
    if (!lossy)
        return fail(EINVAL, "{} does not become {} by itself", type_name(from), type_name(to));
    std::memcpy(fresh.data(), old.data(), std::min(old.size(), fresh.size()));
    return {};
}

bool is_text(type_ref t) {
    if (!is_kind(t, BTF_KIND_ARRAY))
        return false;
    type_ref e = strip(element(t));
    return is_kind(e, BTF_KIND_INT) && type_size(e) == 1 &&
           name_at(e, type_of(e)->name_off) == "char";
}

nlohmann::json integer_json(type_ref t, int64_t value, bool is_signed) {
    if (btf_is_any_enum(type_of(t)))
        for (const auto& [name, number] : enumerators(t))
            if (number == value)
                return name;
    if (is_kind(t, BTF_KIND_INT) && (btf_int_encoding(type_of(t)) & BTF_INT_BOOL) != 0 &&
        (value == 0 || value == 1))
        return value != 0;
    if (is_signed)
        return value;
    return static_cast<uint64_t>(value);
}

nlohmann::json json_of(type_ref t, const_bytes value, unsigned depth) {
    t = strip(t);
    if (depth > depth_max || type_of(t) == nullptr || value.size() < type_size(t))
        return nullptr;
    if (integer kind = as_integer(t); kind.is)
        return integer_json(t, load_integer(kind, value), kind.is_signed);
    switch (btf_kind(type_of(t))) {
        case BTF_KIND_FLOAT:
            if (type_size(t) == 4) {
                float f = 0;
                std::memcpy(&f, value.data(), 4);
                return f;
            } else {
                double d = 0;
                std::memcpy(&d, value.data(), std::min<size_t>(8, value.size()));
                return d;
            }
        case BTF_KIND_ARRAY: {
            if (is_text(t)) {
                // Text only where the whole array can be made from it again.
                size_t length = 0;
                while (length < elements(t) && value[length] >= 0x20 && value[length] < 0x7f)
                    length++;
                if (std::all_of(value.begin() + static_cast<std::ptrdiff_t>(length),
                                value.begin() + elements(t), [](uint8_t c) { return c == 0; }))
                    return std::string(value.begin(),
                                       value.begin() + static_cast<std::ptrdiff_t>(length));
            }
            nlohmann::json out = nlohmann::json::array();
            const uint32_t size = type_size(element(t));
            for (uint32_t i = 0; i < elements(t); i++)
                out.push_back(
                    json_of(element(t), value.subspan(size_t{i} * size, size), depth + 1));
            return out;
        }
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION: {
            nlohmann::json out = nlohmann::json::object();
            for (const member& m : members_of(t)) {
                type_ref mt = strip(m.type);
                if (integer kind = as_integer(mt); kind.is) {
                    uint32_t width = m.width != 0 ? m.width : kind.size * 8;
                    out[m.name] = integer_json(
                        mt, extend(load_bits(value, m.bit, width), width, kind.is_signed),
                        kind.is_signed);
                    continue;
                }
                nlohmann::json inner =
                    json_of(mt, value.subspan(m.bit / 8, type_size(mt)), depth + 1);
                if (m.name.empty() && inner.is_object())
                    out.update(inner);
                else
                    out[m.name] = inner;
            }
            return out;
        }
        default:
            return nullptr;
    }
}

// Input may hold any bytes.
std::string shown(const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status integer_from(type_ref t, const nlohmann::json& json, uint32_t width, uint64_t& out) {
    integer kind = as_integer(t);
    if (json.is_string() && btf_is_any_enum(type_of(t))) {
        for (const auto& [name, number] : enumerators(t))
            if (name == json.get<std::string>()) {
                out = static_cast<uint64_t>(number);
                return {};
            }
        return fail(EINVAL, "there is no enumerator {}", json.get<std::string>());
    }
    if (json.is_boolean()) {
        out = json.get<bool>() ? 1 : 0;
        return {};
    }
    if (!json.is_number_integer())
        return fail(EINVAL, "{} is not a whole number", shown(json));
    const bool is_unsigned = json.is_number_unsigned();
    const int64_t value =
        is_unsigned ? static_cast<int64_t>(json.get<uint64_t>()) : json.get<int64_t>();
    return fit(value, !is_unsigned, width, kind.is_signed, false, out);
}

Status struct_from(type_ref t, const nlohmann::json& json, std::span<uint8_t> value,
                   unsigned depth);

Status value_from(type_ref t, const nlohmann::json& json, std::span<uint8_t> value,
                  unsigned depth) {
    t = strip(t);
    if (depth > depth_max || type_of(t) == nullptr || value.size() < type_size(t))
        return fail(EINVAL, "a type is nested too deep");
    if (integer kind = as_integer(t); kind.is) {
        uint64_t out = 0;
        if (Status ok = integer_from(t, json, kind.size * 8, out); !ok)
            return ok;
        store_bits(value, 0, kind.size * 8, out);
        return {};
    }
    switch (btf_kind(type_of(t))) {
        case BTF_KIND_FLOAT:
            if (!json.is_number())
                return fail(EINVAL, "{} is not a number", shown(json));
            if (type_size(t) == 4) {
                auto f = json.get<float>();
                std::memcpy(value.data(), &f, 4);
            } else {
                auto d = json.get<double>();
                std::memcpy(value.data(), &d, 8);
            }
            return {};
        case BTF_KIND_ARRAY: {
            if (json.is_string() && is_text(t)) {
                const auto text = json.get<std::string>();
                if (text.size() > elements(t))
                    return fail(EMSGSIZE, "{} characters do not fit into {}", text.size(),
                                elements(t));
                std::fill(value.begin(), value.end(), uint8_t{0});
                std::copy(text.begin(), text.end(), value.begin());
                return {};
            }
            if (!json.is_array() || json.size() != elements(t))
                return fail(EINVAL, "not an array of {} elements", elements(t));
            const uint32_t size = type_size(element(t));
            for (uint32_t i = 0; i < elements(t); i++)
                if (Status ok = value_from(element(t), json[i],
                                           value.subspan(size_t{i} * size, size), depth + 1);
                    !ok)
                    return ok;
            return {};
        }
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            return struct_from(t, json, value, depth);
        default:
            return fail(EINVAL, "a value of this type cannot be written");
    }
}

// Members that are not named keep what they are.
Status struct_from(type_ref t, const nlohmann::json& json, std::span<uint8_t> value,
                   unsigned depth) {
    if (!json.is_object())
        return with_hint(fail(EINVAL, "{} is not a struct", shown(json)),
                         "write it as {\"member\": value, ...}");
    size_t known = 0;
    for (const member& m : members_of(t)) {
        if (m.name.empty()) {
            nlohmann::json part = nlohmann::json::object();
            for (const member& inner : members_of(strip(m.type)))
                if (json.contains(inner.name))
                    part[inner.name] = json[inner.name];
            known += part.size();
            if (Status ok = value_from(m.type, part, value.subspan(m.bit / 8, type_size(m.type)),
                                       depth + 1);
                !ok)
                return ok;
            continue;
        }
        if (!json.contains(m.name))
            continue;
        known++;
        Status ok;
        type_ref mt = strip(m.type);
        if (integer kind = as_integer(mt); kind.is) {
            uint64_t out = 0;
            uint32_t width = m.width != 0 ? m.width : kind.size * 8;
            ok = integer_from(mt, json[m.name], width, out);
            if (ok)
                store_bits(value, m.bit, width, out);
        } else {
            ok = value_from(mt, json[m.name], value.subspan(m.bit / 8, type_size(mt)), depth + 1);
        }
        if (!ok) {
            Error error = ok.error();
            error.what = fmt::format("{}: {}", m.name, error.what);
            return forward_error(error);
        }
    }
    if (known != json.size())
        return fail(EINVAL, "the struct has no such member: {}", shown(json));
    return {};
}

}  // namespace

type_set::type_set() : btf_(btf__new_empty(), btf__free) {}

Result<type_set> type_set::parse(const_bytes raw) {
    btf* parsed = btf__new(raw.data(), static_cast<uint32_t>(raw.size()));
    if (parsed == nullptr)
        return with_hint(fail(EBADMSG, "the types of the store are damaged"),
                         "restore an export with ringraid store import");
    type_set out;
    out.btf_ = std::shared_ptr<btf>(parsed, btf__free);
    return out;
}

Result<uint32_t> type_set::add(type_ref type) {
    if (Status ok = check_storable(type); !ok)
        return forward_error(ok.error());
    return copy(type, 0);
}

Result<uint32_t> type_set::add_text(const std::string& text) {
    if (text.empty())
        return 0;
    int at = btf__add_str(btf_.get(), text.c_str());
    if (at < 0)
        return fail(-at, "cannot keep a name");
    return static_cast<uint32_t>(at);
}

std::string type_set::text(uint32_t offset) const {
    return name_at({btf_.get(), 0}, offset);
}

void type_set::forget_sources() {
    copied_.clear();
}

bytes type_set::raw() const {
    uint32_t size = 0;
    const auto* data = static_cast<const uint8_t*>(btf__raw_data(btf_.get(), &size));
    return data == nullptr ? bytes{} : bytes(data, data + size);
}

Result<uint32_t> type_set::copy(type_ref t, unsigned depth) {
    if (t.id == 0 || t.in == btf_.get())
        return t.id;
    if (auto at = copied_.find({t.in, t.id}); at != copied_.end())
        return at->second;
    const btf_type* type = type_of(t);
    if (type == nullptr || depth > 2 * depth_max)
        return fail(EINVAL, "a type is nested too deep or does not exist");
    // Children first: numbers then only point backwards.
    std::vector<uint32_t> children;
    auto child = [&](uint32_t id) -> Status {
        auto got = copy({t.in, id}, depth + 1);
        if (!got)
            return forward_error(got.error());
        children.push_back(*got);
        return {};
    };
    const std::string name = name_at(t, type->name_off);
    const char* c_name = name.empty() ? nullptr : name.c_str();
    btf* to = btf_.get();
    int id = -EINVAL;
    if (btf_is_mod(type) || btf_is_typedef(type)) {
        if (Status ok = child(type->type); !ok)
            return forward_error(ok.error());
        // Qualifiers mean nothing in a store.
        id = btf_is_typedef(type) ? btf__add_typedef(to, c_name, static_cast<int>(children[0]))
                                  : static_cast<int>(children[0]);
    } else if (btf_is_int(type)) {
        id = btf__add_int(to, c_name, type->size, btf_int_encoding(type));
    } else if (btf_is_float(type)) {
        id = btf__add_float(to, c_name, type->size);
    } else if (btf_is_any_enum(type)) {
        const bool wide = btf_is_enum64(type);
        id = wide ? btf__add_enum64(to, c_name, type->size, btf_kflag(type))
                  : btf__add_enum(to, c_name, type->size);
        for (uint32_t i = 0; id > 0 && i < btf_vlen(type); i++) {
            int r =
                wide ? btf__add_enum64_value(to, name_at(t, btf_enum64(type)[i].name_off).c_str(),
                                             btf_enum64_value(&btf_enum64(type)[i]))
                     : btf__add_enum_value(
                           to, name_at(t, btf_enum(type)[i].name_off).c_str(),
                           btf_kflag(type) ? int64_t{btf_enum(type)[i].val}
                                           : int64_t{static_cast<uint32_t>(btf_enum(type)[i].val)});
            if (r != 0)
                return fail(-r, "cannot keep an enumerator");
        }
    } else if (btf_is_array(type)) {
        for (uint32_t part : {btf_array(type)->index_type, btf_array(type)->type})
            if (Status ok = child(part); !ok)
                return forward_error(ok.error());
        id = btf__add_array(to, static_cast<int>(children[0]), static_cast<int>(children[1]),
                            btf_array(type)->nelems);
    } else if (btf_is_composite(type)) {
        auto members = members_of(t, true);
        for (const member& m : members)
            if (Status ok = child(m.type.id); !ok)
                return forward_error(ok.error());
        id = btf_is_struct(type) ? btf__add_struct(to, c_name, type->size)
                                 : btf__add_union(to, c_name, type->size);
        for (size_t i = 0; id > 0 && i < members.size(); i++)
            if (int r =
                    btf__add_field(to, members[i].name.empty() ? nullptr : members[i].name.c_str(),
                                   static_cast<int>(children[i]), members[i].bit, members[i].width);
                r != 0)
                return fail(-r, "cannot keep member {}", members[i].name);
        for (size_t i = 0; id > 0 && i < members.size(); i++)
            if (!members[i].was.empty())
                (void)btf__add_decl_tag(to, ("kv.was=" + members[i].was).c_str(), id,
                                        static_cast<int>(i));
    }
    if (id <= 0)
        return fail(EINVAL, "cannot keep the type {}", name);
    copied_[{t.in, t.id}] = static_cast<uint32_t>(id);
    return static_cast<uint32_t>(id);
}

Status check_storable(type_ref type) {
    return check(type, 0);
}

uint32_t type_size(type_ref type) {
    const int64_t size = btf__resolve_size(type.in, type.id);
    return size < 0 || size > bytes_max ? 0 : static_cast<uint32_t>(size);
}

uint32_t type_align(type_ref type) {
    const int align = btf__align_of(type.in, type.id);
    return align <= 0 ? 1 : static_cast<uint32_t>(align);
}

uint64_t type_hash(type_ref type) {
    return hash_type(type, 0);
}

std::string type_name(type_ref t) {
    const btf_type* type = type_of(t);
    if (type == nullptr)
        return "?";
    std::string name = name_at(t, type->name_off);
    if (btf_is_array(type))
        return fmt::format("{}[{}]", type_name(element(t)), elements(t));
    if (btf_is_mod(type) || btf_is_type_tag(type))
        return type_name({t.in, type->type});
    if (btf_is_struct(type))
        return name.empty() ? "struct" : "struct " + name;
    if (btf_is_union(type))
        return name.empty() ? "union" : "union " + name;
    if (btf_is_any_enum(type))
        return name.empty() ? "enum" : "enum " + name;
    return name;
}

std::string tag_value(type_ref type, int component, const std::string& name) {
    const std::string start = "kv." + name + "=";
    for (uint32_t id = 1; id < btf__type_cnt(type.in); id++) {
        const btf_type* tag = btf__type_by_id(type.in, id);
        if (!btf_is_decl_tag(tag) || tag->type != type.id ||
            btf_decl_tag(tag)->component_idx != component)
            continue;
        const std::string text = name_at(type, tag->name_off);
        if (text.rfind(start, 0) == 0)
            return text.substr(start.size());
    }
    return {};
}

integer as_integer(type_ref t) {
    t = strip(t);
    const btf_type* type = type_of(t);
    if (type == nullptr || type->size > 8)
        return {};
    if (btf_is_int(type))
        return {true, (btf_int_encoding(type) & BTF_INT_SIGNED) != 0, type->size};
    if (btf_is_any_enum(type))
        return {true, btf_kflag(type), type->size};
    return {};
}

int64_t load_integer(const integer& kind, const_bytes value) {
    return extend(load_bits(value, 0, kind.size * 8), kind.size * 8, kind.is_signed);
}

nlohmann::json to_json(type_ref type, const_bytes value) {
    return json_of(type, value, 0);
}

Status from_json(type_ref type, const nlohmann::json& json, std::span<uint8_t> value) {
    Status ok = value_from(type, json, value, 0);
    if (!ok && ok.error().hint.empty())
        ok.error().hint = "ringraid store dump shows the key's type and its value";
    return ok;
}

comparison compare(type_ref from, type_ref to) {
    comparison c;
    compare_types(c, from, to, "", 0);
    return c;
}

Status convert(type_ref from, const_bytes old, type_ref to, std::span<uint8_t> fresh, bool lossy) {
    if (old.size() != type_size(from) || fresh.size() != type_size(to))
        return fail(EMSGSIZE, "a value of {} bytes for a type of {}", old.size(), type_size(from));
    return convert_types(from, old, to, fresh, lossy, 0);
}

uint64_t hash_bytes(const_bytes data, uint64_t seed) {
    uint64_t h = seed ^ 0xcbf29ce484222325ULL;
    for (uint8_t b : data)
        h = (h ^ b) * 0x100000001b3ULL;
    return mix(h, data.size());
}

}  // namespace rr::store
