// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// events: what happened to arrays, and what happens to them from now on.
//
// Read from the files in /run, which outlive the daemon: nothing is asked of it, so who
// follows holds nobody up, and sees its successor's events as well.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "cli/commands.h"
#include "service/events.h"
#include "service/predecessor.h"

namespace rr::cli {
namespace {

constexpr auto poll_every = std::chrono::milliseconds(200);
// A daemon whose files in /run were cleared makes them again within two.
constexpr auto absence_most = std::chrono::seconds(5);

using clock = std::chrono::steady_clock;

std::string text_of(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// "TIME Fail data /dev/ublkb0 device=/dev/sdc error=... role=2"
void print_event(const nlohmann::json& event) {
    std::string more;
    for (const auto& [key, value] : event.items()) {
        const bool shown = key == "schema" || key == "time" || key == "event" || key == "name" ||
                           key == "uuid" || key == "block_device";
        if (!shown)
            more += fmt::format(" {}={}", key, text_of(value));
    }
    auto text = [&event](const char* key) {
        return event.contains(key) ? text_of(event[key]) : std::string("-");
    };
    print_line(stdout, "{} {} {} {}{}", text("time"), text("event"), short_name(text("name")),
               text("block_device"), more);
}

// The events of one array.
class listener {
public:
    explicit listener(const md::uuid& id) : paths_(id), reader_(paths_.events) {}

    // Prints what is new. False: nothing more will come.
    bool listen(bool json) {
        // Looked at first: a service that begins has its state before it has an event.
        const auto now = clock::now();
        const bool runs = ::access(paths_.state.c_str(), F_OK) == 0;
        if (runs)
            seen_ = now;
        for (const std::string& line : reader_.more()) {
            const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
            if (!event.is_object())
                continue;
            if (json)
                print_line(stdout, "{}", line);
            else
                print_event(event);
            over_ = event.contains("event") && event["event"] == event_of_the_end;
        }
        return runs || (!over_ && now - seen_ < absence_most);
    }

private:
    array_paths paths_;
    event_reader reader_;
    clock::time_point seen_ = clock::now();
    bool over_ = false;
};

// Those that run; a stopped one by its uuid.
Result<std::vector<listener>> listeners_of(const std::string& array) {
    std::vector<listener> out;
    std::vector<nlohmann::json> states;
    if (array.empty()) {
        states = running_arrays();
    } else if (auto state = find_running(array); state) {
        states.push_back(std::move(*state));
    } else {
        auto id = md::parse_uuid(array);
        if (!id || ::access(array_paths(*id).events.c_str(), R_OK) != 0)
            return forward_error(state.error());
        out.emplace_back(*id);
    }
    for (const nlohmann::json& state : states) {
        if (auto id = md::parse_uuid(state.value("uuid", "")))
            out.emplace_back(*id);
    }
    if (out.empty())
        return with_hint(fail(ENOENT, "no array runs"), "start one with ringraid assemble");
    return out;
}

int events(const context& ctx, const std::string& array, bool follow) {
    auto all = listeners_of(array);
    if (!all)
        return print_error(ctx, all.error());
    for (;;) {
        std::erase_if(*all, [&ctx](listener& one) { return !one.listen(ctx.json); });
        std::fflush(stdout);
        if (!follow || all->empty())
            return 0;
        std::this_thread::sleep_for(poll_every);
    }
}

}  // namespace

void add_events(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto follow = std::make_shared<bool>(false);
    CLI::App* command =
        app.add_subcommand("events", "what happened to an array, as mdadm --monitor tells it");
    command->add_option("array", *array, "name, uuid or block device (default: all that run)");
    command->add_flag("--follow,-f", *follow, "go on until the array is stopped");
    command->callback([array, follow, &ctx] {
        ctx.run = [array, follow, &ctx] { return events(ctx, *array, *follow); };
    });
}

}  // namespace rr::cli
