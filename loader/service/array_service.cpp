// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Serving and stopping. The start is in array_start.cpp, what others ask for in
// array_status.cpp and array_upgrade.cpp.
#include "service/array_service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "service/closing.h"
#include "service/name_link.h"
#include "service/parity_log.h"
#include "service/report.h"
#include "service/socket.h"

namespace rr {
namespace {

// How soon it is seen that the files in /run are gone.
constexpr int look_ms = 1000;

void reopen_log(const std::string& path) {
    const Fd log(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (log)
        ::dup2(log.get(), STDERR_FILENO);
}

}  // namespace

rr_array* array_service::array() const {
    return reinterpret_cast<rr_array*>(arena_->span().data());
}

Status array_service::run() {
    for (;;) {
        if (options_.each_turn)
            options_.each_turn(*this);
        // What came while it started waits already.
        if (auto ended = carry_out(taken_orders(), false))
            return *ended;
        // A descriptor below zero is passed over.
        pollfd watch[] = {{signals_.get(), POLLIN, 0},
                          {wake_.get(), POLLIN, 0},
                          {heir_ ? heir_->process.fd() : -1, POLLIN, 0}};
        if (::poll(watch, 3, look_ms) < 0 && errno != EINTR)
            return fail(errno, "poll failed");
        if (heir_ && watch[2].revents != 0) {
            if (auto handed_over = hear_heir())
                return *handed_over;
        }
        if (!places_->are_there())
            make_places_again();
        if (life_ == life_state::serving && std::chrono::steady_clock::now() > next_spare_try_) {
            ask_for_spare();
            if (release_waits_)
                ask_for("release");
        }
        if (life_ == life_state::serving)
            ask_for_return();
        look_for_wanted_log();
        if (host_ == engine_host::bpf && life_ == life_state::serving && !arena_->is_published())
            pin_arena_again();
        uint64_t count;
        (void)!::read(wake_.get(), &count, sizeof(count));
        if (fenced_ && life_ == life_state::serving)
            return end_fenced();
        const bool ended = std::ranges::any_of(queues_, [](const auto& q) { return q->ended(); });
        if (ended && life_ != life_state::device_gone) {
            lose_device();
            if (options_.foreground)
                return fail(ENODEV, "{} was deleted from outside", block_path_);
        }
        if (watch[0].revents != 0) {
            signalfd_siginfo ignored{};
            (void)!::read(signals_.get(), &ignored, sizeof(ignored));
            if (auto stopped = carry_out(taken_orders(), true))
                return *stopped;
            stop_is_wanted_ = options_.stop_when_unused;
        } else if (stop_is_wanted_) {
            if (auto stopped = carry_out(taken_orders(), true))
                return *stopped;
        }
    }
}

// Somebody has cleared /run: without these files every command would take the
// daemon for dead.
void array_service::make_places_again() {
    const array_paths& paths = places_->paths();
    Status made = places_->make_again();
    if (made && ::access(paths.socket.c_str(), F_OK) != 0) {
        socket_.reset();
        auto opened = open_socket();
        if (opened)
            socket_ = std::move(*opened);
        else
            made = forward_error(opened.error());
    }
    if (made)
        made = places_->write_state(state_file());
    if (made && !options_.foreground)
        reopen_log(paths.log);
    // Once, while it cannot be mended: it is tried again each second.
    if (made || !places_lost_)
        log_error("the files in {} were lost: {}{}", paths.directory,
                  made ? "they are there again" : describe(made.error()),
                  host_ == engine_host::user
                      ? "; the arena was one of them, so nobody can take over from this daemon"
                      : "");
    places_lost_ = !made;
}

// Somebody has cleared the BPF file system: nobody could take over from this daemon.
// A successor makes the store anew.
void array_service::pin_arena_again() {
    Status made = places_->make_pin_directory();
    if (made)
        made = arena_->publish_again();
    if (made || !pins_lost_)
        log_error("the pins in {} were lost: {}", places_->paths().pins,
                  made ? "the arena's is there again" : describe(made.error()));
    pins_lost_ = !made;
}

Result<std::unique_ptr<control_socket>> array_service::open_socket() {
    return control_socket::open(
        places_->paths().socket,
        [this](const std::string& line, Fd& client) { return handle(line, client); });
}

void array_service::take_order(const nlohmann::json& request, Fd& client) {
    std::lock_guard hold(order_lock_);
    orders_.push_back({request, std::move(client)});
    tell_event(wake_.get());
}

std::vector<array_service::order> array_service::taken_orders() {
    std::lock_guard hold(order_lock_);
    return std::exchange(orders_, {});
}

Result<nlohmann::json> array_service::change(const nlohmann::json& request) {
    const std::string command = request.value("command", "");
    static const std::set<std::string> of_devices = {"add",     "remove",     "spare",   "bitmap",
                                                     "replace", "replaced",   "release", "return",
                                                     "log",     "consistency"};
    if (!of_devices.contains(command))
        return upgrade(request);
    auto done = change_devices(command, request);
    // An error comes after what went well.
    publish_members();
    if (Status ok = places_->write_state(state_file()); !ok)
        log_error("{}", describe(ok.error()));
    return done;
}

Result<nlohmann::json> array_service::change_devices(const std::string& command,
                                                     const nlohmann::json& request) {
    if (command == "add")
        return add_devices(request);
    if (command == "remove")
        return remove_device(request);
    if (command == "bitmap" && members_.logged && text_in(request, "kind") == "none")
        return with_hint(fail(EINVAL, "the array has a log, and no bitmap"),
                         "ringraid set has consistency=");
    if (command == "bitmap")
        return change_bitmap(request);
    if (command == "consistency")
        return change_consistency(request);
    if (command == "replace")
        return replace_member(request);
    Status done = command == "replaced"  ? finish_replacement()
                  : command == "release" ? release_replacement()
                  : command == "return"  ? return_member()
                  : command == "log"     ? take_up_wanted_log()
                                         : use_spare();
    if (!done)
        return forward_error(done.error());
    return nlohmann::json{};
}

// From the thread that records failures: what it takes to seat one may wait for it.
void array_service::ask_for_spare() {
    {
        std::lock_guard hold(parts_lock_);
        // Where a survivor cannot be read the next spare would end like the last one.
        if (members_.spares.empty() || !empty_role() || durability_->jobs()->is_hopeless())
            return;
    }
    ask_for("spare");
}

void array_service::open_events() {
    events_.emplace(places_->paths().events, nlohmann::json{{"name", name_},
                                                            {"uuid", md::to_string(set_uuid_)},
                                                            {"block_device", block_path_}});
    news_.emplace(*array());
    notes_.emplace(places_->paths().check, set_uuid_);
}

// mdadm --monitor's words. Of a member in the metadata thread only, which is the one that
// changes devices.
void array_service::tell(const std::string& event, nlohmann::json more) {
    if (more.contains("role")) {
        const auto role = more["role"].get<uint32_t>();
        const bool replaces = more.value("job", "") == job_name(RR_JOB_REPLACE);
        const member_device* device =
            members_.device(replaces && members_.replacement ? members_.replacement_index() : role);
        if (device != nullptr)
            more["device"] = device->path;
        // The member that is replaced is one all the time.
        if (!replaces)
            news_->heard(event, role);
    }
    log_info("event: {} {}", event, to_line(more));
    if (events_)
        events_->add(event, more);
    publish_members();
}

void array_service::tell_failures() {
    for (const member_news::item& news : news_->look(*array())) {
        const int error = array()->members[news.role].error;
        tell(news.event,
             {{"role", news.role}, {"error", error != 0 ? std::strerror(error) : "failed"}});
    }
}

// What run() returns, once the array was stopped.
std::optional<Status> array_service::carry_out(std::vector<order> orders, bool signalled) {
    bool stop = signalled;
    bool force = false;
    for (order& o : orders) {
        if (o.request.value("command", "") == "stop") {
            stop = true;
            force = force || o.request.value("force", false);
            continue;
        }
        if (life_ != life_state::serving) {
            if (o.client)
                (void)write_line(o.client.get(),
                                 to_line(error_json({EBUSY, "nothing is served any more", ""})));
            o.client.reset();
            continue;
        }
        if (o.request.value("command", "") == "handover") {
            begin_handover(o.request, o.client);
            continue;
        }
        // The next one has looked already. What the array itself asks for has nobody waiting.
        if (heir_ && o.client) {
            (void)write_line(
                o.client.get(),
                to_line(error_json({EBUSY, "the array is being handed over", "try again"})));
            o.client.reset();
            continue;
        }
        enter(life_state::parked, "changing");
        auto done = change(o.request);
        enter(life_state::serving, "");
        if (!done)
            log_error("{}", describe(done.error()));
        if (o.client)
            (void)write_line(o.client.get(), to_line(done ? *done : error_json(done.error())));
        o.client.reset();
    }
    if (!stop)
        return std::nullopt;
    Status stopped = stop_device(force);
    const bool over = static_cast<bool>(stopped);
    if (over && heir_)
        drop_heir({ECANCELED, "the array was stopped", ""});
    if (over)
        stopped = finish();
    nlohmann::json answer = {{"schema", json_schema}, {"ok", true}};
    if (!stopped) {
        answer = error_json(stopped.error());
        if (!stop_is_wanted_)
            log_error("{}", describe(stopped.error()));
    }
    // Who asked while it stopped gets the same answer.
    if (over)
        std::ranges::move(taken_orders(), std::back_inserter(orders));
    const nlohmann::json too_late = error_json({EBUSY, "the array was stopped", ""});
    for (const order& o : orders) {
        const bool asked = o.request.value("command", "") == "stop";
        if (o.client)
            (void)write_line(o.client.get(), to_line(asked ? answer : too_late));
    }
    return over ? std::optional(stopped) : std::nullopt;
}

Status array_service::stop_device(bool force) {
    if (life_ == life_state::device_gone)
        return {};
    // Requests that wait for members are answered, with errors.
    if (force && durability_ && durability_->judge() != nullptr)
        durability_->judge()->hurry();
    Status stopped = device_->stop_apart(!force);
    if (!stopped && stopped.error().err == EBUSY)
        return with_hint(fail(EBUSY, "{} is in use", block_path_),
                         "unmount what is on it, or stop with --force");
    // Deleted from outside, a moment ago: there is nothing more to stop.
    if (!stopped && stopped.error().err == ENODEV)
        return {};
    if (stopped && device_->is_live())
        return fail(EIO, "{} did not stop", block_path_);
    return stopped;
}

// After ublk has taken back every request: nothing is in flight any more.
Status array_service::finish() {
    const bool lost = life_ == life_state::device_gone;
    enter(life_state::stopping, "flushing the members");
    Status clean = lost ? settled_ : settle_members();
    // Of a device that is lost the number may be another's by now.
    if (!lost)
        remove_name_link(name_, block_path_);
    Status removed = device_ ? device_->remove() : Status{};
    if (!removed && removed.error().err == ENODEV)
        removed = {};
    device_.reset();
    // Of a device that is lost they are gone, and what is there may be another daemon's.
    if (!lost || places_->are_there())
        remove_traces();
    // Whoever is told of the stop may open the members at once.
    let_members_go();
    socket_.reset();
    if (!lost)
        tell(event_of_the_end, nlohmann::json::object());
    events_.reset();
    notes_.reset();
    places_.reset();
    return clean ? removed : clean;
}

void array_service::end_queues() {
    for (auto& queue : queues_) {
        if (int r = queue->join(); r != 0)
            log_error("a queue ended with {}", std::strerror(-r));
    }
    // The durability thread looks at queues and program: it ends before them.
    durability_->stop();
    queues_.clear();
    flusher_.reset();
    log_.reset();
    queues_run_ = false;
    if (program_) {
        if (const std::string& report = program_->error_stream(); !report.empty())
            log_error("the BPF program reported: {}", report);
    }
    program_.reset();
    other_program_.reset();
    kept_.reset();
    char_device_.reset();
}

Status array_service::settle_members() {
    end_queues();
    // A member that another host has just taken fails here: asked before it is told.
    if (!fenced_) {
        flush_members(*array(), members_);
        durability_->settle();
    }
    if (fenced_) {
        life_record()->phase = RR_LIFE_CLOSED;
        return fenced_error();
    }
    answer_failed();
    durability_->close_jobs();
    durability_->settle();
    if (bitmap_)
        bitmap_->close(*metadata_);
    durability_->settle();
    Status clean = close_array(*array(), *metadata_, members_);
    if (!clean)
        log_error("{}", describe(clean.error()));
    else  // killed from here on, nobody needs the arena, whatever happens to the
          // members
        life_record()->phase = RR_LIFE_CLOSED;
    if (clean && members_.logged)
        leave_logs_empty(members_, static_cast<uint32_t>(array()->state & RR_STATE_MISSING));
    return clean;
}

void array_service::let_members_go() {
    give_up_reservations();
    durability_.reset();
    bitmap_.reset();
    metadata_.reset();
    if (!namespaces_.empty())
        drop_caches_of(members_);
    namespaces_.clear();
    for (auto& device : members_.devices)
        device.reset();
    members_.spares.clear();
}

// Somebody deleted the device under us: no client is left, every request was
// answered. The members are made clean at once; the daemon stays, to say so.
void array_service::lose_device() {
    log_error("{} was deleted from outside: nothing is served any more", block_path_);
    if (heir_)
        drop_heir({ENODEV, fmt::format("{} was deleted from outside", block_path_), ""});
    enter(life_state::stopping, "flushing the members");
    settled_ = settle_members();
    remove_name_link(name_, block_path_);
    // Stopped from outside it is there still, and dead.
    (void)device_->remove();
    device_.reset();
    remove_traces();
    let_members_go();
    tell(event_of_the_end, nlohmann::json::object());
    enter(life_state::device_gone, "");
    if (Status ok = places_->write_state(state_file()); !ok)
        log_error("{}", describe(ok.error()));
}

void array_service::remove_traces() {
    // Another array's, that somebody has put there, may be all that knows of its rows.
    const bool displaced = arena_ && arena_->is_displaced();
    const bool pinned = host_ == engine_host::bpf;
    if (displaced)
        log_error("the arena in {} is not ours, and stays",
                  pinned ? places_->paths().pins : places_->paths().directory);
    if (!displaced || !pinned)
        places_->remove_pins();
    if (!displaced || pinned)
        places_->remove_run_files();
}

// A start that failed has written nothing but "dirty": without this, an array
// that was clean would have to be resynced, or forced if it is degraded.
void array_service::take_back_dirty() {
    if (!metadata_ || !metadata_->has_written() || !parity_right_ || !arena_ ||
        members_.plan.forced)
        return;
    if (Status ok = close_array(*array(), *metadata_, members_); !ok)
        log_error("{}", describe(ok.error()));
}

// What is left when a start has failed; after a stop there is nothing.
array_service::~array_service() {
    socket_.reset();
    const bool ours = device_ && !recovering_;
    if (queues_run_ && ours)
        (void)device_->stop();
    for (auto& queue : queues_) {
        queue->cancel();
        queue->join();
    }
    if (durability_)
        durability_->stop();
    queues_.clear();
    flusher_.reset();
    log_.reset();
    program_.reset();
    other_program_.reset();
    char_device_.reset();
    if (!places_ || !places_->locked() || recovering_)
        return;
    if (ours)
        take_back_dirty();
    if (fence_)
        give_up_reservations();
    if (ours) {
        remove_name_link(name_, block_path_);
        (void)device_->remove();
        remove_traces();
    } else if (cold_ && life_ == life_state::starting) {
        places_->remove_run_files();
    }
}

}  // namespace rr
