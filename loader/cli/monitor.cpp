// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// monitor: tells people what happens to arrays, by mail, a program and the journal.
//
// Once a second it looks into the run directory for arrays that came or went, and reads
// what is new in their events; nothing is asked of a daemon, but for a mail. What was
// told is noted after each event (notices.h), so that kill -9 costs nothing. One monitor
// runs, as two would tell everything twice.
//
// Two things no event says. A daemon that was killed cannot tell it: when nobody has
// taken over for ten seconds, this does, as DaemonDied. And an array that stays degraded
// is told again, as DegradedArray, when the time for a reminder has passed since its
// last mail. And too few spares are SparesMissing: md's monitor looks for them when it sees
// the array for the first time, this one also later. NVMe disks are asked every hour how
// they are (members/health.h): a critical warning that is new is a DiskWarning.
//
// Under a service manager lines carry the priority that the journal takes from them;
// nothing else of it is needed, so libsystemd is not.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/private_directory.h"
#include "base/process.h"
#include "base/run_program.h"
#include "base/size.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/status_text.h"
#include "members/health.h"
#include "service/home_host.h"
#include "service/notices.h"
#include "service/predecessor.h"
#include "service/report.h"

namespace rr::cli {
namespace {

constexpr auto look_every = std::chrono::seconds(1);
constexpr auto program_most = std::chrono::seconds(60);
constexpr int64_t day_s = 24 * 60 * 60;
constexpr int64_t dead_for_s = 10;
// Without an event, which is when spares come or go.
constexpr int64_t count_spares_s = 60;
constexpr int64_t ask_disks_s = 60 * 60;
constexpr int status_ms = 5000;

struct monitor_flags {
    std::map<std::string, std::string> given;  // by the settings' names
    bool oneshot = false;
    bool test = false;
};

// By a daemon, or by its successor, whose state file comes at the end of its start. Seen
// from outside: whoever tries the lock may have it when a successor wants it.
bool is_locked(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0)
        return false;
    const std::string mark =
        fmt::format("{:02x}:{:02x}:{} ", major(about.st_dev), minor(about.st_dev), about.st_ino);
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        if (line.find(mark) != std::string::npos && line.find("->") == std::string::npos)
            return true;
    }
    return false;
}

settings_map settings_of(const monitor_flags& flags) {
    settings_map set = machine_config().monitor();
    for (const auto& [name, value] : flags.given) {
        if (!value.empty())
            set[name] = {value, ""};
    }
    return set;
}

// Mail, program and a line, for each notice.
class teller {
public:
    explicit teller(settings_map set) : set_(std::move(set)) {}

    // @status: the array's, or null. Where mail is due, it is asked for.
    bool tell(const notice& what, const std::string& uuid) {
        line(what.priority(), what.text());
        run(what);
        return what.needs_mail() && mail(what, uuid);
    }

    [[nodiscard]] int64_t remind_s() const {
        return static_cast<int64_t>(parse_seconds(set_.at("remind").value).value_or(0));
    }

    static void line(int priority, const std::string& text) {
        static const bool journal = ::getenv("JOURNAL_STREAM") != nullptr;
        print_line(stderr, "{}{}", journal ? fmt::format("<{}>", priority) : "ringraid: ", text);
    }

private:
    void run(const notice& what) {
        if (set_.at("program").value.empty())
            return;
        std::vector<std::string> words = {set_.at("program").value, what.event, what.block_device};
        if (!what.component.empty())
            words.push_back(what.component);
        if (Status ok = run_program(words, "", program_most); !ok)
            line(3, describe(ok.error()));
    }

    bool mail(const notice& what, const std::string& uuid) {
        const std::string to = set_.at("mail").value;
        if (to == "none" || to.empty())
            return false;
        auto status = ask_array(uuid, {{"command", "status"}}, status_ms);
        const std::string text = mail_of(what, to, set_.at("from").value, home_host(),
                                         status ? status_text(*status, {}) : "");
        Status sent = run_program({set_.at("sendmail").value, "-t"}, text, program_most);
        if (!sent)
            line(3, "no mail: " + describe(sent.error()));
        return sent.has_value();
    }

    settings_map set_;
};

