// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// chain_tests [GOOGLETEST-OPTION]... [--seed N] [--kernel] [--dir DIR]
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "helpers.h"

// --gtest_repeat=N: a seed for each time.
class Seeds : public ::testing::EmptyTestEventListener {
    void OnTestIterationStart(const ::testing::UnitTest& /*test*/, int iteration) override {
        rr::chained::seed += iteration != 0 ? 1U : 0U;
        std::printf("# seed %u\n", rr::chained::seed);
    }
};

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    using namespace rr::chained;
    const char* level = std::getenv("RINGRAID_LEVEL");
    full = level != nullptr && std::string(level) == "full";
    seed = std::random_device{}() % 1000000;
    const char* tmp = std::getenv("TMPDIR");
    directory = tmp != nullptr ? tmp : "/tmp";
    for (int i = 1; i < argc; i++) {
        const std::string option = argv[i];
        if (option == "--kernel") {
            kernel = true;
        } else if (option == "--seed" && i + 1 < argc) {
            seed = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 0));
        } else if (option == "--dir" && i + 1 < argc) {
            directory = argv[++i];
        } else {
            std::fprintf(stderr, "chain_tests: what is '%s'?\n", argv[i]);
            return 2;
        }
    }
    ::testing::UnitTest::GetInstance()->listeners().Append(new Seeds);
    return RUN_ALL_TESTS();
}
