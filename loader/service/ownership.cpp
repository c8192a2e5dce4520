// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/ownership.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <span>
#include <sstream>
#include <string_view>

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

std::map<std::string, std::string> kept_words(const md::uuid& id, const std::string& directory) {
    constexpr std::string_view key = "OPTIONS=", mark = "--";
    std::map<std::string, std::string> out;
    std::ifstream file(directory + '/' + blkid_form(id));
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key))
            continue;
        std::istringstream words(line.substr(key.size()));
        std::string name;
        for (std::string word; words >> word;) {
            if (word.starts_with(mark)) {
                name = word.substr(mark.size());
                out[name] = "yes";
            } else if (!name.empty()) {
                out[name] = word;
            }
        }
    }
    return out;
}

std::string kept_words_path(const md::uuid& id) {
    return std::string(ownership_directory) + '/' + blkid_form(id);
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
