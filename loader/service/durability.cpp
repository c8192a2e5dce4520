// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/durability.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/event.h"
#include "base/log.h"
#include "engine/queue.h"
#include "engine/words.h"
#include "service/closing.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr std::chrono::milliseconds look_at_jobs(100);
constexpr std::chrono::seconds look_at_fence_every(1);
constexpr int pause_ms = 50;

}  // namespace

Status durability::open() {
    event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    stop_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event_ || !stop_event_)
        return fail(errno, "cannot make an eventfd");
    if (int r = io_uring_queue_init(64, &ring_, 0); r < 0)
        return fail(-r, "cannot make the message ring");
    ring_ready_ = true;
    if (int r = io_uring_register_eventfd(&ring_, event_.get()); r < 0)
        return fail(-r, "cannot register the message ring's eventfd");
    return {};
}

void durability::start(orders how) {
    how_ = std::move(how);
    rest_.emplace(array_, array_rest::needs{how_.clean_after, [this] { wake_queues(); }, how_.flush,
                                            [this] { record_failures(); }});
    how_.jobs.wake = [this] { wake_queues(); };
    how_.jobs.look = [this] { look(); };
    jobs_.emplace(array_, how_.jobs);
    if (array_->judged != 0) {
        how_.judge.is_ours = [this] { return may_write(); };
        how_.judge.wake = [this] { wake_queues(); };
        how_.judge.pause = [this] { return pause(); };
        judge_.emplace(array_, how_.judge);
    }
    thread_ = std::thread([this] { main(); });
}

void durability::look() {
    tell_event(event_.get());
}

void durability::stop() {
    if (thread_.joinable()) {
        tell_event(stop_event_.get());
        thread_.join();
    }
    if (ring_ready_)
        io_uring_queue_exit(&ring_);
    ring_ready_ = false;
}

