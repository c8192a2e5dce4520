// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Waits until the machine's block devices have changed: one came, went, got a
// medium or a size, or one of the given paths leads somewhere else.
//
// Polls what sysfs lists, a few times a second, and opens no device: a scan that
// opens them is for after a change. udev has no part in it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace rr {

class device_watch {
public:
    // Until @patience from now.
    device_watch(std::vector<std::string> paths, std::chrono::seconds patience,
                 std::string sysfs = "/sys");

    // Another patience, from the same beginning.
    void be_patient(std::chrono::seconds patience) { end_ = begin_ + patience; }

    // True when something changed since the last call (or the start); false at the
    // end of the patience.
    [[nodiscard]] bool changed();

private:
    [[nodiscard]] std::string picture() const;

    std::vector<std::string> paths_;
    std::string sysfs_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point end_;
    std::string seen_;
};

}  // namespace rr
