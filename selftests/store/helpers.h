// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the store's tests share: a directory in the bpffs, objects, programs.
#pragma once

#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "store/bpf_host.h"
#include "store/export.h"

namespace rr::store {

// The seed of this run: --seed N, else of the clock; printed by each test that uses it.
extern uint64_t test_seed;
extern bool test_long;

// Why this kernel cannot run the tests; empty: it can.
std::string missing_feature();
std::string missing_uptr();

bytes load_object(const std::string& name);  // "flow_v1"
manifest object_manifest(const std::string& name);

template <typename T>
const_bytes view(const T& value) {
    return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}
template <typename T>
T as(const bytes& value) {
    T out{};
    EXPECT_EQ(value.size(), sizeof(T));
    std::memcpy(&out, value.data(), std::min(value.size(), sizeof(T)));
    return out;
}
template <typename T>
T value_of(const store& in, uint32_t id) {
    auto got = in.get(id, access::owner);
    EXPECT_TRUE(got) << (got ? "" : describe(got.error()));
    return got ? as<T>(*got) : T{};
}

// A loaded object whose keys are resolved in @in.
class program {
public:
    program(const store& in, const std::string& object, bool baked = true, int tasks = -1);
    // One run by BPF_PROG_TEST_RUN; its result.
    int run(const std::string& name, uint32_t repeat = 1) const;
    [[nodiscard]] int fd(const std::string& name) const;
    [[nodiscard]] int map_fd(const std::string& name) const;
    [[nodiscard]] bpf_object* object() const { return object_.get(); }

    // A global variable of .data or .bss.
    template <typename T>
    T& global(const std::string& name) const {
        return *static_cast<T*>(variable(name));
    }

private:
    void* variable(const std::string& name) const;
    std::unique_ptr<bpf_object, void (*)(bpf_object*)> object_;
};

class StoreTest : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;
    [[nodiscard]] std::string pin(const std::string& name) const { return dir_ + "/" + name; }
    [[nodiscard]] std::vector<std::string> pins() const;
    store make(const std::string& object, const std::string& name = "store") const;

    std::string dir_;
};

// The whole area, to see that a refusal changed nothing.
inline bytes snapshot(const store& in) {
    return {in.at().bytes_at(0), in.at().bytes_at(in.at().size())};
}

// Types made by hand, for manifests that no compiler made.
class type_maker {
public:
    type_maker() : btf_(btf__new_empty(), btf__free) {}
    uint32_t number(uint32_t size, bool is_signed);
    struct field {
        std::string name;
        uint32_t type;
        std::string was;
    };
    uint32_t structure(const std::string& name, const std::vector<field>& fields);
    uint32_t array(uint32_t type, uint32_t elements);
    [[nodiscard]] btf* get() const { return btf_.get(); }

private:
    std::unique_ptr<btf, void (*)(btf*)> btf_;
    std::map<std::pair<uint32_t, bool>, uint32_t> numbers_;
};

// A key of this type with a default of zeros.
key_entry make_key(manifest& m, type_maker& types, uint16_t id, const std::string& name,
                   uint32_t type, uint32_t sync);

template <typename T>
::testing::AssertionResult is_ok(const Result<T>& result) {
    if (result)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << describe(result.error()) << "; " << result.error().hint;
}

#define ASSERT_OK(result) ASSERT_TRUE(is_ok(result))
#define EXPECT_OK(result) EXPECT_TRUE(is_ok(result))
// Refused with this errno, a sentence with @text in it, and a hint.
#define EXPECT_REFUSED(status, wanted, text)                                                \
    do {                                                                                    \
        const auto& no_ = (status);                                                         \
        ASSERT_FALSE(no_);                                                                  \
        EXPECT_EQ(no_.error().err, wanted) << describe(no_.error());                        \
        EXPECT_NE(no_.error().what.find(text), std::string::npos) << describe(no_.error()); \
        EXPECT_FALSE(no_.error().hint.empty()) << describe(no_.error());                    \
    } while (0)

}  // namespace rr::store
