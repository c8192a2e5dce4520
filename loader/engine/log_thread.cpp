// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/log_thread.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "base/quiet_thread.h"
#include "engine/words.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

// Of its own completions; RR_TOKEN_MESSAGE are the queues'.
enum own_kind : uint32_t { unit_ended = 0x40, message_ended, control_told, stop_wanted };

// A unit of each member, a message to each queue and the control plane, and the stop, twice:
// what a turn sends has a place beside what the one before has sent.
constexpr unsigned sq_entries = 128;
static_assert(2 * (unsigned{RR_MEMBERS_MAX} + RR_QUEUES_MAX + 2) <= sq_entries);

constexpr __kernel_timespec look_again{.tv_sec = 0, .tv_nsec = 10'000'000};

}  // namespace

log_thread::log_thread(rr_array* array, const md::uuid& set_uuid)
    : array_(array),
      writer_(array, set_uuid, {},
              {.write = [this](uint32_t role, uint64_t sector,
                               std::span<const uint8_t> bytes) { write(role, sector, bytes); },
               .wake =
                   [this](uint32_t queue) {
                       send(queue_rings_[queue], RR_TOKEN_MESSAGE, rr_token(message_ended, 0, 0));
                   },
               .fail =
                   [this](uint32_t role, int error) {
                       rr_host_fail(array_, role, -error);
                       control_waits_ = true;
                   }}) {}

log_thread::~log_thread() {
    stop();
}

Status log_thread::open(const places& where) {
    for (uint32_t role = 0; role < places_.size(); role++)
        set_place(role, where[role]);
    stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!stop_event_)
        return fail(errno, "cannot make an eventfd");
    if (int r = io_uring_queue_init(sq_entries, &ring_, IORING_SETUP_SUBMIT_ALL); r < 0)
        return fail(-r, "cannot make the io_uring for logs");
    ring_ready_ = true;
    // For what io_uring hands to a worker: one each, bound to a file system's, and not.
    std::array<unsigned, 2> most = {RR_MEMBERS_MAX, RR_MEMBERS_MAX};
    if (int r = io_uring_register_iowq_max_workers(&ring_, most.data()); r < 0)
        return fail(-r, "cannot limit the workers for logs");
    return {};
}

void log_thread::go(const std::vector<int>& queue_rings, int control_ring) {
    queue_rings_ = queue_rings;
    control_ring_ = control_ring;
    thread_ = quiet_thread([this] { main(); });
}

void log_thread::set_place(uint32_t role, const place& where) {
    const std::lock_guard hold(writer_lock_);
    places_[role] = where;
    writer_.restart(role, where.fd < 0 ? 0 : where.sectors);
}

void log_thread::stop() {
    if (thread_.joinable()) {
        tell_event(stop_event_.get());
        thread_.join();
    }
    if (ring_ready_)
        io_uring_queue_exit(&ring_);
    ring_ready_ = false;
}

io_uring_sqe* log_thread::next_sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
        log_error("the ring for logs is full; the daemon ends, ringraid assemble takes over");
        ::_exit(1);
    }
    return sqe;
}

void log_thread::write(uint32_t role, uint64_t sector, std::span<const uint8_t> bytes) {
    units_[role] = {bytes, sector};
    write_again(role);
}

// The unit in flight: all of it is written over itself.
void log_thread::write_again(uint32_t role) {
    const place& where = places_[role];
    const unit& u = units_[role];
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_write(sqe, where.fd, u.bytes.data(), static_cast<unsigned>(u.bytes.size()),
                        (where.sector + u.sector) * 512);
    if ((array_->log_fua >> role & 1) != 0)
        sqe->rw_flags = RWF_DSYNC;
    sqe->user_data = rr_token(unit_ended, role, 0);
}

void log_thread::unit_over(uint32_t role, int result) {
    unit& u = units_[role];
    if (result == static_cast<int>(u.bytes.size()))
        return writer_.written(role, 0);
    if (rr_host_transient(result) != 0 && u.retries++ < RR_RETRIES_MAX) {
        again_ |= 1U << role;
        again_at_ = std::chrono::steady_clock::now() + std::chrono::nanoseconds(look_again.tv_nsec);
        return;
    }
    u.error = result < 0 ? -result : EIO;
    if (rr_host_suspect(array_, role, -u.error) == 0)
        return writer_.written(role, u.error);
    suspects_ |= 1U << role;
    control_waits_ = true;
}

