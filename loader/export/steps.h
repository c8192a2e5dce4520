// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Steps that are all done, or undone again in reverse: no half of an export is left.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace rr {

class steps {
public:
    steps() = default;
    ~steps() {
        for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo)
            (*undo)();
    }
    steps(const steps&) = delete;
    steps& operator=(const steps&) = delete;

    // How to take back what was just done.
    void done(std::function<void()> undo) { undo_.push_back(std::move(undo)); }
    // All of them succeeded.
    void keep() { undo_.clear(); }

private:
    std::vector<std::function<void()>> undo_;
};

}  // namespace rr
