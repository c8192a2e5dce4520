// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"
#include "base/io.h"

namespace rr {

Status write_durably(const std::string& path, const std::string& text) {
    const std::string next = path + ".new";
    Status ok = write_file(next, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    if (!ok)
        return ok;
    if (const Fd file(::open(next.c_str(), O_RDONLY | O_CLOEXEC));
        !file || ::fsync(file.get()) != 0 || ::rename(next.c_str(), path.c_str()) != 0)
        return fail(errno, "cannot write {}", path);
    return sync_directory(std::filesystem::path(path).parent_path());
}

Status sync_directory(const std::string& path) {
    const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        return fail(errno, "cannot write {}", path);
    return {};
}

}  // namespace rr
