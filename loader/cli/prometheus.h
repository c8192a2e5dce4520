// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The text format of Prometheus, for node_exporter's textfile directory.
//
// Its own collector of md has node_md_disks and so on; ours are called ringraid_disks and
// so on, with the same labels and the same words for states, so that rules and pictures
// are made from the one for the other by a change of the name. (Under the same names the
// exporter would see two helps for one metric, and drop both.) The format is version
// 0.0.4, not OpenMetrics: each metric once, with HELP and TYPE, all its samples together.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "cli/block_stat.h"

namespace rr::cli {

struct measured_array {
    nlohmann::json status;  // of the daemon; of a dead one its state file
    bool answers = false;
    std::optional<block_stat> device;                // of the array's block device
    std::vector<std::optional<block_stat>> members;  // by their place in the status
};

std::string prometheus_text(const std::vector<measured_array>& arrays);

// The value of a label, escaped.
std::string label_value(const std::string& text);

}  // namespace rr::cli
