// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a member's superblock says, for people and programs: `ringraid examine`.
//
// The lines that are md's own business (how far a rebuild is, where a bitmap or a log
// lies) have the words and the units of `mdadm --examine`, so that the two can be laid
// side by side; a test does. The text is a view of the same JSON object.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "md/ppl.h"
#include "md/superblock.h"

namespace rr {

[[nodiscard]] nlohmann::json describe_superblock(const md::md_superblock& sb);

// Adds to @described what the partial parity log of the device holds, as read_ppl() has it:
// @log. Where the superblock names none, nothing.
void describe_ppl(nlohmann::json& described, const Result<std::optional<md::ppl_unit>>& log);

// Names and values of @described, in the order to print.
using report_lines = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] report_lines superblock_lines(const nlohmann::json& described);

}  // namespace rr
