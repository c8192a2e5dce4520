// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/judge.h"

#include <bit>
#include <cerrno>
#include <cstring>

#include "base/log.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 200ms;
// Members come back one after the other: connections are made anew every few seconds.
constexpr auto grace = 5s;

template <typename T>
T load(const T& word) {
    return __atomic_load_n(&word, __ATOMIC_SEQ_CST);
}

}  // namespace

bool member_judge::is_in_use(uint64_t state, uint32_t index) const {
    return index < array_->geometry.members ? rr_state_is_out(state, index) == 0
                                            : (state & RR_STATE_REPLACE) != 0;
}

// The suspects first.
uint32_t member_judge::find_away(uint64_t state, uint32_t suspects) const {
    uint32_t away = 0;
    for (const bool first : {true, false}) {
        for (uint32_t i = 0; i <= array_->geometry.members && i < RR_MEMBERS_MAX; i++) {
            if (((suspects >> i & 1) != 0) == first && is_in_use(state, i) && !how_.answers(i))
                away |= 1U << i;
        }
    }
    return away;
}

// Not where another error came since @seen: it is looked again.
void member_judge::release(uint64_t seen, bool well) {
    const auto who = static_cast<uint32_t>(seen);
    __atomic_store_n(&array_->well, well ? 1U : 0U, __ATOMIC_SEQ_CST);
    const uint64_t clear = seen & ~uint64_t{who};
    if (__atomic_compare_exchange_n(&array_->suspects, &seen, clear, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        how_.wake();
}

// Its error tells that it was away, whatever an I/O on it was told.
void member_judge::lose(uint32_t who) {
    for (uint32_t i = 0; i < RR_MEMBERS_MAX; i++) {
        if ((who >> i & 1) != 0)
            rr_host_fail(array_, i, -ENOLINK);
    }
}

void member_judge::go_on(uint64_t seen) {
    // One that is back may have forgotten whose it is.
    if (!how_.is_ours())
        return;
    const bool waited = waits_;
    if (waited)
        end_wait("the members are back: the array goes on");
    release(seen, !waited);
}

bool member_judge::is_patient(clock::time_point now) const {
    return now - since_ < how_.patience && !hurry_;
}

void member_judge::begin_wait(clock::time_point now) {
    if (waits_)
        return;
    waits_ = true;
    since_ = now;
    log_error("waiting for members: {} do not answer ({}); clients wait up to {} s",
              std::popcount(away_.load()), std::strerror(-load(array_->suspect_error)),
              how_.patience / 1s);
    how_.tell("WaitingForMembers");
}

void member_judge::end_wait(const char* how) {
    waits_ = false;
    log_info("{}", how);
    how_.tell("MembersBack");
}

void member_judge::look(clock::time_point now) {
    const uint64_t seen = load(array_->suspects);
    const auto suspects = static_cast<uint32_t>(seen);
    if (suspects == 0 && !waits_)
        return;
    if (now < next_look_ || !how_.is_ours())
        return;
    const uint64_t state = load(array_->state);
    if ((state & RR_STATE_BROKEN) != 0) {
        waits_ = false;
        return release(seen, false);
    }
    const uint32_t away = find_away(state, suspects);
    const uint32_t all = (1U << array_->geometry.members) - 1;
    // What is rebuilt and what replaces can be done without, whatever else is away.
    const uint32_t needed = away & all & ~static_cast<uint32_t>(state & RR_STATE_MISSING);
    const int spare = (state & RR_STATE_MISSING) == 0 ? 1 : 0;
    away_ = away;
    now = how_.now();
    if (away == 0)
        return go_on(seen);
    if (std::popcount(needed) > spare) {
        enough_since_ = {};
        begin_wait(now);
        if (is_patient(now)) {
            next_look_ = now + look_again;
            return;
        }
        log_error("the members did not come back in {} s: they have failed", (now - since_) / 1s);
        waits_ = false;
    } else if (waits_) {
        if (enough_since_ == clock::time_point{})
            enough_since_ = now;
        if (now - enough_since_ < grace && is_patient(now)) {
            next_look_ = now + look_again;
            return;
        }
        end_wait("enough members are back: the array goes on without the others");
    }
    if (!how_.is_ours())
        return;
    // An outage may begin or end between the first who is asked and the last.
    if (find_away(state, suspects) != away) {
        next_look_ = now + look_again;
        return;
    }
    lose(away);
    release(seen, false);
}

std::chrono::milliseconds member_judge::wait() const {
    return waits_ || static_cast<uint32_t>(load(array_->suspects)) != 0
               ? std::chrono::milliseconds(look_again)
               : std::chrono::milliseconds(1000);
}

// As the engine does it: the error is believed where all were well after it and after the
// one before.
Status member_judge::insist(uint32_t index, const std::function<Status()>& write) {
    const uint64_t bit = uint64_t{1} << (index & (RR_MEMBERS_MAX - 1));
    bool before = false;
    for (;;) {
        Status done = write();
        const int err = done ? 0 : done.error().err;
        if (done || load(array_->judged) == 0 || err == ENODATA || err == EILSEQ)
            return done;
        __atomic_store_n(&array_->suspect_error, -err, __ATOMIC_SEQ_CST);
        suspect(bit);
        while ((load(array_->suspects) & bit) != 0) {
            look(how_.now());
            if (!how_.is_ours())
                return done;
            if ((load(array_->suspects) & bit) != 0 && !how_.pause())
                return done;
        }
        const uint64_t state = load(array_->state);
        const bool well = load(array_->well) != 0;
        if ((state & RR_STATE_BROKEN) != 0 || !is_in_use(state, index) || (well && before))
            return done;
        before = well;
    }
}

void member_judge::suspect(uint64_t bit) {
    uint64_t seen = load(array_->suspects);
    while (!__atomic_compare_exchange_n(&array_->suspects, &seen, (seen | bit) + RR_SUSPECT_COUNT,
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
}

}  // namespace rr
