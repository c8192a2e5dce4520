// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Taking over from a daemon that was killed: see the order in array_service.h,
// predecessor.h for what it left, heritage.h for what must agree, and engine/redo.h.
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "engine/redo.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/parity_log.h"
#include "service/report.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr auto fence_wait = std::chrono::seconds(60);
constexpr auto fence_poll = std::chrono::milliseconds(1);

// What a user can do when a takeover is out of the question.
std::string choices(const std::string& array, bool degraded) {
    return fmt::format(
        "nothing was changed. If these are the wrong disks, name "
        "the right ones. Else give up "
        "what the dead daemon was writing, its clients get "
        "errors: ringraid stop --force {}, or "
        "ringraid assemble --force-new; {}",
        array,
        degraded ? "the array is degraded, so what the missing "
                   "member holds may then read wrong"
                 : "parity is then recomputed");
}

}  // namespace

Status array_service::meet_predecessor() {
    auto left =
        left_ ? Result<predecessor>(std::move(*left_)) : predecessor::find(*places_, set_uuid_);
    left_.reset();
    if (!left)
        return forward_error(left.error());
    if (!left->exists()) {
        if (places_->has_older_arena())
            log_info(
                "what a daemon left here before the machine was started is of no use: the "
                "array is as its superblocks say");
        // Whatever lies there is a store without an arena, or files that say nothing.
        places_->remove_pins();
        places_->remove_run_files();
        return {};
    }
    if (options_.force_new)
        return end_for_a_new_start(*left);
    if (!left->flaw() && left->flaw().error().err == EPROTO)
        return with_hint(fail(EPROTO, "another version of ringraid served the array: {}",
                              left->flaw().error().what),
                         "nothing was changed: assemble with that version, stop, and start with "
                         "this one; ringraid stop --force --give-up gives up what it was writing");
    if (!left->flaw())
        return refuse_heritage(left->flaw().error(), false);
    if (left->has_arena() && !left->is_waited_for() && left->served_nothing())
        return left->give_up();
    if (left->has_arena())
        return take_over(*left);
    if (left->is_waited_for())
        return refuse_heritage(
            Error{ESTALE, "clients wait for a dead daemon, and its arena is lost", ""}, false);
    return left->give_up();
}

Status array_service::refuse_heritage(const Error& error, bool degraded) const {
    return with_hint(
        fail(ESTALE, "a daemon of this array died, and cannot be succeeded: {}", error.what),
        choices(name_.empty() ? md::to_string(set_uuid_) : short_name(name_), degraded));
}

// --force-new: rows are written again where that is possible, for without them
// a degraded array could not start; nothing is given up for a start that would
// be refused.
Status array_service::end_for_a_new_start(predecessor& left) {
    last_orders how;
    how.devices = options_.devices;
    how.only_named = options_.only_named;
    how.degraded = options_.assembly.degraded;
    how.give_up = options_.assembly.force;
    how.give_up_word = "--force";
    how.may_give_up = [this] {
        auto cold = open_patiently();
        return cold ? Status{} : Status(forward_error(cold.error()));
    };
    auto ended = end_left(left, how);
    if (!ended)
        return forward_error(ended.error());
    log_info("what a dead daemon left: {}", *ended);
    return {};
}

