// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/start.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/process.h"
#include "base/text.h"
#include "cli/settings.h"
#include "cli/status_text.h"
#include "cli/unit.h"
#include "service/ownership.h"
#include "service/report.h"
#include "service/socket.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

// A start may wait for a dead daemon's I/O or compute parity for hours: it is waited
// for as long as the child lives.
constexpr int start_timeout_ms = -1;
constexpr int answer_ms = 5000;
constexpr auto status_every = std::chrono::seconds(5);
// EX_TEMPFAIL: the unit tries again.
constexpr int exit_clients_wait = 75;

void print_progress(const std::string& text) {
    if (!text.empty())
        print_line(stderr, "ringraid: {}", text);
}

// A file system asks the kernel for the full stripe, and ublk cannot say one that is no power
// of two: who makes one has to. @report is of an array that was just made.
void say_stripes(const nlohmann::json& report) {
    constexpr uint64_t ext4_block = 4096;
    const auto device = report.value("block_device", "");
    const auto chunk = report.value("chunk_bytes", uint64_t{0});
    const size_t data = report.value("members", nlohmann::json::array()).size() - 1;
    uint64_t announced = 0;
    std::ifstream(
        fmt::format("/sys/block/{}/queue/optimal_io_size", device.substr(device.rfind('/') + 1))) >>
        announced;
    if (announced == data * chunk)
        return;
    print_line(stderr, "ringraid: tell a file system of its stripes, which this kernel cannot:");
    print_line(stderr, "ringraid:   mkfs.ext4 -E stride={},stripe_width={} {}", chunk / ext4_block,
               data * chunk / ext4_block, device);
    print_line(stderr, "ringraid:   mkfs.xfs -d su={}k,sw={} {}", chunk / 1024, data, device);
}

void print_started(const context& ctx, const nlohmann::json& report, bool made) {
    if (ctx.json) {
        print_json(report);
        return;
    }
    if (report.value("block_device", "").empty())
        print_line(stdout, "created {} ({})", short_name(report.value("name", "")),
                   report.value("uuid", ""));
    else
        print_line(stdout, "{}: {}, {} engine, {}", report.value("block_device", ""),
                   report.value("name", ""), report.value("engine", ""), report.value("state", ""));
    if (made && report.contains("members") && report.contains("chunk_bytes"))
        say_stripes(report);
}

