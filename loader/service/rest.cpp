// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/rest.h"

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "engine/queue.h"
#include "engine/words.h"
#include "service/closing.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr std::chrono::milliseconds look_usually(1000);
constexpr std::chrono::milliseconds look_when_asked(20);
// Longer than a queue takes that has nothing to do.
constexpr std::chrono::milliseconds patience(2000);

}  // namespace

array_rest::array_rest(rr_array* array, needs how)
    : array_(array), how_(std::move(how)), since_(clock::now()) {}

std::chrono::milliseconds array_rest::wait() const {
    if (asked_ != 0 && !is_clean())
        return look_when_asked;
    return how_.after.count() == 0 ? look_usually
                                   : std::clamp(how_.after / 4, look_when_asked, look_usually);
}

void array_rest::look(md::array_metadata& metadata, clock::time_point now) {
    if (is_clean()) {
        if (some_write_waits())
            get_up(metadata, now);
        return;
    }
    if (asked_ != 0) {
        if (some_write_waits() || !may_rest(metadata) || now - since_ > patience)
            be_awake(now);
        else if (all_agree())
            lie_down(metadata, now);
        return;
    }
    if (const uint64_t count = written(); count != written_) {
        written_ = count;
        since_ = now;
    } else if (how_.after.count() != 0 && now - since_ >= how_.after && may_rest(metadata)) {
        ask(now);
    }
}

void array_rest::ask(clock::time_point now) {
    asked_ = ++numbers_;
    since_ = now;
    __atomic_store_n(&array_->rest, asked_, __ATOMIC_SEQ_CST);
    how_.wake();
}

// Nothing is written from here on, so all of it is in the members' caches at most.
void array_rest::lie_down(md::array_metadata& metadata, clock::time_point now) {
    how_.flush();
    if (!may_rest(metadata))
        return be_awake(now);
    auto marked = metadata.mark_clean();
    if (!marked)
        log_error("{}", describe(marked.error()));
    // Nobody needs this: who cannot be made dirty again, either, is out then.
    if (!marked || !marked->complete())
        return get_up(metadata, now);
    clean_ = true;
    if (some_write_waits())
        get_up(metadata, now);
}

void array_rest::get_up(md::array_metadata& metadata, clock::time_point now) {
    auto marked = metadata.mark_dirty();
    if (!marked) {
        log_error("{}", describe(marked.error()));
        // No write may start on members that look clean.
        rr_host_fail(array_, 0, -EIO);
        rr_host_fail(array_, 1, -EIO);
    } else {
        lose_unwritten(*array_, *marked);
    }
    how_.record();
    clean_ = false;
    be_awake(now);
}

void array_rest::be_awake(clock::time_point now) {
    asked_ = 0;
    since_ = now;
    __atomic_store_n(&array_->rest, 0, __ATOMIC_SEQ_CST);
    how_.wake();
}

// A parked queue answers nothing, and a failure that is not in the superblocks yet
// comes first.
bool array_rest::may_rest(const md::array_metadata& metadata) const {
    const uint64_t state = load(array_->state);
    return !metadata.needs_resync() && (state & RR_STATE_BROKEN) == 0 && load(array_->park) == 0 &&
           state >> RR_STATE_EPOCH_SHIFT == load(array_->durable_epoch);
}

uint64_t array_rest::written() const {
    // Clients' only: what a rebuild writes says nothing of parity.
    uint64_t sum = 0;
    for (uint32_t q = 0; q < array_->queues; q++)
        sum += load(rr_host_queue(array_, q)->writes_came);
    return sum;
}

bool array_rest::some_write_waits() const {
    for (uint32_t q = 0; q < array_->queues; q++) {
        if (load(rr_host_queue(array_, q)->rest_wait.head) != RR_NIL)
            return true;
    }
    return false;
}

bool array_rest::all_agree() const {
    for (uint32_t q = 0; q < array_->queues; q++) {
        if (load(rr_host_queue(array_, q)->rested) != asked_)
            return false;
    }
    return true;
}

}  // namespace rr