Status array_service::take_over(predecessor& left) {
    be_called(life_name(*left.life()));
    // Where they were a moment ago, else wherever they are.
    auto members = open_left_members(left, {options_.devices, options_.only_named || handed_over_},
                                     options_.assembly);
    if (!members && handed_over_)
        members = open_left_members(left, {options_.devices, false}, options_.assembly);
    if (!members)
        return forward_error(members.error());
    if (Status same = check_heritage(*left.array(), *left.life(), *members); !same)
        return refuse_heritage(same.error(), (left.array()->state & RR_STATE_MISSING) != 0);
    // The devices are ours alone: the dead daemon's commands are over.
    drop_caches_of(*members);
    if (!left.is_waited_for()) {
        if (left.served_nothing())
            return left.give_up();
        log_info(
            "nobody waits for the daemon that died: its service is brought to "
            "its end");
        return left.settle(*members);
    }
    if (left.engine() != host_ && options_.host)
        return with_hint(
            fail(EINVAL, "the dead daemon ran the {} engine", engine_name(left.engine())),
            fmt::format("assemble with --engine {}", engine_name(left.engine())));
    host_ = left.engine();
    members_ = std::move(*members);
    if (Status ok = reserve_left(); !ok)
        return ok;
    // From here on an error leaves everything for the next successor.
    recovering_ = true;
    if (Status ok = open_namespaces(); !ok)
        return ok;
    own_device(std::move(*left.device()));
    log_info("taking over {} from a daemon that {}", block_path_,
             handed_over_ ? "hands it over" : "died");
    enter(life_state::taking_over, "waiting for the dead daemon's I/O");
    if (Status ok = fence_device(); !ok)
        return ok;
    arena_.emplace(left.take_arena());
    const failures_so_far before(*array());
    reconcile_members();
    find_bitmap(members_);
    settle_on_logs(members_);
    find_wanted_log();
    Status served = open_durability();
    if (served) {
        make_bitmap();
        const failures_so_far tried(*array());
        if (bitmap_)
            bitmap_->adopt();
        else
            give_up_regions(*array());
        served = tried.bearable(*array());
    }
    if (served)
        served = serve_what_was_left();
    if (!served)
        before.restore(*array(), metadata_ ? &*metadata_ : nullptr);
    return served;
}

Status array_service::serve_what_was_left() {
    parity_right_ = true;
    return do_steps({{"trying the members", &array_service::try_all_members},
                     {"writing superblocks", &array_service::open_metadata},
                     {"writing superblocks", &array_service::mark_dirty},
                     {"writing rows again", &array_service::redo_rows},
                     {"emptying the logs", &array_service::empty_logs_now},
                     {"opening the store", &array_service::open_store},
                     {"loading the program", &array_service::make_queues}});
}

// Returns when the I/O of the dead daemon's rings is over: until then the
// kernel answers EBUSY.
Status array_service::fence_device() {
    auto end = std::chrono::steady_clock::now() + fence_wait;
    for (;;) {
        Status begun = device_->begin_recovery();
        if (begun || begun.error().err != EBUSY || std::chrono::steady_clock::now() > end)
            return begun;
        std::this_thread::sleep_for(fence_poll);
    }
}

// The arena knows of failures that no superblock tells yet; the devices know
// of members that went away since.
void array_service::reconcile_members() {
    rr_array* a = array();
    take_as_left(members_, *a, *life_record());
    if (members_.replacement)
        take_up_replacement();
    for (uint32_t role = 0; role < members_.devices.size(); role++) {
        if (!members_.devices[role] && rr_state_is_out(a->state, role) == 0)
            rr_host_fail(a, role, -ENODEV);
        else if (members_.devices[role])
            remember_place(*life_record(), role, *members_.devices[role]);
    }
    sign(*life_record());
    life_record()->passthrough = options_.passthrough ? 1 : 0;
}

// In the superblocks; not in the arena where parity came first, or the flag was to follow.
void array_service::take_up_replacement() {
    const replacement_device& copy = *members_.replacement;
    const uint32_t index = members_.replacement_index();
    remember_member(*life_record(), index, copy.device, copy.found.device_uuid);
    if ((array()->state & RR_STATE_REPLACE) != 0)
        return;
    array()->replaced = copy.role;
    array()->members[index].data_offset = copy.found.data_offset;
    array()->members[index].error = 0;
}

Status array_service::try_all_members() {
    return try_members(*array(), members_);
}

// The rows are kept where they cannot be written: without them blocks would be wrong
// that nobody was writing.
Status array_service::redo_rows() {
    const failures_so_far before(*array());
    auto redone = redo_on(arena_->span(), members_);
    if (!redone)
        return forward_error(redone.error());
    if (Status ok = before.bearable(*array()); !ok)
        return ok;
    durability_->settle();
    if (Status ok = before.bearable(*array()); !ok)
        return ok;
    restart_arena(arena_->span());
    return {};
}

}  // namespace rr
