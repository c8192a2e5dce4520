// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A directory that nobody but root can look into or change.
//
// What lies in /run/ringraid and /sys/fs/bpf/ringraid decides which memory is
// written to which disks. Both parents may let others make names, so what is
// found under ours is looked at before it is used: a real directory, no link,
// root's, mode 0700; and its parent lets nobody else exchange it.
#pragma once

#include <string>

#include "base/result.h"

namespace rr {

// Makes @path, and nothing above it, with mode 0700 whatever the umask; or takes
// one that is there, and closes it to readers. EPERM, with what to do: it is a link,
// not a directory, another's, or others may write to it or exchange it. ENOENT: there
// is no parent.
[[nodiscard]] Status make_private_directory(const std::string& path);

// The same of one that must be there already.
[[nodiscard]] Status check_private_directory(const std::string& path);

}  // namespace rr
