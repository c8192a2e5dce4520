// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The example of docs/kv-store.md, as it is written there, and the library as
// others use it.
#include <cstdio>

#include "helpers.h"

namespace rr::store {
namespace {

class Example : public StoreTest {};

// Runs the script with the build's directory and one of ours in the bpffs.
void expect_done(const char* script, const std::string& dir) {
    const std::string command =
        fmt::format("sh {}/{} {} {} 2>&1", RR_STORE_SCRIPTS, script, RR_STORE_BUILD, dir);
    FILE* run = ::popen(command.c_str(), "r");
    ASSERT_NE(run, nullptr);
    std::string said;
    char line[512];
    while (std::fgets(line, sizeof(line), run) != nullptr)
        said += line;
    EXPECT_EQ(::pclose(run), 0) << said;
}

TEST_F(Example, LoadedByBpftoolUpgradedByTheCommands) {
    expect_done("example.sh", dir_);
}

TEST_F(Example, ProgramOfOthersWithTheInstalledLibrary) {
    expect_done("installed.sh", dir_);
}

}  // namespace
}  // namespace rr::store
