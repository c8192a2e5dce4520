// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// check of all arrays, for a time, as a timer runs it.
//
// All of them are checked side by side, as md's mdcheck does it. When the time is over,
// or a service manager ends this, a check that still runs is paused; --continue resumes
// what was paused. (A daemon that ends notes how far a check came, and the next one goes
// on by itself: scrub_note.h.) An array that is degraded, or does something else, is left
// alone and said.
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "base/size.h"
#include "base/text.h"
#include "cli/check_all.h"
#include "cli/settings.h"
#include "service/paths.h"
#include "service/predecessor.h"
#include "service/report.h"

namespace rr::cli {
namespace {

using clock = std::chrono::steady_clock;
constexpr auto look_every = std::chrono::milliseconds(500);
constexpr int ask_ms = 10000;

volatile std::sig_atomic_t told_to_end = 0;

void heed_signals() {
    struct sigaction act{};
    act.sa_handler = [](int) { told_to_end = 1; };
    for (int signal : {SIGTERM, SIGINT})
        ::sigaction(signal, &act, nullptr);
}

// One array's check, as this command sees it.
class one_check {
public:
    explicit one_check(const nlohmann::json& state)
        : name_(state.value("name", "")), uuid_(state.value("uuid", "")) {}

    // True: it runs now.
    bool begin(bool only_paused) {
        auto status = ask("status", {{"command", "status"}});
        if (!status)
            return false;
        const nlohmann::json now = job(*status, "now");
        const std::string kind = now.value("kind", ""), is = now.value("state", "");
        if (kind == "check" && is == "paused")
            return order("resume", "goes on");
        if (kind == "check" && is == "running")
            return runs_ = true;
        if (only_paused)
            return false;
        if (!now.empty())
            return say("is left alone: its " + kind + " is " + is);
        if (status->value("state", "") != "healthy")
            return say("is left alone: it is " + status->value("state", ""));
        return order("check", "begins");
    }

    // True: it still runs.
    bool look() {
        auto status =
            runs_ ? ask("status", {{"command", "status"}}) : Result<nlohmann::json>(nullptr);
        if (!runs_ || !status) {
            runs_ = false;
            return false;
        }
        const nlohmann::json now = job(*status, "now");
        if (now.value("kind", "") == "check" && now.value("state", "") == "running")
            return true;
        runs_ = false;
        last_ = job(*status, "last");
        const auto wrong = last_.value("mismatch_sectors", uint64_t{0});
        const auto bad = last_.value("unreadable_cells", uint64_t{0});
        found_ = wrong != 0 || bad != 0;
        const std::string how = now.empty() ? last_.value("how", "") : now.value("state", "");
        (void)say(fmt::format("is checked: {}, {} sectors did not match", how, wrong));
        return false;
    }

    void pause() {
        if (runs_ && ask("pause", {{"command", "job"}, {"what", "pause"}}))
            (void)say("is paused, and goes on with --continue");
        paused_ = runs_;
        runs_ = false;
    }

    [[nodiscard]] int code() const { return found_ || failed_ ? 1 : 0; }
    [[nodiscard]] nlohmann::json report() const {
        return {{"name", name_},
                {"uuid", uuid_},
                {"paused", paused_},
                {"last", last_},
                {"said", said_}};
    }

private:
    // Empty: there is none.
    static nlohmann::json job(const nlohmann::json& status, const char* key) {
        const nlohmann::json all = status.value("job", nlohmann::json::object());
        const nlohmann::json out =
            all.is_object() ? all.value(key, nlohmann::json()) : nlohmann::json();
        return out.is_object() ? out : nlohmann::json::object();
    }

    Result<nlohmann::json> ask(const char* what, const nlohmann::json& request) {
        auto answer = ask_array(uuid_, request, ask_ms);
        if (!answer) {
            (void)say(fmt::format("{}: {}", what, describe(answer.error())));
            failed_ = true;
        }
        return answer;
    }

    bool order(const char* what, const char* done) {
        runs_ =
            ask(what, {{"command", "job"}, {"what", what}, {"from", 0U}, {"to", 0U}}).has_value();
        if (runs_)
            (void)say(std::string("check ") + done);
        return runs_;
    }

    bool say(const std::string& text) {
        said_ = text;
        print_line(stderr, "ringraid: {}: {}", short_name(name_), text);
        return false;
    }

    std::string name_, uuid_, said_;
    nlohmann::json last_;
    bool runs_ = false, paused_ = false, found_ = false, failed_ = false;
};

std::vector<one_check> checks() {
    std::vector<one_check> out;
    for (const nlohmann::json& state : running_arrays()) {
        const std::string name = state.value("name", ""), uuid = state.value("uuid", "");
        if (machine_config().array(name, uuid).at("check").value == "yes")
            out.emplace_back(state);
    }
    return out;
}

}  // namespace

int check_all(const context& ctx, const std::string& time, bool only_paused) {
    auto seconds = parse_seconds(time.empty() ? machine_config().check().at("for").value : time);
    if (!seconds)
        return print_error(ctx, seconds.error());
    heed_signals();
    const auto end = clock::now() + std::chrono::seconds(*seconds);
    std::vector<one_check> all = checks();
    for (one_check& one : all)
        (void)one.begin(only_paused);
    for (;;) {
        bool runs = false;
        for (one_check& one : all)
            runs = one.look() || runs;
        if (!runs || told_to_end != 0 || (*seconds != 0 && clock::now() >= end))
            break;
        std::this_thread::sleep_for(look_every);
    }
    int code = 0;
    nlohmann::json report = nlohmann::json::array();
    for (one_check& one : all) {
        one.pause();
        code = std::max(code, one.code());
        report.push_back(one.report());
    }
    if (ctx.json)
        print_json({{"schema", json_schema}, {"ok", code == 0}, {"arrays", report}});
    return code;
}

}  // namespace rr::cli
