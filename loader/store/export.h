// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A store as JSON: over a reboot, to another machine, or past a map that may
// not be shared. Carries its types, so it can be imported into another version.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "store/rollout.h"

namespace rr::store {

inline constexpr int export_schema = 1;

// EBUSY for values that could be torn, unless the caller has paused their owner.
Result<nlohmann::json> export_store(const store& in, access who);

// Converts the values into the store's version, by the rules of a roll-out.
// All are checked before the first is written. Writes in place: the caller
// has paused the programs. Returns what a plan returns.
Result<rollout_report> import_store(const store& in, const nlohmann::json& from,
                                    const accepted& words, access who);

// A roll-out, or what it would be: one shape for the commands and the daemon.
[[nodiscard]] nlohmann::json diff_json(const std::vector<key_diff>& keys);
[[nodiscard]] nlohmann::json report_json(const rollout_report& report);

[[nodiscard]] std::string to_hex(const_bytes data);
Result<bytes> from_hex(const std::string& text);

// What `dump` prints of a key: by its type, dynamic keys as hex.
[[nodiscard]] nlohmann::json value_json(const manifest& m, const key_entry& key, const_bytes value);

}  // namespace rr::store
