// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/diff.h"

#include <algorithm>
#include <cerrno>

namespace rr::store {
namespace {

bool is_accepted(const accepted& words, const key_entry& key) {
    return words.count("*") != 0 || words.count(key.name) != 0 ||
           words.count(std::to_string(key.id)) != 0;
}

const char* kind_of(uint32_t changes) {
    if ((changes & change_retyped) != 0)
        return "retyped";
    if ((changes & change_narrowed) != 0)
        return "narrowed";
    if ((changes & change_widened) != 0)
        return "widened";
    if ((changes & change_reordered) != 0)
        return "reordered";
    return (changes & change_renamed) != 0 ? "renamed" : "same";
}

void diff_types(key_diff& d, const manifest& from, const manifest& to) {
    if (d.from->sem != d.to->sem) {
        d.kind = "redefined";
        d.notes.push_back(fmt::format("meaning {} became {}", d.from->sem, d.to->sem));
        d.blocked = "its meaning changed and there is no converter";
        return;
    }
    if (d.from->hash == d.to->hash)
        return;
    comparison c = compare(from.type(*d.from), to.type(*d.to));
    if (c.changes == change_none) {
        c.changes = change_retyped;
        c.notes.emplace_back("its type has another hash");
    }
    d.kind = kind_of(c.changes);
    d.notes.insert(d.notes.end(), c.notes.begin(), c.notes.end());
    if ((c.changes & change_retyped) != 0)
        d.blocked = d.from->size == d.to->size
                        ? "its type changed at the same size; what the bits mean is not known"
                        : "its type changed to one that it does not convert to";
    else if ((c.changes & change_narrowed) != 0)
        d.blocked = "something of it would be lost";
}

key_diff diff_key(const manifest& from, const manifest& to, const key_entry& a, const key_entry& b,
                  const accepted& words, direction way) {
    key_diff d;
    d.id = b.id;
    d.name = b.name;
    d.kind = "same";
    d.from = &a;
    d.to = &b;
    if (a.dynamic || b.dynamic) {
        if (a.dynamic != b.dynamic) {
            d.kind = "retyped";
            d.blocked =
                fmt::format("key {} was made at run time; the program declares another", a.id);
            d.keep_default = true;
        }
    } else {
        diff_types(d, from, to);
    }
    if (b.persist == KV_PERSIST_RESET) {
        d.notes.emplace_back("starts at its default");
        d.blocked.clear();
        d.keep_default = true;
        return d;
    }
    // Going down, the newer version is the one that knows the way back.
    const std::string converter = way == direction::up ? b.up : a.down;
    if (d.kind != "same" && !converter.empty() && !d.keep_default) {
        d.converter = converter;
        d.notes.push_back("converted by " + converter + "()");
        d.blocked.clear();
    }
    if (a.name != b.name) {
        // Going down, whoever applied the newer version has answered that.
        const bool explained = way == direction::down || b.was == a.name;
        d.notes.push_back("was called " + a.name);
        if (d.kind == "same")
            d.kind = "renamed";
        if (!explained)
            d.blocked = fmt::format("key {} was called {}: renamed, or another one?", a.id, a.name);
    }
    if (a.home != b.home) {
        d.kind = "retyped";
        d.blocked = "its value moves between the array and the tasks";
        d.keep_default = true;
    }
    if (a.sync != b.sync)
        d.notes.push_back(fmt::format("{} became {}", sync_name(a.sync), sync_name(b.sync)));
    if (b.persist == KV_PERSIST_CACHE && !d.blocked.empty()) {
        d.notes.emplace_back("a cache: starts at its default");
        d.blocked.clear();
        d.keep_default = true;
    }
    if (!d.blocked.empty() && (is_accepted(words, b) || is_accepted(words, a))) {
        d.notes.push_back("accepted: " + d.blocked);
        d.blocked.clear();
        d.lossy = true;
    }
    return d;
}

key_diff one_sided(const key_entry& key, bool added) {
    key_diff d;
    d.id = key.id;
    d.name = key.name;
    d.kind = added ? "added" : "removed";
    (added ? d.to : d.from) = &key;
    d.keep_default = added;
    return d;
}

}  // namespace

bool manifest_diff::blocked() const {
    return std::any_of(keys.begin(), keys.end(),
                       [](const key_diff& d) { return !d.blocked.empty(); });
}

bool manifest_diff::changed() const {
    return std::any_of(keys.begin(), keys.end(),
                       [](const key_diff& d) { return d.kind != "same"; });
}

Status manifest_diff::verdict() const {
    std::string reasons;
    std::string names;
    for (const key_diff& d : keys)
        if (!d.blocked.empty()) {
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", d.name, d.blocked);
            names += fmt::format(" --accept {}", d.name);
        }
    if (reasons.empty())
        return {};
    return with_hint(fail(EINVAL, "version {} would lose or guess: {}", to_version, reasons),
                     "declare KV_WAS, KV_UP and KV_DOWN, or accept it:" + names);
}

manifest_diff diff_manifests(const manifest& from, const manifest& to, const accepted& words,
                             direction way) {
    manifest_diff out;
    out.from_version = from.version;
    out.to_version = to.version;
    for (const key_entry& b : to.keys) {
        const key_entry* a = from.find(b.id);
        if (a != nullptr) {
            out.keys.push_back(diff_key(from, to, *a, b, words, way));
            continue;
        }
        key_diff d = one_sided(b, true);
        if (const key_entry* same = from.find(b.name); same != nullptr) {
            d.blocked = fmt::format("{} had the number {}, now {}: its value would not follow",
                                    b.name, same->id, b.id);
            if (is_accepted(words, b)) {
                d.notes.push_back("accepted: " + d.blocked);
                d.blocked.clear();
            }
        }
        out.keys.push_back(std::move(d));
    }
    for (const key_entry& a : from.keys) {
        if (to.find(a.id) != nullptr || a.dynamic)
            continue;
        key_diff d = one_sided(a, false);
        if (a.persist == KV_PERSIST_DURABLE) {
            if (is_accepted(words, a))
                d.notes.emplace_back("accepted: its value is lost at commit");
            else
                d.blocked = "its value would be lost at commit";
        }
        out.keys.push_back(std::move(d));
    }
    std::stable_sort(out.keys.begin(), out.keys.end(),
                     [](const key_diff& x, const key_diff& y) { return x.id < y.id; });
    return out;
}

}  // namespace rr::store
