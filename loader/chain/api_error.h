// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What every function of the C interface does with failure.
#pragma once

#include <cerrno>
#include <exception>

#include "base/result.h"

namespace rr::chained {

// Keeps the sentence for rr_chain_error(): -errno.
int failed(const Error& error);
void keep_error(std::string sentence);

// No exception leaves the library: memory is all that can be missing.
template <typename Call>
int guarded(Call call) {
    try {
        return call();
    } catch (const std::exception& e) {
        keep_error(e.what());
        return -ENOMEM;
    }
}

}  // namespace rr::chained
