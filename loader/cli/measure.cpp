// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/measure.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <span>

#include "base/io.h"
#include "cli/commands.h"
#include "service/predecessor.h"

namespace rr::cli {
namespace {

constexpr int ask_ms = 3000;

measured_array measure(const nlohmann::json& state) {
    measured_array out;
    auto answer = ask_array(state.value("uuid", ""), {{"command", "status"}}, ask_ms);
    out.answers = answer.has_value();
    out.status = answer ? *answer : state;
    out.device = read_block_stat(state.value("block_device", ""));
    for (const auto& m : out.status.value("members", nlohmann::json::array())) {
        const auto device = m.find("device");
        out.members.push_back(device != m.end() && device->is_string()
                                  ? read_block_stat(device->get<std::string>())
                                  : std::nullopt);
    }
    return out;
}

}  // namespace

Result<std::vector<measured_array>> measure_arrays(const std::string& array) {
    std::vector<measured_array> out;
    if (!array.empty()) {
        auto state = find_running(array);
        if (!state)
            return forward_error(state.error());
        out.push_back(measure(*state));
        return out;
    }
    for (const nlohmann::json& state : running_arrays())
        out.push_back(measure(state));
    return out;
}

Status replace_file(const std::string& path, const std::string& text) {
    // Not by the name that a collector takes, and in the same directory.
    const std::filesystem::path to(path);
    const std::string fresh =
        (to.parent_path() / fmt::format(".{}.{}", to.filename().string(), ::getpid())).string();
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    Status done = write_file(fresh, std::span(bytes, text.size()));
    if (done && (::chmod(fresh.c_str(), 0644) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0))
        done = fail(errno, "cannot replace {}", path);
    if (!done)
        ::unlink(fresh.c_str());
    return done;
}

}  // namespace rr::cli
