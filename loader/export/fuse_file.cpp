// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/fuse_file.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "export/program.h"

namespace rr::fuse_file {

Status check() {
    if (::access("/dev/fuse", F_OK) != 0) {
        if (Status ok = load_module("fuse"); !ok)
            return ok;
    }
    return {};
}

Status make(const std::string& path) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file)
        return fail(errno, "cannot make {}", path);
    return {};
}

void remove(const std::string& path) {
    ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    ::unlink(path.c_str());
}

}  // namespace rr::fuse_file
