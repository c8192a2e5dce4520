// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Random manifests with random values through random chains of roll-outs,
// against a model that knows nothing of bytes: key number -> member -> number.
// Replay with --seed N.
#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "helpers.h"

namespace rr::store {
namespace {

struct member {
    std::string name;
    std::string was;
    uint32_t size = 4;
    bool is_signed = false;
    uint32_t elements = 1;  // more: an array
};

struct key {
    std::string name;
    std::string was;
    uint32_t sync = KV_SYNC_OWNER;
    bool scalar = false;
    std::vector<member> members;  // one for a scalar
};

using world = std::map<uint16_t, key>;                                            // the layout
using numbers = std::map<uint16_t, std::map<std::string, std::vector<int64_t>>>;  // the values

class Property : public StoreTest {
protected:
    uint64_t below(uint64_t n) { return random_() % n; }
    void seed(uint64_t s) { random_.seed(s); }

    std::string fresh_name(const char* prefix) { return fmt::format("{}{}", prefix, names_++); }

    member random_member() {
        member m;
        m.name = fresh_name("m");
        m.size = 1U << below(4);
        m.is_signed = below(2) != 0;
        m.elements = below(4) == 0 ? static_cast<uint32_t>(2 + below(6)) : 1;
        return m;
    }

    key random_key() {
        key k;
        k.name = fresh_name("k");
        k.scalar = below(3) == 0;
        const size_t count = k.scalar ? 1 : 1 + below(6);
        for (size_t i = 0; i < count; i++)
            k.members.push_back(random_member());
        if (k.scalar) {
            k.members[0].elements = 1;
            k.sync = static_cast<uint32_t>(below(3));
        } else {
            k.sync = below(2) != 0 ? KV_SYNC_SEQ : KV_SYNC_OWNER;
        }
        return k;
    }

    int64_t random_number(const member& m) {
        const uint64_t raw = random_() ^ random_() << 17;
        const uint32_t bits = m.size * 8;
        const uint64_t cut = bits == 64 ? raw : raw & ((1ULL << bits) - 1);
        if (!m.is_signed)
            return static_cast<int64_t>(cut);
        return bits == 64 ? static_cast<int64_t>(cut)
                          : static_cast<int64_t>(cut << (64 - bits)) >> (64 - bits);
    }

    void fill(numbers& values, uint16_t id, const key& k) {
        for (const member& m : k.members)
            for (uint32_t i = 0; i < m.elements; i++) {
                auto& v = values[id][m.name];
                v.resize(m.elements);
                v[i] = random_number(m);
            }
    }

    static uint32_t type_of(type_maker& types, const key& k) {
        auto one = [&](const member& m) {
            const uint32_t n = types.number(m.size, m.is_signed);
            return m.elements > 1 ? types.array(n, m.elements) : n;
        };
        if (k.scalar)
            return one(k.members[0]);
        std::vector<type_maker::field> fields;
        for (const member& m : k.members)
            fields.push_back({m.name, one(m), m.was});
        return types.structure("s", fields);
    }

    manifest manifest_of(const world& w, uint32_t version) {
        type_maker types;
        manifest m;
        m.program = "property";
        m.version = version;
        m.pages = 16;
        for (const auto& [id, k] : w) {
            key_entry e = make_key(m, types, id, k.name, type_of(types, k), k.sync);
            e.was = k.was;
            m.keys.push_back(std::move(e));
        }
        m.types.forget_sources();
        return m;
    }

    // Written and read by the JSON of the type: another way than convert()'s.
    static nlohmann::json json_of(const key& k,
                                  const std::map<std::string, std::vector<int64_t>>& v) {
        auto number = [](const member& m, int64_t n) {
            return m.is_signed ? nlohmann::json(n) : nlohmann::json(static_cast<uint64_t>(n));
        };
        auto one = [&](const member& m) {
            const auto& all = v.at(m.name);
            if (m.elements == 1)
                return number(m, all[0]);
            nlohmann::json out = nlohmann::json::array();
            for (int64_t n : all)
                out.push_back(number(m, n));
            return out;
        };
        if (k.scalar)
            return one(k.members[0]);
        nlohmann::json out = nlohmann::json::object();
        for (const member& m : k.members)
            out[m.name] = one(m);
        return out;
    }