// False when nobody reads any more.
bool tell(int fd, const nlohmann::json& what) {
    const std::string line = to_line(what) + '\n';
    return ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

// What was not served ends with its command.
int serve(std::unique_ptr<array_service> service) {
    if (!service->serves())
        return 0;
    Status ended = service->run();
    service.reset();
    if (!ended)
        print_line(stderr, "ringraid: {}", describe(ended.error()));
    return ended ? 0 : ended.error().err == EBADE ? exit_fenced : 1;
}

// The child's life: it never returns to the caller.
[[noreturn]] void serve_in_background(service_options options, Fd report) {
    auto give_up = [&report](const Error& e) {
        (void)tell(report.get(), error_json(e));
        ::_exit(1);
    };
    ::setsid();
    const std::array keep = {report.get()};
    if (Status left = leave_caller(keep); !left)
        give_up(left.error());
    Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(null.get(), STDOUT_FILENO);
    options.progress = [fd = report.get()](const std::string& text) {
        return tell(fd, {{"progress", text}});
    };
    auto service = array_service::start(options);
    if (!service)
        give_up(service.error());
    const nlohmann::json status = (*service)->status();
    Fd log;
    if ((*service)->serves())
        log.reset(::open((*service)->paths().log.c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    (void)tell(report.get(), status);
    report.reset();
    ::dup2(log ? log.get() : null.get(), STDERR_FILENO);
    ::_exit(serve(std::move(*service)));
}

// What a service manager shows of an array.
std::string one_line(const nlohmann::json& status) {
    const std::string job = job_line(status);
    return fmt::format("{} is {}{}{}", status.value("block_device", ""), status.value("state", ""),
                       job.empty() ? "" : ", ", job);
}

// Where a dead daemon's clients wait the next try may succeed; else a person must act.
int exit_code_of(const service_options& options, const Error& error) {
    if (error.err == EBADE)
        return exit_fenced;
    const auto& id = options.assembly.set_uuid;
    if (!id)
        return 1;
    auto answer = ask_array(md::to_string(*id), {{"command", "status"}}, answer_ms);
    const int err = answer ? 0 : answer.error().err;
    // The daemon that has handed over may not have ended yet.
    return err == EOWNERDEAD || (options.old && err == EAGAIN) ? exit_clients_wait : 1;
}

// The manager learns how the array is, and whose it is.
void report_to(service_manager& manager, service_options& options) {
    options.each_turn = [&manager, next = std::chrono::steady_clock::time_point()](
                            const array_service& service) mutable {
        manager.alive();
        const auto now = std::chrono::steady_clock::now();
        if (!manager || now < next)
            return;
        next = now + status_every;
        manager.status(one_line(service.status()));
    };
    options.main_is = [&manager](pid_t pid) { manager.main_is(pid); };
    options.successor_environment = manager.environment();
}

int serve_in_foreground(const context& ctx, service_options options,
                        std::optional<offline_guard>& guard) {
    service_manager& manager = ctx.manager;
    if (Status left = leave_caller({}); !left)
        return print_error(ctx, left.error());
    options.progress = [&manager](const std::string& text) {
        print_progress(text);
        manager.status(text);
        return true;
    };
    report_to(manager, options);
    options.stop_when_unused = static_cast<bool>(manager);
    const bool made = options.create.has_value();
    auto service = array_service::start(options);
    if (!service) {
        print_error(ctx, service.error());
        manager.status(describe(service.error()));
        return exit_code_of(options, service.error());
    }
    guard.reset();
    print_started(ctx, (*service)->status(), made);
    std::fflush(stdout);
    manager.ready();
    return serve(std::move(*service));
}

// The child's last word, after what it says on the way.
Result<nlohmann::json> follow(int fd) {
    line_reader lines(fd);
    for (;;) {
        auto line = lines.next(start_timeout_ms);
        if (!line)
            return with_hint(fail(line.error().err, "the daemon ended without a word"),
                             "run it with --foreground to see why");
        const nlohmann::json told = nlohmann::json::parse(*line, nullptr, false);
        if (!told.is_object() || !told.contains("progress"))
            return told;
        print_progress(told["progress"].get<std::string>());
    }
}

// What may be given here or be configured: its name, and where it is given.
template <typename Flags>
auto given(Flags& f) {
    using text = decltype(&f.engine);
    return std::to_array<std::pair<const char*, text>>({{"engine", &f.engine},
                                                        {"queues", &f.queues},
                                                        {"depth", &f.depth},
                                                        {"slots", &f.slots},
                                                        {"arena", &f.arena},
                                                        {"clean-after", &f.clean_after},
                                                        {"sync-min", &f.sync_min},
                                                        {"sync-max", &f.sync_max},
                                                        {"no-path-timeout", &f.no_path_timeout},
                                                        {"reserve", &f.reserve}});
}

const setting_rule& rule_of(const char* name) {
    return *std::ranges::find_if(array_settings(), [name](const setting_rule& r) {
        return std::string_view(name) == r.name;
    });
}

std::vector<std::string> words_of(const setting_rule& rule) {
    std::istringstream words(rule.what);
    return {std::istream_iterator<std::string>(words), {}};
}

std::string help_of(const setting_rule& rule) {
    const std::string what = rule.is == setting_rule::kind::choice ? "one of: " : "";
    return what + rule.what +
           (*rule.standard == 0 ? "" : fmt::format(" (default {})", rule.standard));
}

std::string flaw_text(const setting_rule& rule, const std::string& value) {
    const std::string flaw = flaw_of(rule, value);
    return flaw.empty() ? "" : fmt::format("{} {}", value, flaw);
}

// Of a setting that was checked.
uint64_t number(const setting& of) {
    return std::strtoull(of.value.c_str(), nullptr, 10);
}

}  // namespace

void start_flags::add_to(CLI::App& command) {
    for (auto [name, into] : given(*this)) {
        const setting_rule& rule = rule_of(name);
        CLI::Option* option = command.add_option(std::string("--") + name, *into, help_of(rule));
        if (rule.is == setting_rule::kind::choice)
            option->check(CLI::IsMember(words_of(rule)));
        else
            option->check([&rule](const std::string& value) { return flaw_text(rule, value); });
    }
    command.add_flag("--parity-first", wait, "serve nothing before parity is right");
    command.add_flag("--foreground", foreground, "serve in this process, for systemd");
    command.add_flag("--no-unit", no_unit, "serve from here although systemd could");
    command.add_flag("--no-zero-copy", no_zero_copy, "copy reads through the arena");
    command.add_flag("--no-affinity", no_affinity,
                     "let the queues' threads run on any CPU, not on their requests' ones");
    command.add_flag("--passthrough", passthrough, "NVMe commands to the members");
}

Result<service_options> start_flags::options(const std::string& name,
                                             const std::string& uuid) const {
    settings_map set = machine_config().array(name, uuid);
    for (auto [key, value] : given(*this)) {
        if (!value->empty())
            set[key] = {*value, ""};
    }
    // A limit below what is promised takes the promise with it.
    if (number(set["sync-max"]) != 0 && sync_min.empty())
        set["sync-min"].value =
            std::to_string(std::min(number(set["sync-min"]), number(set["sync-max"])));
    service_options out;
    if (const std::string& engine_word = set["engine"].value; engine_word != "auto")
        out.host = engine_word == "bpf" ? engine_host::bpf : engine_host::user;
    if (!set["queues"].value.empty())
        out.queues = static_cast<uint32_t>(number(set["queues"]));
    out.depth = static_cast<uint32_t>(number(set["depth"]));
    out.slots = static_cast<uint32_t>(number(set["slots"]));
    out.zero_copy = !no_zero_copy;
    out.affinity = !no_affinity && set["affinity"].value == "yes";
    out.passthrough = passthrough || set["passthrough"].value == "yes";
    out.latency = set["latency"].value == "on";
    out.readd = set["re-add"].value == "yes";
    out.foreground = foreground;
    out.wait = wait;
    out.clean_after =
        std::chrono::milliseconds(static_cast<int64_t>(std::stod(set["clean-after"].value) * 1000));
    if (!set["no-path-timeout"].value.empty())
        out.no_path_timeout = std::chrono::seconds(number(set["no-path-timeout"]));
    const std::string& reserve_word = set["reserve"].value;
    out.reserve = reserve_word == "yes"  ? reserve_mode::yes
                  : reserve_word == "no" ? reserve_mode::no
                                         : reserve_mode::automatic;
    out.rates = {number(set["sync-min"]), number(set["sync-max"])};
    auto bytes = parse_bytes(set["arena"].value);
    if (!bytes)
        return forward_error(bytes.error());
    out.arena_bytes_max = *bytes;
    if (out.rates.max_kib != 0 && out.rates.max_kib < out.rates.min_kib)
        return with_hint(
            fail(EINVAL, "sync-max {} is below sync-min {}", out.rates.max_kib, out.rates.min_kib),
            "give both, or the first one alone");
    return out;
}

std::string start_flags::words() const {
    std::string out;
    auto say = [&out](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
    for (auto [name, value] : given(*this)) {
        if (!value->empty())
            say(fmt::format("--{} {}", name, *value));
    }
    if (no_zero_copy)
        say("--no-zero-copy");
    if (no_affinity)
        say("--no-affinity");
    if (passthrough)
        say("--passthrough");
    return out;
}

start_words start_flags::words_for_unit() const {
    return {!foreground && !no_unit && units_serve(), words(), ""};
}

namespace {

// The array as systemd has started it.
int report_unit(const context& ctx, const md::uuid& id, const start_words& words, bool made) {
    if (Status ok = own_array(id, words.kept); !ok)
        return print_error(ctx, ok.error());
    if (Status ok = start_unit(id, words.once); !ok) {
        const int code = print_error(ctx, ok.error());
        return ok.error().err == EBADE ? exit_fenced : code;
    }
    auto served = ask_array(md::to_string(id), {{"command", "status"}}, answer_ms);
    if (!served)
        return print_error(ctx, served.error());
    print_started(ctx, *served, made);
    return 0;
}

}  // namespace

int serve_successor(const context& ctx, service_options options) {
    report_to(ctx.manager, options);
    ctx.manager.continues();
    auto service = array_service::start(options);
    if (!service) {
        (void)options.old->tell(error_json(service.error()));
        return exit_code_of(options, service.error());
    }
    options.old.reset();
    return serve(std::move(*service));
}

int start_array(const context& ctx, const service_options& given, const start_words& words) {
    if (words.by_unit && !given.create && given.assembly.set_uuid)
        return report_unit(ctx, *given.assembly.set_uuid, words, false);
    for (Status ok : {raise_limits(), spare_from_oom()}) {
        if (!ok)
            return print_error(ctx, ok.error());
    }
    service_options options = given;
    options.devices = absolute_paths(given.devices);
    // Where a daemon died with requests open, a CPU may wait for them to go offline.
    std::optional<offline_guard> guard;
    if (!running_arrays().empty()) {
        if (Status ok = guard.emplace().try_ring(); !ok)
            return print_error(ctx, ok.error());
    }
    const bool handed_over = words.by_unit && options.create && options.create->serve;
    if (handed_over) {
        options.create->serve = false;
        options.create->parity_later = !options.wait;
        options.kept_words = words.kept;
    }
    if (options.foreground)
        return serve_in_foreground(ctx, options, guard);
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) != 0)
        return print_error(ctx, Error{errno, "cannot make a pipe", ""});
    Fd read_end(pipe_fds[0]), write_end(pipe_fds[1]);
    pid_t child = ::fork();
    if (child < 0)
        return print_error(ctx, Error{errno, "cannot fork", ""});
    if (child == 0) {
        read_end.reset();
        serve_in_background(options, std::move(write_end));
    }
    write_end.reset();
    auto report = follow(read_end.get());
    if (!report)
        return print_error(ctx, report.error());
    if (!report->is_object() || !report->value("ok", false)) {
        ::waitpid(child, nullptr, 0);
        const Error refused = error_of(*report);
        const int code = print_error(ctx, refused);
        return refused.err == EBADE ? exit_fenced : code;
    }
    if (handed_over) {
        auto id = md::parse_uuid(report->value("uuid", ""));
        ::waitpid(child, nullptr, 0);  // it holds the members until then
        return id ? report_unit(ctx, *id, words, true) : print_error(ctx, id.error());
    }
    print_started(ctx, *report, given.create.has_value());
    return 0;
}

}  // namespace rr::cli
