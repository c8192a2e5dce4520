// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/queue.h"

#include <linux/ublk_cmd.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/event.h"
#include "base/log.h"
#include "base/quiet_thread.h"
#include "engine/layout.h"

extern "C" {
#include "engine/host.h"
#include "ring/user_host.h"
}

namespace rr {
namespace {

static_assert(std::bit_cast<uint64_t>(std::array{'r', 'r', '-', 'q', 'u', 'e', 'u', 'e'}) ==
                  RR_QUEUE_THREAD_WORD,
              "the punt counter knows queue threads by this word");
static_assert(std::string_view(RR_QUEUE_THREAD) == "rr-queue");

size_t page_up(size_t bytes) {
    return (bytes + 4095) & ~size_t{4095};
}

// The registered files of a ring: ublk's char device, then members by role. With
// passthrough a killed daemon's commands are in flight until its ring is gone:
// as long nobody else may open the block devices.
std::vector<int> ring_files(const queue_config& config) {
    std::vector<int> files(RR_RING_FILES, -1);
    files[RR_RING_FILE_CLIENT] = config.ublk_char_fd;
    const bool nvme = !config.namespaces.empty();
    for (size_t role = 0; role < config.member_fds.size(); role++)
        files[(nvme ? RR_RING_FILE_HELD0 : RR_RING_FILE_MEMBER0) + role] = config.member_fds[role];
    for (size_t role = 0; role < config.namespaces.size(); role++)
        files[RR_RING_FILE_MEMBER0 + role] =
            config.namespaces[role] != nullptr ? config.namespaces[role]->fd.get() : -1;
    return files;
}

}  // namespace

unsigned wake_rings(io_uring& ring, const std::vector<int>& ring_fds) {
    unsigned sent = 0;
    for (int fd : ring_fds) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring);
        if (sqe == nullptr)
            break;
        io_uring_prep_msg_ring(sqe, fd, 0, RR_TOKEN_MESSAGE, 0);
        sent++;
    }
    io_uring_submit(&ring);
    return sent;
}

queue_thread::queue_thread(queue_config config) : config_(std::move(config)) {
    thread_ = quiet_thread([this] { main(); });
}

queue_thread::~queue_thread() {
    cancel();
    join();
}

Status queue_thread::wait_ready() {
    std::unique_lock hold(lock_);
    changed_.wait(hold, [this] { return ready_.has_value(); });
    return *ready_;
}

void queue_thread::go(const std::vector<int>& ring_fds) {
    std::lock_guard hold(lock_);
    for (size_t i = 0; i < ring_fds.size() && i < RR_QUEUES_MAX; i++)
        page_->ring_fd[i] = ring_fds[i];
    order_ = order::go;
    changed_.notify_all();
}

void queue_thread::cancel() {
    std::lock_guard hold(lock_);
    if (order_ == order::wait)
        order_ = order::cancel;
    changed_.notify_all();
}

int queue_thread::join() {
    if (thread_.joinable())
        thread_.join();
    return result_;
}

void queue_thread::main() {
    pthread_setname_np(pthread_self(), fmt::format(RR_QUEUE_THREAD "-{}", config_.queue).c_str());
    Status status = set_up();
    order given;
    {
        std::unique_lock hold(lock_);
        tid_ = ::gettid();
        for (;;) {
            ready_ = status;
            changed_.notify_all();
            changed_.wait(hold, [this] { return order_ != order::wait; });
            given = order_;
            if (given != order::meet)
                break;
            order_ = order::wait;
            status = meet_device();
        }
    }
    if (status && given == order::go)
        result_ = serve();
    // A queue that ended early leaves clients waiting for it, and nobody would
    // see: the process ends instead, and ublk waits for a successor.
    if (result_ != 0) {
        log_error("queue {} ended: {}; the daemon ends, ringraid assemble takes over",
                  config_.queue, std::strerror(-result_));
        ::_exit(1);
    }
    if (given == order::go) {
        ended_ = true;
        tell_event(config_.ended_fd);
    }
    tear_down();
}