    void write_all(const store& s, const world& w, const numbers& values,
                   const std::vector<uint16_t>& ids) {
        auto m = s.describe();
        ASSERT_OK(m);
        for (uint16_t id : ids) {
            const key_entry* e = m->find(id);
            ASSERT_NE(e, nullptr);
            bytes value(e->size);
            ASSERT_OK(from_json(m->type(*e), json_of(w.at(id), values.at(id)), value));
            ASSERT_OK(s.put(id, value, access::owner));
        }
    }

    void expect_all(const store& s, const world& w, const numbers& values,
                    const std::map<uint16_t, bytes>& dynamic) {
        ASSERT_OK(verify(s));
        auto m = s.describe();
        ASSERT_OK(m);
        ASSERT_EQ(m->keys.size(), w.size() + dynamic.size());
        for (const auto& [id, k] : w) {
            const key_entry* e = m->find(id);
            ASSERT_NE(e, nullptr) << id;
            ASSERT_EQ(e->name, k.name);
            auto value = s.get(id, access::owner);
            ASSERT_OK(value);
            ASSERT_EQ(to_json(m->type(*e), *value), json_of(k, values.at(id))) << "key " << id;
        }
        for (const auto& [id, value] : dynamic)
            ASSERT_EQ(*s.get(id, access::owner), value) << "dynamic key " << id;
    }

    // One step of evolution that loses nothing, on layout and values alike.
    void evolve(world& w, numbers& values) {
        for (auto& [id, k] : w) {
            k.was.clear();
            for (member& m : k.members)
                m.was.clear();
        }
        const size_t changes = 1 + below(6);
        for (size_t c = 0; c < changes; c++) {
            if (w.empty() || below(5) == 0) {
                const auto id = static_cast<uint16_t>(below(512));
                if (w.count(id) != 0 || gone_.count(id) != 0)
                    continue;
                w[id] = random_key();
                for (const member& m : w[id].members)
                    values[id][m.name].assign(m.elements, 0);
                continue;
            }
            auto at = w.begin();
            std::advance(at, static_cast<std::ptrdiff_t>(below(w.size())));
            key& k = at->second;
            auto& v = values[at->first];
            member& m = k.members[below(k.members.size())];
            switch (below(6)) {
                case 0:  // wider; unsigned may become signed on the way
                    if (m.size < 8) {
                        m.size *= 2;
                        if (!m.is_signed && below(2) != 0)
                            m.is_signed = true;
                    }
                    break;
                case 1:
                    std::shuffle(k.members.begin(), k.members.end(), random_);
                    break;
                case 2:
                    if (!k.scalar && k.members.size() < 12) {
                        k.members.insert(k.members.begin() + static_cast<std::ptrdiff_t>(
                                                                 below(k.members.size() + 1)),
                                         random_member());
                        for (const member& n : k.members)
                            if (v.count(n.name) == 0)
                                v[n.name].assign(n.elements, 0);
                    }
                    break;
                case 3:
                    if (!k.scalar && m.was.empty() && !renamed_now(k, m)) {
                        const std::string old = m.name;
                        m.name = fresh_name("m");
                        if (before_.count(at->first) != 0 && had_member(before_[at->first], old))
                            m.was = old;
                        v[m.name] = v[old];
                        v.erase(old);
                    }
                    break;
                case 4:
                    if (m.elements > 1 && m.elements < 20) {
                        m.elements += static_cast<uint32_t>(1 + below(5));
                        v[m.name].resize(m.elements, 0);
                    }
                    break;
                default:
                    if (k.was.empty() && before_.count(at->first) != 0 &&
                        before_[at->first].name == k.name) {
                        k.was = k.name;
                        k.name = fresh_name("k");
                    }
            }
        }
    }

