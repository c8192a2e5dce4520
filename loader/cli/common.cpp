// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "md/superblock.h"
#include "service/array_service.h"
#include "service/paths.h"
#include "service/report.h"
#include "service/socket.h"

namespace rr::cli {

int print_error(const context& ctx, const Error& error) {
    if (ctx.json) {
        print_json({{"schema", json_schema},
                    {"ok", false},
                    {"errno", error.err},
                    {"error", describe(error)},
                    {"hint", error.hint}});
        return 1;
    }
    print_line(stderr, "ringraid: {}", describe(error));
    if (!error.hint.empty())
        print_line(stderr, "hint: {}", error.hint);
    return 1;
}

void print_json(const nlohmann::json& value) {
    fmt::print("{}\n", to_line(value, 2));
}

std::string human_bytes(uint64_t bytes) {
    static constexpr std::array units = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < units.size(); unit++)
        value /= 1024;
    return unit == 0 ? fmt::format("{} bytes", bytes)
                     : fmt::format("{:.4g} {}", value, units[unit]);
}

tl::unexpected<Error> resync_said_once(const std::string& word) {
    return with_hint(fail(EINVAL,
                          "{}: after each crash all parity is recomputed, and where a "
                          "member is missing then, the array does not start",
                          word),
                     "if that is what you want, say it twice; ppl and bitmap need no resync of "
                     "everything");
}

Result<uint64_t> parse_bitmap_chunk(const std::string& text) {
    auto bytes = parse_bytes(text);
    if (bytes && (*bytes == 0 || *bytes % (1U << RR_SECTOR_SHIFT) != 0))
        return with_hint(fail(EINVAL, "a bitmap chunk of {} bytes", *bytes),
                         "use a power of two from 4K to 2G");
    return bytes;
}

Result<nlohmann::json> find_running(const std::string& array) {
    std::vector<nlohmann::json> found;
    std::error_code ignored;
    std::string real = std::filesystem::weakly_canonical(array, ignored).string();
    // As status has it or as blkid does.
    const auto id = md::parse_uuid(array);
    const std::string uuid = id ? md::to_string(*id) : array;
    for (nlohmann::json& state : running_arrays()) {
        std::string name = state.value("name", "");
        if (array.empty() || array == name || array == short_name(name) ||
            uuid == state.value("uuid", "") || real == state.value("block_device", ""))
            found.push_back(std::move(state));
    }
    if (found.empty())
        return with_hint(fail(ENOENT, "{}",
                              array.empty() ? std::string("no array runs")
                                            : fmt::format("no array {} runs", array)),
                         "start one with ringraid assemble");
    if (found.size() > 1)
        return with_hint(fail(EINVAL, "{} arrays run", found.size()), "name one of them");
    return found[0];
}

namespace {

bool is_alive(const nlohmann::json& state) {
    const uint64_t started = state.value("started", uint64_t{0});
    return started != 0 && started_at(state.value("pid", 0)) == started;
}

// A daemon that hands over is silent until the next one serves, and one whose files in
// /run were lost until it sees that.
constexpr auto silence_max = std::chrono::seconds(5);
constexpr auto silence_turn = std::chrono::milliseconds(50);

Result<nlohmann::json> answer_in(const std::string& line) {
    nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
    if (!answer.is_object() || !answer.value("ok", false))
        return forward_error(error_of(answer));
    return answer;
}

}  // namespace

Result<nlohmann::json> ask_array(const std::string& array, const nlohmann::json& request,
                                 int timeout_ms) {
    const auto end = std::chrono::steady_clock::now() + silence_max;
    for (int dead = 0;;) {
        auto state = find_running(array);
        if (!state)
            return forward_error(state.error());
        auto line = ask(state->value("socket", ""), to_line(request), timeout_ms,
                        [](const std::string& text) { print_line(stderr, "ringraid: {}", text); });
        if (line)
            return answer_in(*line);
        if (line.error().err != ECONNREFUSED && line.error().err != ENOENT)
            return forward_error(line.error());
        // Nobody has heard it, so it may be said again. One that has just handed over is dead,
        // and another one is named by now.
        const int pid = state->value("pid", 0);
        if (!is_alive(*state) && std::exchange(dead, pid) != pid)
            continue;
        if (!is_alive(*state))
            return with_hint(fail(EOWNERDEAD, "the daemon of {} is dead", state->value("name", "")),
                             "ringraid assemble takes over; clients wait until then");
        if (std::chrono::steady_clock::now() >= end)
            return with_hint(
                fail(EAGAIN, "the daemon of {} lives (pid {}) and does not listen",
                     state->value("name", ""), pid),
                fmt::format("it hands the array over, or its files in /run were lost, which it "
                            "makes again while it serves. kill {} stops it cleanly",
                            pid));
        std::this_thread::sleep_for(silence_turn);
    }
}

Result<nlohmann::json> ask_status(const std::string& array) {
    return ask_array(array, {{"command", "status"}}, ask_timeout_ms);
}

void print_changes(const nlohmann::json& keys) {
    for (const nlohmann::json& key : keys) {
        const std::string name = key.value("name", "");
        const std::string blocked = key.value("blocked", "");
        print_line(stdout, "{:>5}  {:<20} {}{}", key.value("id", 0), name, key.value("change", ""),
                   blocked.empty() ? "" : "  REFUSED");
        for (const nlohmann::json& note : key.value("notes", nlohmann::json::array()))
            print_line(stdout, "{:>7}  {}", "", note.get<std::string>());
        if (!blocked.empty())
            print_line(stdout, "{:>7}  {} (--accept {})", "", blocked, name);
    }
}

}  // namespace rr::cli
