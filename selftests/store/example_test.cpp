// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The example of docs/kv-store.md, as it is written there.
#include <cstdio>

#include "helpers.h"

namespace rr::store {
namespace {

class Example : public StoreTest {};

TEST_F(Example, LoadedByBpftoolUpgradedByTheCommands) {
    const std::string command =
        fmt::format("sh {} {} {} 2>&1", RR_STORE_EXAMPLE, RR_STORE_BUILD, dir_);
    FILE* run = ::popen(command.c_str(), "r");
    ASSERT_NE(run, nullptr);
    std::string said;
    char line[512];
    while (std::fgets(line, sizeof(line), run) != nullptr)
        said += line;
    EXPECT_EQ(::pclose(run), 0) << said;
}

}  // namespace
}  // namespace rr::store