    static bool had_member(const key& k, const std::string& name) {
        for (const member& m : k.members)
            if (m.name == name)
                return true;
        return false;
    }
    static bool renamed_now(const key&, const member& m) { return !m.was.empty(); }

    std::mt19937_64 random_;
    uint64_t names_ = 0;
    world before_;
    std::set<uint16_t> gone_;
};

TEST_F(Property, RandomChainsLoseNothing) {
    const int chains = test_long ? 2000 : 150;
    for (int chain = 0; chain < chains; chain++) {
        const uint64_t chain_seed = test_seed + static_cast<uint64_t>(chain);
        SCOPED_TRACE(fmt::format("replay with --seed {} (chain 0 of it)", chain_seed));
        seed(chain_seed);
        gone_.clear();
        world now;
        numbers values;
        std::map<uint16_t, bytes> dynamic;
        for (size_t i = 0; i < 3 + below(20); i++)
            now[static_cast<uint16_t>(below(512))] = random_key();
        auto made = store::create(manifest_of(now, 1), "");
        ASSERT_OK(made);
        store& s = *made;
        std::vector<uint16_t> ids;
        for (const auto& [id, k] : now) {
            fill(values, id, k);
            ids.push_back(id);
        }
        ASSERT_NO_FATAL_FAILURE(write_all(s, now, values, ids));
        no_programs host;
        uint32_t version = 1;
        const int steps = static_cast<int>(4 + below(8));
        for (int step = 0; step < steps; step++) {
            // Keys that come and go at run time.
            for (size_t i = 0; i < below(4); i++) {
                const auto id = static_cast<uint16_t>(512 + below(64));
                if (dynamic.count(id) != 0) {
                    ASSERT_OK(s.remove(id));
                    dynamic.erase(id);
                } else {
                    bytes value(1 + below(300));
                    for (uint8_t& b : value)
                        b = static_cast<uint8_t>(below(256));
                    ASSERT_OK(s.make(id, fmt::format("d{}", id),
                                     below(2) != 0 ? KV_SYNC_SEQ : KV_SYNC_OWNER, value));
                    dynamic[id] = value;
                }
            }
            const world old_layout = now;
            const numbers old_values = values;
            before_ = now;
            evolve(now, values);
            const manifest next = manifest_of(now, version + 1);
            ASSERT_OK(check_manifest(next));
            auto done = apply(s, next, host, {});
            ASSERT_OK(done);
            ASSERT_NO_FATAL_FAILURE(expect_all(s, now, values, dynamic)) << "step " << step;
            if (below(3) == 0) {
                ASSERT_OK(rollback(s, host, {}));
                now = old_layout;
                values = old_values;
                ASSERT_NO_FATAL_FAILURE(expect_all(s, now, values, dynamic))
                    << "back, step " << step;
                continue;
            }
            version++;
            ASSERT_OK(commit(s, host));
            if (below(3) == 0) {
                ASSERT_OK(compact(s, host, {}));
                EXPECT_EQ(fragmentation(s), 0u);
            }
            std::vector<uint16_t> some;
            for (const auto& [id, k] : now)
                if (below(2) == 0) {
                    fill(values, id, k);
                    some.push_back(id);
                }
            ASSERT_NO_FATAL_FAILURE(write_all(s, now, values, some));
            ASSERT_NO_FATAL_FAILURE(expect_all(s, now, values, dynamic))
                << "written, step " << step;
        }
    }
}

// What was written comes back wherever the old layout can say it: by a rollback,
// and after a commit by an apply of the older version.
class PropertyBack : public Property, public ::testing::WithParamInterface<bool> {};

TEST_P(PropertyBack, CarriesBackWhatFits) {
    for (int round = 0; round < (test_long ? 3000 : 200); round++) {
        const uint64_t round_seed = test_seed + static_cast<uint64_t>(round);
        SCOPED_TRACE(fmt::format("replay with --seed {}", round_seed));
        seed(round_seed);
        gone_.clear();
        world old_layout;
        numbers old_values;
        for (size_t i = 0; i < 2 + below(8); i++)
            old_layout[static_cast<uint16_t>(below(512))] = random_key();
        auto made = store::create(manifest_of(old_layout, 1), "");
        ASSERT_OK(made);
        std::vector<uint16_t> ids;
        for (const auto& [id, k] : old_layout) {
            fill(old_values, id, k);
            ids.push_back(id);
        }
        ASSERT_NO_FATAL_FAILURE(write_all(*made, old_layout, old_values, ids));
        world now = old_layout;
        numbers values = old_values;
        before_ = now;
        evolve(now, values);
        no_programs host;
        ASSERT_OK(apply(*made, manifest_of(now, 2), host, {}));
        // Only numbers that the old layout has room for: all of them come back.
        numbers expected = old_values;
        std::vector<uint16_t> some;
        for (const auto& [id, k] : now) {
            if (old_layout.count(id) == 0)
                continue;
            for (const member& m : k.members) {
                const std::string old_name = m.was.empty() ? m.name : m.was;
                for (const member& o : old_layout[id].members)
                    if (o.name == old_name)
                        for (uint32_t i = 0; i < o.elements; i++)
                            expected[id][old_name][i] = values[id][m.name][i] = random_number(o);
            }
            some.push_back(id);
        }
        ASSERT_NO_FATAL_FAILURE(write_all(*made, now, values, some));
        if (GetParam()) {
            ASSERT_OK(commit(*made, host));
            ASSERT_OK(apply(*made, manifest_of(old_layout, 1), host, {{"*"}, {}}));
            ASSERT_OK(commit(*made, host));
        } else {
            auto back = rollback(*made, host, {});
            ASSERT_OK(back);
            EXPECT_TRUE(back->kept_old.empty());
        }
        ASSERT_NO_FATAL_FAILURE(expect_all(*made, old_layout, expected, {}));
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, PropertyBack, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "ByApply" : "ByRollback"; });

// Lossy and ambiguous steps are refused, and nothing changes.
TEST_F(Property, LossIsRefused) {
    for (int round = 0; round < 40; round++) {
        const uint64_t round_seed = test_seed + static_cast<uint64_t>(round);
        SCOPED_TRACE(fmt::format("replay with --seed {}", round_seed));
        seed(round_seed);
        world now;
        now[1] = random_key();
        now[1].scalar = false;
        now[1].sync = KV_SYNC_OWNER;
        member wide;
        wide.name = "wide";
        wide.size = 8;
        now[1].members.push_back(wide);
        now[2] = random_key();
        auto made = store::create(manifest_of(now, 1), "");
        ASSERT_OK(made);
        numbers values;
        fill(values, 1, now[1]);
        fill(values, 2, now[2]);
        ASSERT_NO_FATAL_FAILURE(write_all(*made, now, values, {1, 2}));
        world worse = now;
        member& m = worse[1].members.back();
        switch (round % 6) {
            case 0:
                worse.erase(2);
                break;
            case 1:
                m.size = 4;
                break;
            case 2:
                m.is_signed = true;
                break;  // the same size, other bits
            case 3:
                worse[1].members.pop_back();
                break;
            case 4:
                m.name = "other";
                break;  // renamed, or another one?
            default:
                worse[2].name = "other";
                break;
        }
        if (worse[1].members.empty())
            continue;
        const bytes before = snapshot(*made);
        no_programs host;
        EXPECT_REFUSED(apply(*made, manifest_of(worse, 2), host, {}), EINVAL, "lose or guess");
        EXPECT_EQ(snapshot(*made), before);
        // Said explicitly, it is done.
        values[1]["wide"][0] = 5;
        ASSERT_NO_FATAL_FAILURE(write_all(*made, now, values, {1}));
        rollout_options how;
        how.words = {now[1].name, now[2].name};
        ASSERT_OK(apply(*made, manifest_of(worse, 2), host, how));
        ASSERT_OK(verify(*made));
        if (round % 6 == 1) {
            numbers cut = values;
            expect_all(*made, worse, cut, {});
        }
    }
}

}  // namespace
}  // namespace rr::store
