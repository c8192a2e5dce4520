// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// docs/chain.md, as it is written.
#include <cstdio>

#include "helpers.h"

namespace rr::chained {
namespace {

TEST(Example, FromAnEmptyDirectoryToALookup) {
    if (kernel)
        GTEST_SKIP() << "no compiler here";
    FILE* run = ::popen("sh " RR_CHAIN_SOURCE "/selftests/chain/example.sh " RR_CHAIN_BUILD
                        " " RR_CHAIN_SOURCE "/docs/chain.md 2>&1",
                        "r");
    ASSERT_NE(run, nullptr);
    std::string said;
    char line[512];
    while (std::fgets(line, sizeof(line), run) != nullptr)
        said += line;
    EXPECT_EQ(::pclose(run), 0) << said;
}

}  // namespace
}  // namespace rr::chained
