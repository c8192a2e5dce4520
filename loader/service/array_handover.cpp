// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// `ringraid handover`: both daemons' part in what handover.h tells of.
//
// The old one goes on as ever, in run(), until the next one says that it is ready; then
// hand_over() is done in one go. Clients wait from the first line that parks until the
// next daemon's END_USER_RECOVERY.
//
// The next one does before what a takeover (recovery.cpp) does that takes long and needs
// nothing of the old one's: prepare_succession(). The takeover itself is the ordinary one,
// with all its checks: what was looked at may have changed meanwhile.
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/process.h"
#include "members/member.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/queue_park.h"
#include "service/report.h"
#include "service/socket.h"

namespace rr {
namespace {

// Between "released" and "served": superblocks are written, rings are joined. A bound for
// who asked; the next daemon goes on whatever its answer would be.
constexpr int served_ms = 120 * 1000;
constexpr int told_ms = 2000;

void answer(Fd& client, const nlohmann::json& what) {
    if (client)
        (void)write_line(client.get(), to_line(what));
}

Error this_one_goes_on(Error why) {
    why.hint = why.hint.empty() ? "this daemon goes on" : "this daemon goes on; " + why.hint;
    return why;
}

}  // namespace

// How it is served now, for who serves it next.
nlohmann::json array_service::handover_setting() const {
    nlohmann::json spares = nlohmann::json::array();
    for (const spare_device& spare : members_.spares)
        spares.push_back(spare.device.path);
    return {{"uuid", md::to_string(set_uuid_)},
            {"spares", spares},
            {"passthrough", options_.passthrough},
            {"affinity", options_.affinity},
            {"reserve", static_cast<unsigned>(options_.reserve)},
            {"no_path_timeout_ms", options_.no_path_timeout
                                       ? nlohmann::json(options_.no_path_timeout->count())
                                       : nlohmann::json()},
            {"re_add", readd_.load()},
            {"foreground", options_.foreground},
            {"stop_when_unused", options_.stop_when_unused},
            {"clean_after_ms", options_.clean_after.count()},
            {"sync_min_kib", durability_->jobs()->rates().min_kib},
            {"sync_max_kib", durability_->jobs()->rates().max_kib}};
}

Status array_service::may_hand_over() const {
    if (fenced_)
        return fenced_error();
    if (stop_is_wanted_)
        return fail(EBUSY, "the array is to stop as soon as nobody uses it");
    if (health_of(array()) == array_health::failed)
        return with_hint(fail(EIO, "two members failed"), "stop the array");
    if (other_program_)
        return with_hint(fail(EBUSY, "a program is on probation"),
                         "ringraid upgrade --commit, or --rollback");
    return {};
}

void array_service::begin_handover(const nlohmann::json& request, Fd& client) {
    const auto program = request.find("program");
    Status begun = heir_ ? with_hint(fail(EBUSY, "the array is being handed over already"),
                                     "ringraid status shows who serves it")
                         : may_hand_over();
    if (begun && (program == request.end() || !program->is_string()))
        begun = fail(EINVAL, "which program shall serve it?");
    if (begun) {
        auto started =
            successor_process::start(program->get<std::string>(), options_.successor_environment);
        begun = started ? started->tell({{"take", handover_setting()}})
                        : Status(forward_error(started.error()));
        if (begun)
            heir_.emplace(heir{std::move(*started), std::move(client), monotonic_ns()});
    }
    if (!begun) {
        answer(client, error_json(begun.error()));
        return;
    }
    log_info("the array is to be handed over to {} (pid {})", program->get<std::string>(),
             heir_->process.pid());
    answer(heir_->client, {{"schema", json_schema}, {"progress", "starting the next daemon"}});
}

// This daemon goes on.
void array_service::drop_heir(const Error& why) {
    log_error("not handed over: {}", describe(why));
    answer(heir_->client, error_json(why));
    heir_.reset();
}

// The next daemon has something to say. What run() returns, when it has the array.
std::optional<Status> array_service::hear_heir() {
    do {
        if (auto over = hear_line_of_heir())
            return over;
    } while (heir_ && heir_->process.has_line());
    return std::nullopt;
}

std::optional<Status> array_service::hear_line_of_heir() {
    auto told = heir_->process.hear(told_ms);
    if (!told) {
        Error why = told.error();
        why.what = "the next daemon cannot serve: " + why.what;
        drop_heir(this_one_goes_on(why));
        return std::nullopt;
    }
    if (told->contains("progress")) {
        answer(heir_->client, {{"schema", json_schema}, {"progress", told->value("progress", "")}});
        return std::nullopt;
    }
    if (!told->contains("ready"))
        return std::nullopt;
    heir_->ready_ns = monotonic_ns();
    return hand_over();
}

std::optional<Status> array_service::hand_over() {
    // What was so when it was asked for.
    if (Status may = may_hand_over(); !may) {
        drop_heir(may.error());
        return std::nullopt;
    }
    enter(life_state::parked, "handing over");
    // With clients first: what is left to flush when they wait is little.
    flush_members(*array(), members_);
    const uint64_t since = monotonic_ns();
    queue_park park(array(), &queues_);
    Status parked = park.park();
    if (parked)
        flush_members(*array(), members_);
    heir_->parked_ns = monotonic_ns() - since;
    if (parked && heir_->process.is_gone())
        parked = fail(ECHILD, "the next daemon died");
    // The next one would not hear of it.
    if (parked && told_to_stop())
        parked = fail(ECANCELED, "told to stop");
    if (parked && options_.main_is)
        options_.main_is(heir_->process.pid());
    if (parked) {
        parked = heir_->process.tell({{"yours", {{"since_ns", since}}}});
        if (!parked && options_.main_is)
            options_.main_is(::getpid());
    }
    if (!parked) {
        park.resume();
        enter(life_state::serving, "");
        drop_heir(this_one_goes_on(parked.error()));
        return std::nullopt;
    }
    return release_to_heir();
}

// Nothing of it is ours any more, whatever becomes of the other one.
Status array_service::release_to_heir() {
    nlohmann::json report = {{"schema", json_schema},
                             {"ok", true},
                             {"from_pid", ::getpid()},
                             {"pid", heir_->process.pid()},
                             {"prepare_ns", heir_->ready_ns - heir_->begun_ns},
                             {"park_ns", heir_->parked_ns}};
    heir_->process.let_go();
    // Who asks now waits for the next daemon.
    socket_.reset();
    durability_->stop();
    for (auto& queue : queues_)
        queue->leave();
    end_queues();
    device_.reset();
    // They stay reserved: the next daemon replaces the key.
    drop_fence();
    let_members_go();
    events_.reset();
    notes_.reset();
    places_.reset();
    (void)heir_->process.tell({{"released", true}});
    auto served = heir_->process.hear(served_ms);
    while (served && served->contains("progress"))
        served = heir_->process.hear(served_ms);
    if (served) {
        report["pause_ns"] = served->value("pause_ns", uint64_t{0});
        log_info("handed over to pid {}; requests waited {} us", report.value("pid", 0),
                 report.value("pause_ns", uint64_t{0}) / 1000);
        answer(heir_->client, report);
        return {};
    }
    Error why = served.error();
    why = {EOWNERDEAD, "the next daemon had the array, and did not come to serve it: " + why.what,
           "clients wait: ringraid assemble takes over; a unit does so by itself"};
    log_error("{}", describe(why));
    answer(heir_->client, error_json(why));
    return forward_error(why);
}

// ---- the next daemon

Status array_service::prepare_succession() {
    places_.emplace(set_uuid_);
    know_others();
    auto left = predecessor::find(*places_, set_uuid_);
    if (!left)
        return forward_error(left.error());
    if (!left->flaw())
        return with_hint(fail(left->flaw().error().err, "the array of the daemon that serves: {}",
                              left->flaw().error().what),
                         left->flaw().error().err == EPROTO
                             ? "it is of another version: stop the array, and start it again"
                             : "");
    if (!left->has_arena() || !left->device() || !left->device()->is_live())
        return fail(ENODEV, "there is no array that is served");
    be_called(life_name(*left->life()));
    host_ = left->engine();
    if (host_ == engine_host::bpf) {
        if (const std::string missing = bpf_host_missing(); !missing.empty())
            return fail(ENOTSUP, "{}", missing);
    }
    auto paths = paths_of_living(*left);
    if (!paths)
        return forward_error(paths.error());
    options_.devices.insert(options_.devices.begin(), paths->begin(), paths->end());
    left_.emplace(std::move(*left));
    report("making rings");
    Status made = make_queues_ahead();
    if (!made || host_ != engine_host::bpf)
        return made;
    report("verifying the program");
    return load_ahead();
}

Status array_service::make_queues_ahead() {
    rr_array* a = left_->array();
    for (uint32_t i = 0; i < a->queues; i++) {
        queue_config config;
        config.queue = i;
        config.host = host_;
        config.array = a;
        config.ended_fd = wake_.get();
        config.zero_copy = a->zero_copy != 0;
        if (options_.passthrough)
            config.namespaces.resize(a->geometry.members);
        queues_.push_back(std::make_unique<queue_thread>(config));
    }
    for (auto& queue : queues_) {
        if (Status ok = queue->wait_ready(); !ok)
            return ok;
    }
    return {};
}

Status array_service::load_ahead() {
    auto kept = kept_state::look(places_->paths());
    if (!kept)
        return forward_error(kept.error());
    auto object = kept->active_program();
    if (!object)
        return forward_error(object.error());
    program_setting setting;
    setting.arena_fd = left_->arena_fd();
    setting.store_fd = kept->at().at().fd();
    for (auto& queue : queues_)
        setting.ring_fds.push_back(queue->ring_fd());
    setting.at = queues_[0]->offsets();
    auto loaded = bpf_program_set::load(*object, setting);
    if (!loaded)
        return forward_error(loaded.error());
    program_.emplace(std::move(*loaded));
    program_ahead_ = std::move(*object);
    log_info("verifier: {}", program_->verifier());
    return {};
}

// All is ready: the old daemon may go.
Status array_service::await_succession() {
    Status told = options_.old->tell({{"ready", true}});
    if (told)
        told = options_.old->await_turn();
    if (!told)
        return told;
    handed_over_ = true;
    options_.old->await_release();
    return {};
}

}  // namespace rr
