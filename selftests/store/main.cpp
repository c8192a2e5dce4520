// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// store_tests [--seed N] [GoogleTest's options]. RINGRAID_LEVEL=full: longer.
#include <chrono>
#include <cstdlib>

#include "helpers.h"

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    rr::store::test_seed =
        static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    for (int i = 1; i + 1 < argc; i++)
        if (std::string(argv[i]) == "--seed")
            rr::store::test_seed = std::strtoull(argv[i + 1], nullptr, 0);
    const char* level = std::getenv("RINGRAID_LEVEL");
    rr::store::test_long = level != nullptr && std::string(level) == "full";
    libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
    return RUN_ALL_TESTS();
}