// In a broken array, as one is that another host has taken, nobody is looked at any more, and
// clients wait for their errors.
void log_thread::look_at_suspects() {
    const bool is_looked_at = (load(array_->state) & RR_STATE_BROKEN) == 0;
    const uint32_t waiting = is_looked_at ? static_cast<uint32_t>(load(array_->suspects)) : 0;
    for (uint32_t roles = suspects_ & ~waiting; roles != 0; roles &= roles - 1)
        judged(static_cast<uint32_t>(std::countr_zero(roles)));
}

// It was looked: the unit is written again, or its error is the member's own. Where the array
// is broken the members may be another host's, and nothing is written.
void log_thread::judged(uint32_t role) {
    unit& u = units_[role];
    suspects_ &= ~(1U << role);
    const uint64_t state = load(array_->state);
    bool is_patient = u.retries < RR_RETRIES_MAX;
    if (load(array_->well) != 0) {
        u.retries = rr_host_retries_looked(u.retries);
        is_patient = u.retries != 0;
    }
    if ((state & RR_STATE_BROKEN) != 0 || rr_state_is_out(state, role) != 0 || !is_patient)
        writer_.written(role, u.error);
    else
        write_again(role);
}

void log_thread::send(int ring, uint64_t message, uint64_t token) {
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_msg_ring(sqe, ring, 0, message, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token;
}

void log_thread::tell_control() {
    if (std::exchange(control_waits_, false))
        send(control_ring_, RR_TOKEN_MESSAGE, rr_token(control_told, 0, 0));
}

bool log_thread::waits() const {
    return control_waits_ || again_ != 0 || suspects_ != 0 || writer_.waits();
}

int log_thread::submit(bool sleep) {
    if (!sleep)
        return io_uring_submit(&ring_);
    if (!waits())
        return io_uring_submit_and_wait(&ring_, 1);
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec wait = look_again;
    return io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &wait, nullptr);
}

// True: it may sleep.
bool log_thread::turn() {
    const std::lock_guard hold(writer_lock_);
    if (again_ != 0 && std::chrono::steady_clock::now() >= again_at_) {
        for (uint32_t roles = std::exchange(again_, 0); roles != 0; roles &= roles - 1)
            write_again(static_cast<uint32_t>(std::countr_zero(roles)));
    }
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
        take(cqe->user_data, cqe->res);
        io_uring_cqe_seen(&ring_, cqe);
    }
    look_at_suspects();
    writer_.look();
    tell_control();
    return writer_.may_sleep();
}

void log_thread::main() {
    pthread_setname_np(pthread_self(), "rr-log");
    io_uring_sqe* stop_read = next_sqe();
    io_uring_prep_read(stop_read, stop_event_.get(), &stop_count_, sizeof(stop_count_), 0);
    stop_read->user_data = rr_token(stop_wanted, 0, 0);
    for (;;) {
        const bool may_sleep = turn();
        if (stopped_)
            break;
        const int r = submit(may_sleep);
        // Queues would wait for it for ever, and nobody would see.
        if (r < 0 && r != -EINTR && r != -ETIME && r != -EAGAIN && r != -EBUSY) {
            log_error("logs end: {}; the daemon ends, ringraid assemble takes over",
                      std::strerror(-r));
            ::_exit(1);
        }
    }
}

void log_thread::take(uint64_t token, int result) {
    const uint32_t role = rr_token_role(token);
    switch (rr_token_kind(token)) {
        case unit_ended:
            unit_over(role, result);
            break;
        case control_told:
            // Lost: it looks by itself, later.
            control_waits_ = result == -ENOMEM || result == -EAGAIN || result == -EOVERFLOW;
            break;
        case stop_wanted:
            stopped_ = true;
            break;
        default:
            break;
    }
}

}  // namespace rr
