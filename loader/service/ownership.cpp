// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/ownership.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <span>

#include "base/fd.h"
#include "base/io.h"

namespace rr {
namespace {

bool is_there(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

// It decides what happens at the next boot, so it is durable before it is told of.
Status sync_directory(const std::string& path) {
    const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        return fail(errno, "cannot write {}", path);
    return {};
}

}  // namespace

std::string blkid_form(const md::uuid& id) {
    std::string out;
    for (size_t i = 0; i < id.size(); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out += '-';
        out += fmt::format("{:02x}", id[i]);
    }
    return out;
}

Status own_array(const md::uuid& id, const std::string& options, const std::string& directory) {
    const std::string path = directory + '/' + blkid_form(id);
    if (!is_there(directory) || (options.empty() && is_there(path)))
        return {};
    const std::string text =
        "# Served by ringraid@" + blkid_form(id) + ".service\nOPTIONS=" + options + '\n';
    const std::string next = path + ".new";
    Status ok = write_file(next, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    if (!ok)
        return ok;
    if (const Fd file(::open(next.c_str(), O_RDONLY | O_CLOEXEC));
        !file || ::fsync(file.get()) != 0 || ::rename(next.c_str(), path.c_str()) != 0)
        return fail(errno, "cannot write {}", path);
    return sync_directory(directory);
}

bool is_owned(const md::uuid& id, const std::string& directory) {
    return is_there(directory + '/' + blkid_form(id));
}

Status disown_array(const md::uuid& id, const std::string& directory) {
    const std::string path = directory + '/' + blkid_form(id);
    if (!is_there(path))
        return {};
    if (::unlink(path.c_str()) != 0)
        return fail(errno, "cannot remove {}", path);
    return sync_directory(directory);
}

}  // namespace rr
