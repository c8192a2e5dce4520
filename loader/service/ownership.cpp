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

#include "base/durable_file.h"

namespace rr {
namespace {

bool is_there(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
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

std::string kept_words_path(const md::uuid& id, const std::string& directory) {
    return directory + '/' + blkid_form(id);
}

Status own_array(const md::uuid& id, const std::string& options, const std::string& directory) {
    const std::string path = kept_words_path(id, directory);
    if (!is_there(directory) || (options.empty() && is_there(path)))
        return {};
    const std::string text =
        "# Served by ringraid@" + blkid_form(id) + ".service\nOPTIONS=" + options + '\n';
    return write_durably(path, text);
}

std::map<std::string, std::string> kept_words(const md::uuid& id, const std::string& directory) {
    constexpr std::string_view key = "OPTIONS=", mark = "--", not_mark = "no-";
    std::map<std::string, std::string> out;
    std::ifstream file(kept_words_path(id, directory));
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key))
            continue;
        std::istringstream words(line.substr(key.size()));
        std::string name;
        for (std::string word; words >> word;) {
            if (word.starts_with(mark)) {
                name = word.substr(mark.size());
                const bool off = name.starts_with(not_mark);
                name.erase(0, off ? not_mark.size() : 0);
                out[name] = off ? "no" : "yes";
            } else if (!name.empty()) {
                out[name] = word;
            }
        }
    }
    return out;
}

bool is_owned(const md::uuid& id, const std::string& directory) {
    return is_there(kept_words_path(id, directory));
}

Status disown_array(const md::uuid& id, const std::string& directory) {
    const std::string path = kept_words_path(id, directory);
    if (!is_there(path))
        return {};
    if (::unlink(path.c_str()) != 0)
        return fail(errno, "cannot remove {}", path);
    return sync_directory(directory);
}

}  // namespace rr
