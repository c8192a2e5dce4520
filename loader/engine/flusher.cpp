// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/flusher.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "base/quiet_thread.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

static_assert(std::bit_cast<uint64_t>(std::array{'r', 'r', '-', 'f', 'l', 'u', 's', 'h'}) ==
                  RR_FLUSH_THREAD_WORD,
              "the punt counter knows the thread by this word");
static_assert(std::string_view(RR_FLUSH_THREAD) == "rr-flush");

// Of its own completions; RR_TOKEN_FLUSH and RR_TOKEN_ZERO are the messages of the queues.
enum own_kind : uint32_t {
    flush_ended = 0x40,
    answer_lost,
    zeroed,
    zero_flushed,
    zero_answer_lost,
    stop_wanted
};

constexpr unsigned sq_entries = 512;
// More asks at once, of queues with very many slots, wait in the kernel.
constexpr unsigned cq_entries = 8192;

// Both leave zeros and the size as they are. The first is refused where that costs writes.
constexpr int with_leave = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr int without_leave = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

uint64_t token_of_kind(uint64_t token, uint32_t kind) {
    return (token & ~uint64_t{0xff}) | kind;
}

// Of a token of RR_TOKEN_ZERO.
uint32_t queue_of(uint64_t token) {
    return rr_token_index(token) >> RR_SLOT_BITS & (RR_QUEUES_MAX - 1);
}
uint32_t slot_of(uint64_t token) {
    return rr_token_index(token) & (RR_SLOTS_MAX - 1);
}

constexpr __kernel_timespec lost_answer_wait{.tv_sec = 0, .tv_nsec = 10'000'000};

bool message_lost(int error) {
    return error == -ENOMEM || error == -EAGAIN || error == -EOVERFLOW;
}

}  // namespace

flusher::flusher(rr_array* array)
    : array_(array),
      desk_(array),
      zero_results_(size_t{array->queues} * array->slots * RR_MEMBERS_MAX) {}

flusher::~flusher() {
    stop();
}

Status flusher::open(const std::vector<int>& member_fds) {
    for (size_t role = 0; role < fds_.size(); role++)
        fds_[role] = role < member_fds.size() ? member_fds[role] : -1;
    stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!stop_event_)
        return fail(errno, "cannot make an eventfd");
    io_uring_params params{};
    params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    params.cq_entries = cq_entries;
    if (int r = io_uring_queue_init_params(sq_entries, &ring_, &params); r < 0)
        return fail(-r, "cannot make the io_uring for flushes");
    ring_ready_ = true;
    // A flush of each and a command for zeros: bound to a file system's, and not.
    std::array<unsigned, 2> most = {2 * RR_MEMBERS_MAX, 2 * RR_MEMBERS_MAX};
    if (int r = io_uring_register_iowq_max_workers(&ring_, most.data()); r < 0)
        return fail(-r, "cannot limit the workers for flushes");
    return {};
}

void flusher::go(const std::vector<int>& queue_rings) {
    queue_rings_ = queue_rings;
    thread_ = quiet_thread([this] { main(); });
}

void flusher::stop() {
    if (thread_.joinable()) {
        tell_event(stop_event_.get());
        thread_.join();
    }
    if (ring_ready_)
        io_uring_queue_exit(&ring_);
    ring_ready_ = false;
}

io_uring_sqe* flusher::next_sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    // Many cells may be answered at once.
    if (sqe == nullptr && io_uring_submit(&ring_) > 0)
        sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
        log_error("the ring for flushes is full; the daemon ends, ringraid assemble takes over");
        ::_exit(1);
    }
    return sqe;
}

int flusher::submit_and_wait() {
    if (lost_.empty())
        return io_uring_submit_and_wait(&ring_, 1);
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec wait = lost_answer_wait;
    return io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &wait, nullptr);
}

void flusher::watch_stop() {
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_read(sqe, stop_event_.get(), &stop_count_, sizeof(stop_count_), 0);
    sqe->user_data = rr_token(stop_wanted, 0, 0);
}

void flusher::main() {
    pthread_setname_np(pthread_self(), RR_FLUSH_THREAD);
    watch_stop();
    while (!stopped_) {
        const int r = submit_and_wait();
        // Queues would wait for it for ever, and nobody would see.
        if (r < 0 && r != -EINTR && r != -ETIME && r != -EAGAIN && r != -EBUSY) {
            log_error("flushes end: {}; the daemon ends, ringraid assemble takes over",
                      std::strerror(-r));
            ::_exit(1);
        }
        for (const uint64_t token : std::exchange(lost_, {})) {
            if (rr_token_kind(token) == answer_lost)
                answer(rr_token_index(token), rr_token_role(token));
            else
                answer_zero(token);
        }
        io_uring_cqe* cqe = nullptr;
        while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
            take(cqe->user_data, cqe->res);
            io_uring_cqe_seen(&ring_, cqe);
        }
        send_flushes();
        send_zeroes();
    }
}

