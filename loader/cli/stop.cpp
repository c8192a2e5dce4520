// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// stop: the end of an array by its daemon; forced, also of what a dead daemon left.
//
// Exports have the block device open, so while there are any a stop is refused. Forced, they
// end first: clients see an end, not errors. What ends one waits until its clients have their
// answers, and an array that waits for members gives none: so the array stops over those that
// have not ended after a while, which answers all. Those of a dead daemon's array wait as well,
// and end when there is no device any more.
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "base/run_program.h"
#include "base/text.h"
#include "cli/commands.h"
#include "export/ending.h"
#include "service/predecessor.h"
#include "service/report.h"
#include "ublk/device.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

constexpr int stop_timeout_ms = 120000;
constexpr std::chrono::seconds settle_time(10);
constexpr std::chrono::seconds exports_patience(20);

// The exports of an array, ended before it and beside it.
class exports_end {
public:
    explicit exports_end(const std::string& array) {
        auto state = find_running(array);
        const auto id = md::parse_uuid(state ? state->value("uuid", "") : array);
        if (id)
            which_ = find_exports(*id, state ? state->value("block_device", "") : "");
    }

    [[nodiscard]] const std::vector<std::string>& names() const { return which_.names; }

    // Before the array stops. Who waits for its answers does not keep it from that.
    [[nodiscard]] Status begin() {
        first_ = std::async(std::launch::async, [this] { return end_exports(which_); });
        if (first_.wait_for(exports_patience) != std::future_status::ready)
            return {};
        Status ended = first_.get();
        if (!ended && ended.error().err == ETIMEDOUT)
            return {};
        ended_ = static_cast<bool>(ended);
        return ended;
    }

    // After the array has stopped.
    [[nodiscard]] Status finish() {
        if (first_.valid())
            first_.wait();
        Status rest = ended_ ? Status() : end_exports(which_);
        ended_ = static_cast<bool>(rest);
        return rest;
    }

    [[nodiscard]] bool have_ended() const { return ended_; }

private:
    exports_of_array which_;
    bool ended_ = false;
    std::future<Status> first_;  // last: it uses the others
};

// The last resort for an array whose daemon is dead and that nobody takes over.
Result<nlohmann::json> drop(const std::string& array, const last_orders& how) {
    auto state = find_running(array);
    // A uuid is enough where nothing else is left of it.
    auto set_uuid = md::parse_uuid(state ? state->value("uuid", "") : array);
    if (!state && !set_uuid)
        return forward_error(state.error());
    if (!set_uuid)
        return forward_error(set_uuid.error());
    // The arena is mapped, and that is much memory.
    if (Status ok = raise_limits(); !ok)
        return forward_error(ok.error());
    const offline_guard guard;
    if (Status ok = guard.try_ring(); !ok)
        return forward_error(ok.error());
    auto ended = end_dead_array(*set_uuid, how);
    if (!ended)
        return forward_error(ended.error());
    return nlohmann::json{
        {"schema", json_schema}, {"ok", true}, {"dropped", true}, {"what", *ended}};
}

// Who has it open, where that is known.
Error named(Error error, const std::vector<std::string>& names) {
    if (error.err != EBUSY || names.empty())
        return error;
    error.what += fmt::format(", exported as {}", fmt::join(names, ", "));
    error.hint = fmt::format("ringraid unexport {}", names[0]);
    return error;
}

Result<nlohmann::json> ask_to_stop(const std::string& array, bool force, bool exported) {
    const nlohmann::json order = {{"command", "stop"}, {"force", force}};
    auto answer = ask_array(array, order, stop_timeout_ms);
    // Of a device that is new or has just been closed the user may be udev.
    if (!answer && answer.error().err == EBUSY && !exported) {
        (void)run_program({"/usr/bin/udevadm", "settle", "--timeout=5"}, "", settle_time);
        answer = ask_array(array, order, stop_timeout_ms);
    }
    return answer;
}

// An array may be gone although its members could not be made clean.
Result<nlohmann::json> stop_by_force(const std::string& array, const last_orders& how,
                                     exports_end& exports) {
    if (!exports.names().empty() && ask_status(array)) {
        if (Status ok = exports.begin(); !ok)
            return forward_error(ok.error());
    }
    auto answer = ask_to_stop(array, true, !exports.names().empty());
    const int err = answer ? 0 : answer.error().err;
    if (err == EOWNERDEAD || (err == ENOENT && md::parse_uuid(array)))
        answer = drop(array, how);
    if (!answer && find_running(array))
        return answer;
    Status ended = exports.finish();
    if (!answer || ended)
        return answer;
    return forward_error(ended.error());
}

Result<nlohmann::json> stop_in_peace(const std::string& array,
                                     const std::vector<std::string>& exports) {
    auto answer = ask_to_stop(array, false, !exports.empty());
    if (!answer)
        return forward_error(named(answer.error(), exports));
    return answer;
}

int stop(const context& ctx, const std::string& array, bool force, const last_orders& how) {
    exports_end exports(array);
    auto answer =
        force ? stop_by_force(array, how, exports) : stop_in_peace(array, exports.names());
    const bool tell = exports.have_ended() && !exports.names().empty();
    if (tell && !ctx.json)
        print_line(stdout, "no longer exported: {}", fmt::join(exports.names(), ", "));
    if (!answer)
        return print_error(ctx, answer.error());
    if (tell)
        (*answer)["exports"] = exports.names();
    if (ctx.json)
        print_json(*answer);
    else
        print_line(stdout, "{}", answer->value("what", "stopped"));
    return 0;
}

}  // namespace

void add_stop(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto force = std::make_shared<bool>(false);
    auto how = std::make_shared<last_orders>();
    CLI::App* command = app.add_subcommand("stop", "stop serving an array, cleanly");
    command->add_option("array", *array, "name, uuid or block device (default: the only one)");
    command->add_flag("--force", *force,
                      "also while the block device is in use, or its daemon is dead");
    CLI::Option* dead = command->get_option("--force");
    command
        ->add_flag("--degraded", how->degraded,
                   "of a dead daemon's array: also without a member, which is "
                   "then out of it")
        ->needs(dead);
    command
        ->add_flag("--give-up", how->give_up,
                   "of a dead daemon's array: although its members cannot be "
                   "made clean now")
        ->needs(dead);
    command->callback([array, force, how, &ctx] {
        ctx.run = [array, force, how, &ctx] { return stop(ctx, *array, *force, *how); };
    });
}

// Not for people: see ublk_device::stop_apart(). The exit code is an errno.
void add_ublk_stop(CLI::App& app, context& ctx) {
    auto number = std::make_shared<uint32_t>(0);
    auto mark = std::make_shared<uint64_t>(0);
    auto unless_used = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("ublk-stop", "")->group("");
    command->add_option("number", *number)->required();
    command->add_option("mark", *mark)->required();
    command->add_flag("--unless-used", *unless_used);
    command->callback([number, mark, unless_used, &ctx] {
        ctx.run = [number, mark, unless_used] {
            auto device = ublk_device::adopt_marked(*mark, *number);
            if (!device)
                return device.error().err;
            Status stopped = *unless_used ? device->stop_unless_used() : device->stop();
            return stopped ? 0 : stopped.error().err;
        };
    });
}

}  // namespace rr::cli
