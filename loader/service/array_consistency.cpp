// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the array does for the rows that a crash cuts off: a partial parity log, a bitmap or
// neither; and `ringraid set consistency=` while it serves (log_orders.h, array_bitmap.cpp).
//
// A log is worth nothing while parity is not right (parity_log.h), so an array that is to have
// one has a bitmap until then, and a file, /var/lib/ringraid/UUID.ppl, says what it is to have.
// The daemon that finds parity right takes the log up. Lost, the array keeps its bitmap.
//
// From the main thread; superblocks are written in the metadata's (durability.h).
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/io.h"
#include "base/log.h"
#include "base/private_directory.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/log_orders.h"
#include "service/parity_log.h"
#include "service/queue_park.h"
#include "service/report.h"

namespace rr {
namespace {

constexpr std::chrono::seconds log_retry{30};

Status make_note(const std::string& path) {
    if (Status ok = make_private_directory(std::filesystem::path(path).parent_path()); !ok)
        return ok;
    static constexpr std::array<uint8_t, 4> text = {'p', 'p', 'l', '\n'};
    return write_file(path, text);
}

}  // namespace

md::consistency array_service::policy() const {
    return members_.logged ? md::consistency::ppl
           : bitmap_       ? md::consistency::bitmap
                           : md::consistency::resync;
}

void array_service::want_log(bool wanted) {
    const std::string& path = places_->paths().wanted_log;
    log_wanted_ = wanted;
    if (!wanted && ::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
        log_error("{} stays: the array will have a log again", path);
    if (Status ok = wanted ? make_note(path) : Status{}; !ok)
        log_error("after the next start nobody takes a log up: {}", describe(ok.error()));
}

void array_service::find_wanted_log() {
    log_wanted_ = !members_.logged && ::access(places_->paths().wanted_log.c_str(), F_OK) == 0;
}

// Before service. Who takes no writes is out, as where its superblock cannot be written; but
// a new array needs all of its members.
Status array_service::empty_logs_now() {
    if (!members_.logged || logs_are_empty_)
        return {};
    const failures_so_far before(*array());
    const auto missing = static_cast<uint32_t>(array()->state & RR_STATE_MISSING);
    for (const md::member_write_error& one : empty_logs(members_, missing)) {
        if (options_.create)
            return with_hint(fail(one.error.err, "cannot empty the log of {}: {}",
                                  members_.devices[one.role]->path, one.error.what),
                             "look at the kernel log");
        lose_member(*array(), members_, one.role, one.error);
    }
    if (Status ok = before.bearable(*array()); !ok)
        return ok;
    durability_->settle();
    logs_are_empty_ = true;
    return before.bearable(*array());
}

// The start found parity that may be wrong: until it is right, a bitmap, with all of its bits.
Status array_service::keep_bitmap_meanwhile() {
    log_info("parity may be wrong: a bitmap takes the log's place until it is right");
    want_log(true);
    auto untold = metadata_->set_consistency(md::consistency::resync);
    if (!untold)
        return forward_error(untold.error());
    lose_unwritten(*array(), *untold);
    name_in_plan(md::consistency::resync);
    auto chunk = choose_chunk(0);
    if (!chunk) {
        log_info("{}", describe(chunk.error()));
        return {};
    }
    return put_bitmap(*chunk);
}

// The superblocks that places are taken from, and newcomers are made after.
void array_service::name_in_plan(md::consistency policy) {
    std::lock_guard hold(parts_lock_);
    for (auto& member : members_.plan.members) {
        if (member)
            (void)md::change_consistency(member->superblock, policy);
    }
    members_.logged = policy == md::consistency::ppl;
}

Status array_service::tell_consistency(md::consistency policy) {
    Status done;
    durability_->run([&] {
        auto written = metadata_->set_consistency(policy);
        done = written ? Status{} : forward_error(written.error());
        if (written)
            lose_unwritten(*array(), *written);
    });
    return done;
}

// All members are there; one that takes no writes is out.
Status array_service::empty_logs_while_serving() {
    for (const md::member_write_error& one : empty_logs(members_)) {
        lose_member(*array(), members_, one.role, one.error);
        durability_->look();
    }
    return whole_for_log();
}

// With none in flight that was not logged.
Status array_service::begin_logging() {
    queue_park all(array(), &queues_);
    Status done = all.park();
    for (uint32_t role = 0; done && role < members_.devices.size(); role++)
        log_->set_place(role, log_place(role));
    if (done)
        __atomic_store_n(&array()->log_roles, rr_u32{(1U << array()->geometry.members) - 1},
                         __ATOMIC_SEQ_CST);
    all.resume();
    return done;
}

// With no unit in flight: where the logs lay is somebody else's then.
Status array_service::end_logging() {
    queue_park all(array(), &queues_);
    Status done = all.park();
    for (uint32_t role = 0; done && role < members_.devices.size(); role++)
        log_->set_place(role, {});
    if (done)
        __atomic_store_n(&array()->log_roles, 0U, __ATOMIC_SEQ_CST);
    all.resume();
    return done;
}

Status array_service::whole_for_log() const {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if ((state & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0)
        return with_hint(fail(EBUSY, "a member is missing"), "add a device first: ringraid add");
    if ((state & RR_STATE_REPLACE) != 0 || members_.replacement)
        return with_hint(fail(EBUSY, "a member is being replaced"), "wait for it: ringraid wait");
    return {};
}

log_steps array_service::log_changes() {
    return {.untold = [this] { return tell_consistency(md::consistency::resync); },
            .empty = [this] { return empty_logs_while_serving(); },
            .begin = [this] { return begin_logging(); },
            .flush =
                [this] {
                    durability_->run([this] { flush_all(); });
                    return whole_for_log();
                },
            .tell = [this] { return tell_consistency(md::consistency::ppl); },
            .end = [this] { return end_logging(); }};
}

Status array_service::add_log() {
    if (Status ok = whole_for_log(); !ok)
        return ok;
    for (const auto& member : members_.plan.members) {
        md::md_superblock changed = member->superblock;
        if (Status ok = md::change_consistency(changed, md::consistency::ppl); !ok)
            return ok;
    }
    // What was given up, and could not be ended.
    if (Status ok = array()->log_roles != 0 ? end_logging() : Status{}; !ok)
        return ok;
    if (Status ok = bitmap_ ? drop_bitmap() : Status{}; !ok)
        return ok;
    name_in_plan(md::consistency::ppl);
    bool told = false;
    log_steps how = log_changes();
    how.untold = [] { return Status{}; };  // drop_bitmap() has
    how.tell = [&told, tell = std::move(how.tell)] {
        told = true;
        return tell();
    };
    Status taken = take_up_log(how);
    if (taken || told)
        return taken;
    name_in_plan(md::consistency::resync);
    return with_hint(fail(taken.error().err, "{}", taken.error().what),
                     taken.error().hint.empty()
                         ? "after a crash all parity is recomputed: try again"
                         : taken.error().hint + "; after a crash all parity is recomputed");
}

Status array_service::drop_log() {
    log_steps how = log_changes();
    how.end = [this, end = std::move(how.end)] {
        name_in_plan(md::consistency::resync);
        return end();
    };
    return give_up_log(how);
}

// A superblock that is made after another one's has a log where the array's members have.
Status array_service::name_log(md::md_superblock& own) const {
    return members_.logged ? md::change_consistency(own, md::consistency::ppl) : Status{};
}

// A device that is about to have @role: before any superblock says so. In the metadata's thread.
Status array_service::give_log(uint32_t role, const md::md_superblock& own) {
    auto area = md::locate_ppl(own);
    if (!area)
        return forward_error(area.error());
    const int fd = members_.devices[role]->fd.get();
    if (Status ok = md::write_empty_ppl(fd, set_uuid_, *area); !ok)
        return ok;
    log_->set_place(role, {fd, area->sector, area->sectors});
    return {};
}

// Asked for again and again while one is wanted.
void array_service::look_for_wanted_log() {
    const auto now = std::chrono::steady_clock::now();
    if (!log_wanted_ || life_ != life_state::serving || now < next_log_try_ || heir_)
        return;
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if ((state & RR_STATE_RESYNC) != 0 || !whole_for_log())
        return;
    next_log_try_ = now + log_retry;
    ask_for("log");
}

Status array_service::take_up_wanted_log() {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if (!log_wanted_ || members_.logged || (state & RR_STATE_RESYNC) != 0)
        return {};
    Status done = add_log();
    if (!done && done.error().err != ENOSPC)
        return done;
    if (done)
        log_info("parity is right: rows are logged from here on");
    want_log(false);
    return done;
}

Result<nlohmann::json> array_service::change_consistency(const nlohmann::json& request) {
    const auto wanted = md::parse_consistency(text_in(request, "policy"));
    if (!wanted)
        return with_hint(fail(EINVAL, "no such consistency"), "ppl, bitmap or resync");
    const nlohmann::json good = {{"schema", json_schema}, {"ok", true}};
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if (*wanted == md::consistency::ppl && (state & RR_STATE_RESYNC) != 0) {
        want_log(true);
        nlohmann::json later = good;
        later["later"] = true;
        return later;
    }
    if (*wanted == policy()) {
        if (log_wanted_)
            want_log(false);
        return good;
    }
    if (Status ok = *wanted == md::consistency::ppl ? add_log() : Status{}; !ok)
        return forward_error(ok.error());
    if (*wanted != md::consistency::ppl) {
        auto changed =
            change_bitmap({{"kind", *wanted == md::consistency::bitmap ? "internal" : "none"}});
        if (!changed)
            return changed;
    }
    want_log(false);
    return good;
}

}  // namespace rr