// What one array has to tell, from where the notes say.
class follower {
public:
    follower(const md::uuid& id, told_of_array& told)
        : uuid_(md::to_string(id)), paths_(id), reader_(paths_.events, told.place), told_(&told) {}

    // False: it is over, and all is told.
    bool look(teller& to, const told_notes& notes, int64_t now) {
        for (const event_line& line : reader_.more_lines()) {
            auto what = notice_of(nlohmann::json::parse(line.text, nullptr, false));
            if (what && seconds_of(what->time) > now - day_s) {
                over_ = what->event == event_of_the_end;
                last_ = *what;
                count_spares_ = 0;
                if (to.tell(*what, uuid_))
                    told_->mailed = now;
            }
            told_->place = line.behind;
            save(notes);
        }
        return ::access(paths_.events.c_str(), F_OK) == 0;
    }

    // Of an array whose state file is there: does its daemon live, is it whole?
    void look_deeper(teller& to, const told_notes& notes, const nlohmann::json& state,
                     int64_t now) {
        const uint64_t started = state.value("started", uint64_t{0});
        const bool dead = started != 0 && !over_ && started_at(state.value("pid", 0)) != started &&
                          !is_locked(paths_.lock);
        if (!dead)
            dead_since_ = 0;
        else if (dead_since_ == 0)
            dead_since_ = now;
        if (dead && now - dead_since_ >= dead_for_s && told_->dead != started) {
            say(to, state, "DaemonDied", now);
            told_->dead = started;
            save(notes);
        }
        if (told_->mailed == 0) {
            told_->mailed = now;
            save(notes);
        }
        if (!dead && now >= count_spares_)
            count_spares(to, notes, state, now);
        if (now >= ask_disks_)
            ask_disks(to, notes, state, now);
        if (!dead && to.remind_s() != 0 && now - told_->mailed >= to.remind_s())
            remind(to, notes, state, now);
    }

    // What --oneshot says besides.
    void say_if_degraded(teller& to, const nlohmann::json& state, int64_t now) {
        auto status = ask_array(uuid_, {{"command", "status"}}, status_ms);
        const std::string health = status ? status->value("state", "") : "";
        if (health == "degraded" || health == "failed")
            say(to, state, "DegradedArray", now);
    }

private:
    void count_spares(teller& to, const told_notes& notes, const nlohmann::json& state,
                      int64_t now) {
        count_spares_ = now + count_spares_s;
        const settings_map set = machine_config().array(state.value("name", ""), uuid_);
        const uint64_t wanted = std::stoul(set.at("spares").value);
        if (wanted == 0 && !told_->spares_missing)
            return;
        auto status = ask_array(uuid_, {{"command", "status"}}, status_ms);
        if (!status || !status->contains("spares") || !(*status)["spares"].is_array())
            return;
        const bool missing = (*status)["spares"].size() < wanted;
        if (missing == told_->spares_missing)
            return;
        if (missing)
            say(to, state, "SparesMissing", now);
        told_->spares_missing = missing;
        save(notes);
    }

    void ask_disks(teller& to, const told_notes& notes, const nlohmann::json& state, int64_t now) {
        ask_disks_ = now + ask_disks_s;
        // A bit for each disk.
        uint64_t warned = 0;
        const nlohmann::json devices = state.value("devices", nlohmann::json::array());
        for (size_t i = 0; devices.is_array() && i < devices.size() && i < 64; i++) {
            const auto health =
                devices[i].is_string() ? read_health(devices[i].get<std::string>()) : std::nullopt;
            if (!health || health->warning == 0)
                continue;
            warned |= uint64_t{1} << i;
            if ((told_->warned >> i & 1) == 0)
                say(to, state, "DiskWarning", now, devices[i].get<std::string>());
        }
        if (warned == told_->warned)
            return;
        told_->warned = warned;
        save(notes);
    }

    void remind(teller& to, const told_notes& notes, const nlohmann::json& state, int64_t now) {
        told_->mailed = now;
        say_if_degraded(to, state, now);
        save(notes);
    }

    void say(teller& to, const nlohmann::json& state, const char* event, int64_t now,
             const std::string& component = "") {
        notice what;
        what.component = component;
        what.event = event;
        what.name = state.value("name", "");
        what.block_device = state.value("block_device", "");
        if (to.tell(what, uuid_))
            told_->mailed = now;
    }

