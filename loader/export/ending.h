// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// All that an array is exported as, and its end while the array rests.
//
// An export with a unit is ended by it: systemd would else take it for served still, and not
// begin it again with the array; a server that died it would begin anew at once. What is
// configured stays.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "md/superblock.h"

namespace rr {

struct exports_of_array {
    std::vector<std::string> names;  // that are there, by their record or their unit
    std::vector<std::string> units;  // that begin with the array, whether they are there or not
};

// @block_device is empty where it is not known.
[[nodiscard]] exports_of_array find_exports(const md::uuid& array, const std::string& block_device);

// Units first, then what is left, by force. ETIMEDOUT: it waits for the array's answers.
[[nodiscard]] Status end_exports(const exports_of_array& which);

}  // namespace rr