void durability::main() {
    pthread_setname_np(pthread_self(), "rr-metadata");
    for (;;) {
        pollfd watch[] = {{event_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
        if (::poll(watch, 2, static_cast<int>(wait().count())) < 0 && errno != EINTR)
            log_error("poll failed: {}", std::strerror(errno));
        drain_messages();
        look_at_fence();
        if (judge_)
            judge_->look(member_judge::clock::now());
        record_failures();
        run_asked();
        const bool ends = watch[1].revents != 0;
        // Nothing may be written where another host has them, and nothing can be before they
        // are back.
        if (fenced_ || (judge_ && judge_->waits())) {
            if (ends)
                return;
            continue;
        }
        if (how_.bitmap != nullptr)
            how_.bitmap->look(*metadata_, array_bitmap::clock::now());
        jobs_->look(*metadata_, array_jobs::clock::now());
        record_failures();
        rest_->look(*metadata_, array_rest::clock::now());
        if (ends)
            return;
    }
}

std::chrono::milliseconds durability::wait() const {
    std::chrono::milliseconds usual = rest_->wait();
    if (how_.bitmap != nullptr)
        usual = std::min(usual, how_.bitmap->wait());
    if (judge_)
        usual = std::min(usual, judge_->wait());
    return jobs_->runs() ? std::min(usual, look_at_jobs) : usual;
}

// News may come meanwhile.
bool durability::pause() {
    pollfd watch[] = {{event_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
    (void)::poll(watch, 2, pause_ms);
    drain_messages();
    return watch[1].revents == 0;
}

Status durability::insist(uint32_t index, const std::function<Status()>& write) {
    return judge_ && ring_ready_ ? judge_->insist(index, write) : write();
}

void durability::run(const std::function<void()>& f) {
    std::unique_lock hold(asked_lock_);
    asked_ = &f;
    look();
    asked_done_.wait(hold, [this] { return asked_ == nullptr; });
}

void durability::run_asked() {
    std::lock_guard hold(asked_lock_);
    if (asked_ == nullptr)
        return;
    (*asked_)();
    asked_ = nullptr;
    asked_done_.notify_all();
}

void durability::use_bitmap(array_bitmap* bitmap) {
    how_.bitmap = bitmap;
    jobs_->use_bitmap(bitmap);
}

void durability::close_jobs() {
    if (jobs_)
        jobs_->close(*metadata_);
}

void durability::drain_messages() {
    uint64_t count;
    while (::read(event_.get(), &count, sizeof(count)) > 0) {
    }
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0)
        io_uring_cqe_seen(&ring_, cqe);
}

// What holds clients back is for the control plane to grant, and it grants no more: all of it
// is let go, to get its error.
bool durability::may_write() {
    if (fenced_ || !how_.is_ours)
        return !fenced_;
    asked_whose_ = std::chrono::steady_clock::now();
    if (how_.is_ours())
        return true;
    fenced_ = true;
    __atomic_or_fetch(&array_->state, RR_STATE_BROKEN, __ATOMIC_SEQ_CST);
    __atomic_store_n(&array_->rest, 0, __ATOMIC_SEQ_CST);
    wake_queues();
    return false;
}

void durability::look_at_fence() {
    if (fenced_)
        wake_queues();
    else if (std::chrono::steady_clock::now() - asked_whose_ >= look_at_fence_every)
        (void)may_write();
}

void durability::settle() {
    record_failures();
}

void durability::record_failures() {
    if (fenced_)
        return;
    end_lost_replacement();
    for (;;) {
        uint64_t state = load(array_->state);
        auto epoch = static_cast<uint32_t>(state >> RR_STATE_EPOCH_SHIFT);
        if (epoch == __atomic_load_n(&array_->durable_epoch, __ATOMIC_SEQ_CST) || !may_write())
            return;
        // Two at once: nothing was acknowledged that one of them missed, so all of them may
        // come back.
        const bool broken = (state & RR_STATE_BROKEN) != 0;
        for (uint32_t role = 0; role < array_->geometry.members; role++) {
            // The others still count on it; and it is not on its way back.
            if (broken || rr_state_is_out(state, role) == 0 || !metadata_->member(role))
                continue;
            auto report = metadata_->mark_failed(role);
            // After it: nobody may read the log, and then this waits.
            log_error("member {} failed: {}; the array is degraded", role,
                      std::strerror(array_->members[role].error));
            if (!report) {
                log_error("{}", describe(report.error()));
                rr_host_fail(array_, (role + 1) % array_->geometry.members, -EIO);
                continue;
            }
            for (const md::member_write_error& lost : report->failed) {
                log_error("member {} cannot be written: {}; the array is broken", lost.role,
                          describe(lost.error));
                rr_host_fail(array_, lost.role, -lost.error.err);
            }
        }
        end_lost_replacement();
        __atomic_store_n(&array_->durable_epoch, epoch, __ATOMIC_SEQ_CST);
        wake_queues();
        if (how_.recorded)
            how_.recorded();
    }
}

// Before the epoch: what it missed is acknowledged then. Also of one that waits for its
// time, whose loss moves none.
void durability::end_lost_replacement() {
    if (metadata_ == nullptr || !lost_replacement(*array_, *metadata_) || !may_write())
        return;
    const uint32_t index = array_->geometry.members;
    const int error = array_->members[index].error;
    // One that was told to is of use as a spare.
    auto written = metadata_->end_replacement(error != ECANCELED);
    log_error("the replacement of member {} is given up: {}", load(array_->replaced),
              std::strerror(error));
    if (!written)
        log_error("{}", describe(written.error()));
    else
        lose_unwritten(*array_, *written);
    if (how_.recorded)
        how_.recorded();
}

void durability::wake_queues() {
    // Whom no message reaches, its own tick makes look.
    if (ring_ready_)
        (void)wake_rings(ring_, how_.queue_rings);
}

}  // namespace rr
