// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which arrays are ringraid's on this machine, and how they are served.
//
// The members look like md's. /etc/ringraid/arrays/UUID, UUID as blkid writes it, says
// that they are ours: udev hands such disks to ringraid@UUID.service and not to md
// (packaging/udev), and the unit reads the file as its environment, OPTIONS= being the
// words that its `assemble` gets. It is in /etc, as multipath's list is, because it
// must be there before anything but the root file system is.
//
// The package makes the directory. Where it is not, nothing here does anything: a
// program that was built by hand owns no disks when the machine starts.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "md/superblock.h"

namespace rr {

inline constexpr const char* ownership_directory = "/etc/ringraid/arrays";

// 01234567-89ab-cdef-0123-456789abcdef
[[nodiscard]] std::string blkid_form(const md::uuid& id);

// The array's file, if it is owned.
[[nodiscard]] std::string kept_words_path(const md::uuid& id,
                                          const std::string& directory = ownership_directory);
// Nothing: the file stays as it is, if there is one.
[[nodiscard]] Status own_array(const md::uuid& id, const std::string& options,
                               const std::string& directory = ownership_directory);
// The words that it was given for starts to come, "sync-max" and "300"; of one without a
// value "yes", of "--no-affinity" "affinity" and "no".
[[nodiscard]] std::map<std::string, std::string> kept_words(
    const md::uuid& id, const std::string& directory = ownership_directory);
[[nodiscard]] bool is_owned(const md::uuid& id, const std::string& directory = ownership_directory);
[[nodiscard]] Status disown_array(const md::uuid& id,
                                  const std::string& directory = ownership_directory);

}  // namespace rr
