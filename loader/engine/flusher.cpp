// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/flusher.h"

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

namespace rr {
namespace {

static_assert(std::bit_cast<uint64_t>(std::array{'r', 'r', '-', 'f', 'l', 'u', 's', 'h'}) ==
                  RR_FLUSH_THREAD_WORD,
              "the punt counter knows the thread by this word");
static_assert(std::string_view(RR_FLUSH_THREAD) == "rr-flush");

// Of its own completions; RR_TOKEN_FLUSH are the messages of the queues.
enum own_kind : uint32_t { flush_ended = 0x40, answer_lost, stop_wanted };

// An answer to each queue for each member, a flush of each and the stop, once.
constexpr unsigned sq_entries = 512;
static_assert((unsigned{RR_QUEUES_MAX} + 1) * RR_MEMBERS_MAX + 1 < sq_entries);

constexpr __kernel_timespec lost_answer_wait{.tv_sec = 0, .tv_nsec = 10'000'000};

bool message_lost(int error) {
    return error == -ENOMEM || error == -EAGAIN || error == -EOVERFLOW;
}

}  // namespace

flusher::flusher(rr_array* array) : desk_(array) {}

flusher::~flusher() {
    stop();
}

Status flusher::open(const std::vector<int>& member_fds) {
    for (size_t role = 0; role < fds_.size(); role++)
        fds_[role] = role < member_fds.size() ? member_fds[role] : -1;
    stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!stop_event_)
        return fail(errno, "cannot make an eventfd");
    if (int r = io_uring_queue_init(sq_entries, &ring_, IORING_SETUP_SUBMIT_ALL); r < 0)
        return fail(-r, "cannot make the io_uring for flushes");
    ring_ready_ = true;
    // One each: bound to a file system's, and not.
    std::array<unsigned, 2> most = {RR_MEMBERS_MAX, RR_MEMBERS_MAX};
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
        for (const uint64_t token : std::exchange(lost_, {}))
            answer(rr_token_index(token), rr_token_role(token));
        io_uring_cqe* cqe = nullptr;
        while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
            take(cqe->user_data, cqe->res);
            io_uring_cqe_seen(&ring_, cqe);
        }
        send_flushes();
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
        case answer_lost:
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

}  // namespace rr
