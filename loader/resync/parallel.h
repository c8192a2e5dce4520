// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The same on all members at once. A thread start is cheap beside the megabyte that
// each of them reads or has zeroed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"

namespace rr {

// Runs work(role) for every role; the answers by role.
template <typename Work>
std::vector<Status> on_all_members(size_t members, const Work& work) {
    std::vector<Status> results(members);
    std::vector<std::thread> threads;
    threads.reserve(members);
    for (size_t role = 0; role < members; role++)
        threads.emplace_back([&results, &work, role] { results[role] = work(role); });
    for (auto& thread : threads)
        thread.join();
    return results;
}

// First role that failed, if any did.
inline std::optional<uint32_t> first_failure(const std::vector<Status>& results) {
    for (uint32_t role = 0; role < results.size(); role++) {
        if (!results[role])
            return role;
    }
    return std::nullopt;
}

}  // namespace rr
