// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An export that is there again after the next boot.
//
//   /etc/ringraid/exports/NAME                                    the words that make it
//   /etc/systemd/system/ringraid-export@NAME.service.d/array.conf after the array's unit
//   /etc/systemd/system/ringraid@UUID.service.wants/...           started with the array
//
// What is ordered after the array's unit is stopped before it, so nothing holds the device
// open when the array is to stop. The array's unit is wanted by nothing here: when its
// daemon is killed and started again, systemd leaves the export as it is.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "export/spec.h"

namespace rr {

inline constexpr const char* export_configuration = "/etc/ringraid/exports";

// The names that have a unit.
[[nodiscard]] std::vector<std::string> configured_exports();
[[nodiscard]] bool is_configured(const std::string& name);

// systemd has our units, and one of them serves the array.
[[nodiscard]] bool export_units_serve(const export_spec& spec);

// Writes the configuration, and starts it; where that fails nothing is left of it.
[[nodiscard]] Status start_export_unit(const export_spec& spec);
// Stops it, and removes the configuration.
[[nodiscard]] Status stop_export_unit(const std::string& name);

// Those that begin with the unit of @array, a uuid as blkid writes it; empty without systemd.
[[nodiscard]] std::vector<std::string> export_units_of(const std::string& array);
[[nodiscard]] bool export_unit_is_active(const std::string& name);
// Stops them until their array's unit is started again.
[[nodiscard]] Status pause_export_units(const std::vector<std::string>& names);

}  // namespace rr
