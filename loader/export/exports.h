// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Exports of an array's block device: made, ended, listed. Decision 0034.
//
// ringraid moves none of their payload. The kernel's targets and qemu-storage-daemon open
// the block device as any program does, and so an array that is exported does not stop,
// is taken over under its clients, and is upgraded under them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "export/record.h"
#include "export/spec.h"

namespace rr {

// The block device @block_device of spec.array, from now on until unexport() or the end of
// the machine. All of it or nothing. @spec went through complete().
[[nodiscard]] Status make_export(const export_spec& spec, const std::string& block_device);

// ENOENT: there is none of that name. What cannot be ended keeps its record.
[[nodiscard]] Status end_export(const std::string& name, bool force);

enum class export_state { serving, dead, half };
[[nodiscard]] const char* to_string(export_state state);
[[nodiscard]] export_state state_of(const export_record& record);

// The names of this device's, for who wants to stop it.
[[nodiscard]] std::vector<std::string> exports_of(const std::string& block_device);

}  // namespace rr