// Where the requests come from: their lines are in its caches. Of the CPUs that the daemon
// was given: isolated ones, and those outside of CPUAffinity=, are not its own.
void queue_thread::stay_on_cpus() const {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (!config_.cpus || ::sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        return;
    CPU_AND(&cpus, &cpus, &*config_.cpus);
    if (CPU_COUNT(&cpus) != 0 && ::sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
        log_error("queue {} runs on any CPU: {}", config_.queue, std::strerror(errno));
}

Status queue_thread::make_ring() {
    const bool large = !config_.namespaces.empty();
    io_uring_params params{};
    params.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_NO_SQARRAY | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                   (large ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0U);
    params.cq_entries = RR_RING_CQ_ENTRIES;
    if (int r = io_uring_queue_init_params(RR_RING_SQ_ENTRIES, &ring_, &params); r < 0)
        return with_hint(fail(-r, "cannot make the io_uring of queue {}", config_.queue),
                         "check /proc/sys/kernel/io_uring_disabled and the locked memory limit");
    ring_ready_ = true;
    const rr_u32 cqe_shift = large ? RR_RING_CQE_LARGE_SHIFT : RR_RING_CQE_SHIFT;
    at_ = {.sq_head = params.sq_off.head,
           .sq_tail = params.sq_off.tail,
           .cq_head = params.cq_off.head,
           .cq_tail = params.cq_off.tail,
           .cqes = params.cq_off.cqes,
           .bytes = static_cast<rr_u32>(
               page_up(params.cq_off.cqes + (size_t{RR_RING_CQ_ENTRIES} << cqe_shift))),
           .sqe_shift = large ? rr_u32{RR_RING_SQE_LARGE_SHIFT} : rr_u32{RR_RING_SQE_SHIFT},
           .cqe_shift = cqe_shift};
    return {};
}

Status queue_thread::set_up() {
    if (Status ok = make_ring(); !ok)
        return ok;
    if (Status ok = make_page(); !ok)
        return ok;
    if (Status ok = register_memory(); !ok)
        return ok;
    if (Status ok = config_.host == engine_host::bpf ? make_worker() : Status{}; !ok)
        return ok;
    return config_.ublk_char_fd < 0 ? Status{} : meet_device();
}

Status queue_thread::meet(queue_device device) {
    std::unique_lock hold(lock_);
    config_.ublk_char_fd = device.ublk_char_fd;
    config_.control_ring_fd = device.control_ring_fd;
    config_.flusher_ring_fd = device.flusher_ring_fd;
    config_.log_ring_fd = device.log_ring_fd;
    config_.member_fds = std::move(device.member_fds);
    config_.namespaces = std::move(device.namespaces);
    config_.lba_bytes = device.lba_bytes;
    config_.cpus = device.cpus;
    ready_.reset();
    order_ = order::meet;
    changed_.notify_all();
    changed_.wait(hold, [this] { return ready_.has_value(); });
    return *ready_;
}

Status queue_thread::meet_device() {
    stay_on_cpus();
    if (Status ok = map_descriptors(); !ok)
        return ok;
    return register_files();
}

Status queue_thread::make_page() {
    void* page = ::mmap(nullptr, RR_RING_REGION_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (page == MAP_FAILED)
        return fail(errno, "no memory for queue {}", config_.queue);
    page_ = static_cast<rr_ring*>(page);
    page_->queue = config_.queue;
    page_->zero_copy = config_.zero_copy;
    return {};
}

Status queue_thread::map_descriptors() {
    descriptor_bytes_ = page_up(config_.array->depth * sizeof(ublksrv_io_desc));
    off_t offset =
        UBLKSRV_CMD_BUF_OFFSET +
        static_cast<off_t>(config_.queue * page_up(UBLK_MAX_QUEUE_DEPTH * sizeof(ublksrv_io_desc)));
    void* table = ::mmap(nullptr, descriptor_bytes_, PROT_READ, MAP_SHARED | MAP_POPULATE,
                         config_.ublk_char_fd, offset);
    if (table == MAP_FAILED)
        return fail(errno, "cannot map the request table of queue {}", config_.queue);
    descriptors_ = table;
    page_->descriptors = reinterpret_cast<uint64_t>(table);
    page_->control_fd = config_.control_ring_fd;
    page_->flusher_fd = config_.flusher_ring_fd;
    page_->log_fd = config_.log_ring_fd;
    page_->lba_shift = static_cast<rr_u32>(std::countr_zero(config_.lba_bytes));
    for (size_t role = 0; role < config_.namespaces.size(); role++)
        page_->nsid[role] =
            config_.namespaces[role] != nullptr ? config_.namespaces[role]->nsid : 0;
    return {};
}

Status queue_thread::register_memory() {
    io_uring_region_desc region{};
    region.user_addr = reinterpret_cast<uint64_t>(page_);
    region.size = RR_RING_REGION_BYTES;
    region.flags = IORING_MEM_REGION_TYPE_USER;
    io_uring_mem_region_reg memory{};
    memory.region_uptr = reinterpret_cast<uint64_t>(&region);
    if (config_.host == engine_host::bpf) {
        if (int r = io_uring_register_region(&ring_, &memory); r < 0)
            return fail(-r, "cannot register the memory region of queue {}", config_.queue);
    }
    return register_buffers();
}

Status queue_thread::register_files() {
    std::vector<int> files = ring_files(config_);
    if (int r = io_uring_register_files(&ring_, files.data(), RR_RING_FILES); r < 0)
        return fail(-r, "cannot register the files of queue {}", config_.queue);
    return {};
}

Status queue_thread::register_buffers() {
    const rr_array* a = config_.array;
    const uint64_t first = rr_host_buffer(config_.array, config_.queue, 0, 0);
    const iovec slots = {reinterpret_cast<void*>(a->user_base + first), queue_buffer_bytes(*a)};
    if (int r = io_uring_register_buffers_sparse(&ring_, a->depth + 1); r < 0)
        return fail(-r, "cannot register the buffers of queue {}", config_.queue);
    const __u64 tag = 0;
    if (int r = io_uring_register_buffers_update_tag(&ring_, a->depth, &slots, &tag, 1); r != 1)
        return with_hint(
            fail(r < 0 ? -r : ENOMEM, "cannot pin the arena for queue {}", config_.queue),
            "use a smaller --arena, or fewer queues or slots");
    return {};
}

// A worker of io-wq is a clone of the thread that submits. One cloned out of the
// BPF program would inherit that its migration is disabled, for life, and the
// kernel warns when the scheduler moves it (WARNING at set_task_cpu, seen in
// 7.3). So the one worker is made here, by an FSYNC of what has none (its answer says
// nothing), and there are never more: the last idle worker stays. Flushes go elsewhere
// (flusher.h) and nothing else needs one: it is there for what io_uring hands to a worker
// against all expectation.
Status queue_thread::make_worker() {
    std::array<unsigned, 2> most = {1, 1};
    if (int r = io_uring_register_iowq_max_workers(&ring_, most.data()); r < 0)
        return fail(-r, "cannot limit the workers of queue {}", config_.queue);
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_fsync(sqe, config_.ended_fd, IORING_FSYNC_DATASYNC);
    io_uring_cqe* cqe = nullptr;
    int r = io_uring_submit_and_wait(&ring_, 1);
    if (r >= 0)
        r = io_uring_wait_cqe(&ring_, &cqe);
    if (r < 0)
        return fail(-r, "cannot make the worker of queue {}", config_.queue);
    io_uring_cqe_seen(&ring_, cqe);
    return {};
}

int queue_thread::serve() {
    for (;;) {
        if (int r = run_loop(); r != 0)
            return r;
        if (rr_host_queue(config_.array, config_.queue)->stop_reason != RR_STOP_PARKED)
            return 0;
        if (!stay_parked())
            return 0;
    }
}

int queue_thread::run_loop() {
    if (config_.host == engine_host::user) {
        rr_user_host host{};
        host.array = config_.array;
        host.ring = page_;
        host.cq = static_cast<rr_u8*>(ring_.cq.ring_ptr);
        host.sq = reinterpret_cast<rr_u8*>(ring_.sq.sqes);
        host.at = at_;
        host.ring_fd = ring_.ring_fd;
        return rr_user_host_run(&host);
    }
    int r;
    // The loop runs inside this one call; EINTR would need a fatal signal.
    do
        r = io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
    while (r == -EINTR);
    return r;
}

// False: it leaves.
bool queue_thread::stay_parked() {
    std::unique_lock hold(lock_);
    parked_ = true;
    changed_.notify_all();
    for (;;) {
        changed_.wait(hold, [this] {
            return member_to_set_ || leaves_ ||
                   __atomic_load_n(&config_.array->park, __ATOMIC_SEQ_CST) == 0;
        });
        if (!member_to_set_)
            break;
        member_set_ = register_member(*member_to_set_);
        member_to_set_.reset();
        changed_.notify_all();
    }
    parked_ = false;
    return !leaves_;
}

Status queue_thread::set_member(uint32_t role, int member_fd, const nvme_namespace* ns) {
    std::unique_lock hold(lock_);
    if (!parked_)
        return fail(EBUSY, "queue {} is not parked", config_.queue);
    config_.member_fds[role] = member_fd;
    if (!config_.namespaces.empty())
        config_.namespaces[role] = ns;
    member_to_set_ = role;
    changed_.notify_all();
    changed_.wait(hold, [this] { return !member_to_set_; });
    return member_set_;
}

// The ring takes registrations from its own thread only.
Status queue_thread::register_member(uint32_t role) {
    const std::vector<int> files = ring_files(config_);
    std::vector<unsigned> places = {RR_RING_FILE_MEMBER0 + role};
    if (!config_.namespaces.empty()) {
        places.push_back(RR_RING_FILE_HELD0 + role);
        page_->nsid[role] =
            config_.namespaces[role] != nullptr ? config_.namespaces[role]->nsid : 0;
    }
    for (const unsigned at : places) {
        if (int r = io_uring_register_files_update(&ring_, at, &files[at], 1); r != 1)
            return fail(r < 0 ? -r : EIO, "queue {} cannot register a member", config_.queue);
    }
    return {};
}

bool queue_thread::wait_parked(std::chrono::steady_clock::time_point until) {
    std::unique_lock hold(lock_);
    return changed_.wait_until(hold, until, [this] { return parked_; });
}

void queue_thread::leave() {
    std::lock_guard hold(lock_);
    leaves_ = true;
    changed_.notify_all();
}

void queue_thread::unpark() {
    std::lock_guard hold(lock_);
    changed_.notify_all();
}

void queue_thread::tear_down() {
    // ublk's DEL waits for the mapping, the ring and its registered files.
    if (descriptors_ != nullptr)
        ::munmap(descriptors_, descriptor_bytes_);
    // The kernel ends a ring when it has time; the members are wanted now.
    if (ring_ready_) {
        (void)io_uring_unregister_files(&ring_);
        io_uring_queue_exit(&ring_);
    }
    if (page_ != nullptr)
        ::munmap(page_, RR_RING_REGION_BYTES);
    descriptors_ = nullptr;
    page_ = nullptr;
    ring_ready_ = false;
}

}  // namespace rr
