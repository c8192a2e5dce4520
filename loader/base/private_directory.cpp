// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/private_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fd.h"

namespace rr {
namespace {

constexpr mode_t of_others = 077;
constexpr mode_t others_write = S_IWGRP | S_IWOTH;

// Who may write to a directory may exchange what is in it, unless it is sticky.
Status check_parent(const std::string& path) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    struct stat about{};
    if (::stat(parent.c_str(), &about) != 0)
        return fail(errno, "cannot look at {}", parent);
    const bool open = (about.st_mode & others_write) != 0 && (about.st_mode & S_ISVTX) == 0;
    if (about.st_uid != 0 || open)
        return with_hint(fail(EPERM, "others than root may exchange {}", path),
                         fmt::format("chown root {0}; chmod go-w {0}", parent));
    return {};
}

}  // namespace

Status check_private_directory(const std::string& path) {
    struct stat about{};
    if (::lstat(path.c_str(), &about) != 0)
        return fail(errno, "cannot look at {}", path);
    if (!S_ISDIR(about.st_mode))
        return with_hint(fail(EPERM, "{} is not a directory", path), "remove it");
    if (about.st_uid != 0)
        return with_hint(fail(EPERM, "{} belongs to user {}, not to root", path, about.st_uid),
                         fmt::format("look at what is in it, then rm -r {}", path));
    if ((about.st_mode & others_write) != 0)
        return with_hint(
            fail(EPERM, "others may write to {} (mode {:04o})", path, about.st_mode & 07777),
            fmt::format("look at what is in it, then chmod 0700 {}", path));
    // Made by an older version: nobody has changed anything in it.
    if ((about.st_mode & of_others) != 0 && ::chmod(path.c_str(), 0700) != 0)
        return fail(errno, "cannot close {} to others", path);
    return check_parent(path);
}

Status make_private_directory(const std::string& path) {
    // The umask takes bits away only; mode 0700 asks for none that it would.
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return with_hint(fail(errno, "cannot make the directory {}", path),
                         fmt::format("is {} there, and writable?",
                                     std::filesystem::path(path).parent_path().string()));
    return check_private_directory(path);
}

}  // namespace rr
