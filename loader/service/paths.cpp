// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/paths.h"

#include <algorithm>
#include <cctype>

#include "base/process.h"

namespace rr {

array_paths::array_paths(const md::uuid& id) {
    std::string name = md::to_string(id);
    std::replace(name.begin(), name.end(), ':', '-');
    directory = fmt::format("{}/{}", run_directory, name);
    state = directory + "/state.json";
    socket = directory + "/control.sock";
    lock = directory + "/lock";
    log = directory + "/log";
    events = directory + "/events";
    check = fmt::format("{}/{}.check", kept_directory, name);
    wanted_log = fmt::format("{}/{}.ppl", kept_directory, name);
    arena_file = fmt::format("{}/arena-{}", directory, boot_id());
    pins = fmt::format("{}/{}", pin_directory, name);
    arena_pin = pins + "/arena";
    store_pin = pins + "/store";
}

std::string array_paths::program(uint32_t n) const {
    return fmt::format("{}/program-{}.bpf.o", directory, n);
}

std::string short_name(const std::string& set_name) {
    size_t colon = set_name.find(':');
    return colon == std::string::npos ? set_name : set_name.substr(colon + 1);
}

std::string link_path(const std::string& set_name) {
    std::string name = short_name(set_name);
    for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_')
            c = '_';
    }
    return fmt::format("{}/{}", link_directory, name);
}

}  // namespace rr