void flusher::take(uint64_t token, int result) {
    const uint32_t role = rr_token_role(token);
    const uint32_t queue = rr_token_index(token) & (RR_QUEUES_MAX - 1);
    switch (rr_token_kind(token)) {
        case RR_TOKEN_FLUSH:
            desk_.ask(queue, role);
            break;
        case flush_ended:
            for (uint32_t served = desk_.end(role); served != 0; served &= served - 1) {
                const auto to = static_cast<uint32_t>(std::countr_zero(served));
                answers_[to][role] = result;
                answer(to, role);
            }
            break;
        case RR_TOKEN_ZERO:
            take_zero(token, static_cast<uint32_t>(result));
            break;
        case zeroed:
            zero_ended(role, result);
            break;
        case zero_flushed:
            answer_zeroes(role, result);
            break;
        case answer_lost:
        case zero_answer_lost:
            if (message_lost(result))
                lost_.push_back(token);
            break;
        case stop_wanted:
            stopped_ = true;
            break;
        default:
            break;
    }
}

void flusher::send_flushes() {
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        if (!desk_.start(role))
            continue;
        io_uring_sqe* sqe = next_sqe();
        io_uring_prep_fsync(sqe, fds_[role], IORING_FSYNC_DATASYNC);
        sqe->user_data = rr_token(flush_ended, role, 0);
    }
}

void flusher::answer(uint32_t queue, uint32_t role) {
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_msg_ring(sqe, queue_rings_[queue], static_cast<unsigned>(answers_[queue][role]),
                           rr_token(RR_TOKEN_FLUSH, role, 0), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = rr_token(answer_lost, role, queue);
}

int& flusher::zero_result(uint64_t token) {
    const size_t slot = size_t{queue_of(token)} * array_->slots + slot_of(token);
    return zero_results_[slot * RR_MEMBERS_MAX + rr_token_role(token)];
}

// A slot whose rows become zeros asks for the part of a member.
void flusher::take_zero(uint64_t token, uint32_t flags) {
    const uint32_t role = rr_token_role(token);
    const rr_slot* slot = rr_host_slot(array_, queue_of(token), slot_of(token));
    zero_desk::range what;
    what.position =
        ((array_->members[role].data_offset + rr_token_sector(token)) << RR_SECTOR_SHIFT) +
        (slot->cell << array_->cell_shift);
    what.bytes = uint64_t{rr_token_sectors(token)} << RR_SECTOR_SHIFT;
    what.durable = (flags & RR_ZERO_DURABLE) != 0;
    what.mapped = (flags & RR_ZERO_MAPPED) != 0;
    zero_desk_.ask(role, token, what);
}

void flusher::send_zeroes() {
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        const auto next = zero_desk_.start(role);
        if (!next)
            continue;
        zeroing_[role].what = *next;
        send_zero(role, next->mapped ? without_leave : with_leave);
    }
}

void flusher::send_zero(uint32_t role, int mode) {
    zero_command& c = zeroing_[role];
    c.mode = mode;
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_fallocate(sqe, fds_[role], mode, c.what.position, c.what.bytes);
    sqe->user_data = rr_token(zeroed, role, 0);
}

void flusher::zero_ended(uint32_t role, int result) {
    const zero_command& c = zeroing_[role];
    if (result == -EOPNOTSUPP && c.mode == with_leave) {
        send_zero(role, without_leave);
        return;
    }
    if (result != 0 || !c.what.durable) {
        answer_zeroes(role, result);
        return;
    }
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_fsync(sqe, fds_[role], IORING_FSYNC_DATASYNC);
    sqe->user_data = rr_token(zero_flushed, role, 0);
}

void flusher::answer_zeroes(uint32_t role, int result) {
    for (const uint64_t token : zero_desk_.end(role)) {
        zero_result(token) =
            result != 0 ? result : static_cast<int>(rr_token_sectors(token) << RR_SECTOR_SHIFT);
        answer_zero(token);
    }
}

void flusher::answer_zero(uint64_t token) {
    // The queue knows its slots without its own number.
    const uint64_t io =
        token_of_kind(token, RR_TOKEN_SLOT) & ~(uint64_t{RR_QUEUES_MAX - 1} << (16 + RR_SLOT_BITS));
    io_uring_sqe* sqe = next_sqe();
    io_uring_prep_msg_ring(sqe, queue_rings_[queue_of(token)],
                           static_cast<unsigned>(zero_result(token)), io, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token_of_kind(token, zero_answer_lost);
}

}  // namespace rr
