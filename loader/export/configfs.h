// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Objects of the kernel that are made and configured as directories of configfs.
//
// A directory is made, its attributes are written, links tie objects together; nothing
// of it outlives the machine. Others write here too (nvmetcli, targetcli, Pacemaker), so
// what is there already is never taken for ours: group() wants to make it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "export/steps.h"

namespace rr::configfs {

inline constexpr const char* root = "/sys/kernel/config";

// ENOTSUP, with what to do: configfs is not mounted, or no module makes root/@subsystem.
[[nodiscard]] Status need(const std::string& subsystem, const std::vector<std::string>& modules);

[[nodiscard]] bool is_there(const std::string& path);
// Of an attribute, without its newline; empty where there is none.
[[nodiscard]] std::string read(const std::string& path);
// Names of what is in a directory, sorted.
[[nodiscard]] std::vector<std::string> names(const std::string& path);
// Where a link leads, as its last name.
[[nodiscard]] std::string leads_to(const std::string& link);

// The kernel's errno where it refuses.
[[nodiscard]] Status write(const std::string& path, const std::string& value);
// Attributes of @group, one after the other, until one is refused.
using attributes = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] Status write_all(const std::string& group, const attributes& values);

// These undo themselves with the steps. EEXIST: it is somebody's.
[[nodiscard]] Status group(steps& undo, const std::string& path);
[[nodiscard]] Status link(steps& undo, const std::string& to, const std::string& path);
// An attribute that goes back to @before.
[[nodiscard]] Status set(steps& undo, const std::string& path, const std::string& value,
                         const std::string& before);

// What is gone already is no error.
[[nodiscard]] Status remove_group(const std::string& path);
[[nodiscard]] Status remove_link(const std::string& path);

}  // namespace rr::configfs