    static void save(const told_notes& notes) {
        static bool said = false;
        Status saved = notes.save();
        if (!saved && !said)
            teller::line(3, "events may be told again: " + describe(saved.error()));
        said = !saved;
    }

    std::string uuid_;
    array_paths paths_;
    event_reader reader_;
    told_of_array* told_;
    bool over_ = false;
    int64_t dead_since_ = 0;
    int64_t count_spares_ = 0;  // when
    int64_t ask_disks_ = 0;     // when
    notice last_;
};

class monitor {
public:
    explicit monitor(settings_map set)
        : teller_(std::move(set)), notes_(std::string(run_directory) + "/monitor.json") {}

    void look() {
        const int64_t now = ::time(nullptr);
        find_new();
        std::map<std::string, nlohmann::json> states;
        for (nlohmann::json& state : running_arrays()) {
            std::string uuid = state.value("uuid", "");
            states[uuid] = std::move(state);
        }
        for (auto one = followers_.begin(); one != followers_.end();) {
            const bool stays = one->second.look(teller_, notes_, now);
            if (auto state = states.find(one->first); state != states.end())
                one->second.look_deeper(teller_, notes_, state->second, now);
            one = stays ? std::next(one) : followers_.erase(one);
        }
    }

    void say_degraded() {
        for (const nlohmann::json& state : running_arrays()) {
            auto one = followers_.find(state.value("uuid", ""));
            if (one != followers_.end())
                one->second.say_if_degraded(teller_, state, ::time(nullptr));
        }
    }

private:
    // Each directory of the run directory that is named by a uuid.
    void find_new() {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(run_directory, error)) {
            auto id = md::parse_uuid(entry.path().filename().string());
            if (!id || followers_.contains(md::to_string(*id)) ||
                ::access(array_paths(*id).events.c_str(), F_OK) != 0)
                continue;
            const std::string uuid = md::to_string(*id);
            followers_.emplace(uuid, follower(*id, notes_.arrays()[uuid]));
        }
    }

    teller teller_;
    told_notes notes_;
    std::map<std::string, follower> followers_;
};

// Held as long as the process lives.
Status lock_out_others() {
    if (Status ok = make_private_directory(run_directory); !ok)
        return ok;
    const std::string path = std::string(run_directory) + "/monitor.lock";
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock)
        return fail(errno, "cannot open {}", path);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return with_hint(fail(EBUSY, "another monitor runs"),
                         "systemctl status ringraid-monitor; --test works beside it");
    (void)lock.release();
    return {};
}

int test(const monitor_flags& flags) {
    teller to(settings_of(flags));
    const std::vector<nlohmann::json> states = running_arrays();
    for (const nlohmann::json& state : states) {
        notice what;
        what.event = "TestMessage";
        what.name = state.value("name", "");
        what.block_device = state.value("block_device", "");
        to.tell(what, state.value("uuid", ""));
    }
    if (states.empty())
        print_line(stderr, "ringraid: no array runs: nothing to test with");
    return states.empty() ? 1 : 0;
}

int watch_all(const context& ctx, const monitor_flags& flags) {
    if (flags.test)
        return test(flags);
    if (Status ok = lock_out_others(); !ok)
        return print_error(ctx, ok.error());
    monitor all(settings_of(flags));
    for (;;) {
        all.look();
        if (flags.oneshot) {
            all.say_degraded();
            return 0;
        }
        std::this_thread::sleep_for(look_every);
    }
}

}  // namespace

void add_monitor(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<monitor_flags>();
    CLI::App* command =
        app.add_subcommand("monitor", "tell people what happens to arrays: mail, a program");
    for (const setting_rule& rule : monitor_settings())
        command
            ->add_option(std::string("--") + rule.name, flags->given[rule.name],
                         fmt::format("{} (default: as configured)", rule.what))
            ->check([&rule](const std::string& value) { return flaw_of(rule, value); });
    command->add_flag("--oneshot", flags->oneshot,
                      "tell what is new and what is degraded, and end");
    command->add_flag("--test", flags->test, "a TestMessage for each array, and end");
    command->callback(
        [flags, &ctx] { ctx.run = [flags, &ctx] { return watch_all(ctx, *flags); }; });
}

}  // namespace rr::cli
