// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/chain.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

// The library's own steps, placed here by steps_object.S; and for user space.
extern "C" {
extern const unsigned char rr_chain_steps_start[];
extern const unsigned char rr_chain_steps_end[];
extern const rr_chain_program library_chain;
}

namespace rr::chained {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t buffers_most = uint64_t{1} << 30;  // of one registered buffer

uint64_t up_to(uint64_t n, uint64_t unit) {
    return (n + unit - 1) / unit * unit;
}

Result<std::vector<uint8_t>> read_whole(const char* path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return fail(errno != 0 ? errno : ENOENT, "cannot open {}", path);
    return std::vector<uint8_t>(std::istreambuf_iterator<char>(in), {});
}

// The steps for the kernel: of the caller, else the library's.
Result<std::vector<uint8_t>> object_of(const rr_chain_options& o) {
    if (o.object != nullptr)
        return read_whole(o.object);
    const auto* from = static_cast<const uint8_t*>(o.object_memory);
    if (from != nullptr)
        return std::vector<uint8_t>(from, from + o.object_bytes);
    if (o.program == nullptr || o.program == &library_chain)
        return std::vector<uint8_t>(rr_chain_steps_start, rr_chain_steps_end);
    return fail(ENOENT, "there is no object for the kernel");
}

// The caller's own, or the library's where it brings none at all.
bool has_user_steps(const rr_chain_options& o) {
    return o.program != nullptr || (o.object == nullptr && o.object_memory == nullptr);
}

// What to do where the kernel pins no more for this user.
std::string raise_locked() {
    rlimit most{};
    if (::getrlimit(RLIMIT_MEMLOCK, &most) != 0 || most.rlim_cur == RLIM_INFINITY)
        return "take less depth, fan_out or block_bytes";
    return fmt::format(
        "raise RLIMIT_MEMLOCK, which is {} bytes, or take less depth, fan_out or block_bytes",
        most.rlim_cur);
}

// The ring's own memory counts, too, from Linux 6.14 on.
std::string hint_of_ring(int error) {
    if (error == ENOMEM)
        return raise_locked();
    return error == EPERM ? "kernel.io_uring_disabled must allow it"
                          : "io_uring of Linux 6.6 or later is needed";
}

}  // namespace

Result<std::unique_ptr<chain>> chain::open(const rr_chain_options& options) {
    auto complete = complete_options(options);
    if (!complete)
        return forward_error(complete.error());
    std::unique_ptr<chain> c(new chain);
    if (Status ok = c->make(*complete); !ok)
        return forward_error(ok.error());
    return c;
}

chain::~chain() {
    program_.reset();
    drop_ring();
}

void chain::drop_ring() {
    if (!ring_ready_)
        return;
    (void)io_uring_unregister_files(&ring_);
    io_uring_queue_exit(&ring_);
    ring_ready_ = false;
}

Status chain::make(const rr_chain_options& options) {
    thread_ = ::gettid();
    hops_max_ = options.hops_max;
    if (Status ok = open_files(options); !ok)
        return ok;
    Status ok;
    if ((options.flags & RR_CHAIN_USER) == 0) {
        ok = try_kernel(options);
        if (ok || (options.flags & RR_CHAIN_KERNEL) != 0)
            return ok;
        why_ = describe(ok.error());
        program_.reset();
        drop_ring();
        // Without steps for user space the reason is the answer.
        if (!has_user_steps(options))
            return ok;
    } else {
        why_ = "asked for";
        // Their numbers would mean the library's own.
        if (!has_user_steps(options))
            return with_hint(fail(EINVAL, "there are no steps for user space"),
                             "give .program, of the source that .object was compiled of");
    }
    return go_user(options);
}

Status chain::open_files(const rr_chain_options& options) {
    for (unsigned i = 0; i < options.files_count; i++) {
        auto f = open_one(options.files[i], (options.flags & RR_CHAIN_BUFFERED) != 0);
        if (!f)
            return forward_error(f.error());
        files_.push_back(std::move(*f));
    }
    return {};
}

Status chain::try_kernel(const rr_chain_options& options) {
    if (const std::string lacks = kernel_lacks(); !lacks.empty())
        return fail(EOPNOTSUPP, "{}", lacks);
    if (Status ok = make_memory(options, true); !ok)
        return ok;
    if (Status ok = make_ring(); !ok)
        return ok;
    if (Status ok = make_workers(); !ok)
        return ok;
    return make_program(options);
}

Status chain::go_user(const rr_chain_options& options) {
    if (Status ok = make_memory(options, false); !ok)
        return ok;
    if (Status ok = make_ring(); !ok)
        return ok;
    host_.shared = memory_.shared();
    host_.program = options.program != nullptr ? options.program : &library_chain;
    host_.cq = static_cast<rr_u8*>(ring_.cq.ring_ptr);
    host_.sq = reinterpret_cast<rr_u8*>(ring_.sq.sqes);
    host_.at = at_;
    host_.ring_fd = ring_.ring_fd;
    return {};
}

// Where everything is; each region begins at a page.
Status chain::make_memory(const rr_chain_options& o, bool map) {
    chain_shared s{};
    uint64_t at = up_to(sizeof(s), page);
    auto place = [&at](uint64_t bytes) {
        const uint64_t begin = at;
        at += up_to(bytes, page);
        return begin;
    };
    uint32_t align = 1;
    for (const open_file& f : files_)
        align = std::max(align, uint32_t{1} << f.facts.align_shift);
    s.abi_version = CHAIN_ABI_VERSION;
    s.depth = o.depth;
    s.fan_out = o.fan_out;
    s.files = static_cast<rr_u32>(files_.size());
    s.block_bytes = o.block_bytes;
    // A block may begin anywhere: it is read with what is around it.
    s.stride = static_cast<rr_u32>(up_to(up_to(o.block_bytes + align - 1, align), page));
    s.cache_stride = static_cast<rr_u32>(up_to(o.block_bytes, page));
    s.cache_blocks = o.cache_blocks;
    s.cache_mask = o.cache_blocks != 0 ? o.cache_blocks - 1 : 0;
    s.hops_per_turn = o.hops_per_turn;
    s.bytes_most = o.bytes_most;
    s.gather = o.gather;
    s.generation = 1;
    s.lookups_offset = place(uint64_t{o.depth} * sizeof(::chain));
    for (chain_fifo* f : {&s.fresh, &s.line, &s.ready, &s.done})
        f->offset = place(CHAIN_ITEMS_MAX * sizeof(rr_u16));
    s.cache_offset = place(uint64_t{o.cache_blocks} * sizeof(chain_cached));
    s.cached_offset = place(uint64_t{o.cache_blocks} * s.cache_stride);
    const uint64_t scratch_unit = up_to(o.scratch_bytes, 64), out_unit = up_to(o.out_bytes, 64);
    const uint64_t scratch = place(o.depth * scratch_unit);
    const uint64_t out = place(o.depth * out_unit);
    const uint64_t buffer_bytes = uint64_t{o.depth} * o.fan_out * s.stride;
    s.buffers_offset = place(buffer_bytes);
    s.bytes = at;
    if (buffer_bytes > buffers_most || at >= uint64_t{4} << 30)
        return with_hint(fail(E2BIG, "the buffers would be {} bytes", buffer_bytes),
                         "take less depth, fan_out or block_bytes: a GiB is the most");
    for (const open_file& f : files_)
        if (f.facts.nsid != 0 && f.facts.command_most < s.stride)
            return with_hint(fail(EMSGSIZE, "{} takes {} bytes a command, a block may need {}",
                                  f.path, f.facts.command_most, s.stride),
                             "take less block_bytes, or give the block device");
    auto m = map ? memory::of_map(at) : memory::of_process(at);
    if (!m)
        return forward_error(m.error());
    memory_ = std::move(*m);
    auto* base = reinterpret_cast<uint8_t*>(memory_.shared());
    s.base = reinterpret_cast<uint64_t>(base);
    for (size_t i = 0; i < files_.size(); i++)
        s.file[i] = files_[i].facts;
    std::memset(base, 0, at);  // every page is there before the loop looks at it
    std::memcpy(base, &s, sizeof(s));
    free_.clear();
    tags_.assign(o.depth, 0);
    for (unsigned n = o.depth; n-- > 0;) {
        ::chain* c = lookup(n);
        free_.push_back(n);
        c->parts = (1U << o.fan_out) - 1;
        c->scratch = s.base + scratch + n * scratch_unit;
        c->out = s.base + out + n * out_unit;
        c->scratch_bytes = o.scratch_bytes;
        c->out_bytes = o.out_bytes;
        c->block_bytes = o.block_bytes;
    }
    return {};
}

Status chain::make_ring() {
    const bool large = std::any_of(files_.begin(), files_.end(),
                                   [](const open_file& f) { return f.facts.nsid != 0; });
    io_uring_params params{};
    params.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_NO_SQARRAY | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                   (large ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0U);
    params.cq_entries = CHAIN_CQ_ENTRIES;
    if (const int r = io_uring_queue_init_params(CHAIN_SQ_ENTRIES, &ring_, &params); r < 0)
        return with_hint(fail(-r, "cannot make a ring"), hint_of_ring(-r));
    ring_ready_ = true;
    const rr_u32 cqe_shift = large ? rr_u32{RR_RING_CQE_LARGE_SHIFT} : rr_u32{RR_RING_CQE_SHIFT};
    at_ = {.sq_head = params.sq_off.head,
           .sq_tail = params.sq_off.tail,
           .cq_head = params.cq_off.head,
           .cq_tail = params.cq_off.tail,
           .cqes = params.cq_off.cqes,
           .bytes = static_cast<rr_u32>(
               up_to(params.cq_off.cqes + (uint64_t{CHAIN_CQ_ENTRIES} << cqe_shift), page)),
           .sqe_shift = large ? rr_u32{RR_RING_SQE_LARGE_SHIFT} : rr_u32{RR_RING_SQE_SHIFT},
           .cqe_shift = cqe_shift};
    std::vector<int> fds;
    for (const open_file& f : files_)
        fds.push_back(f.fd.get());
    if (const int r =
            io_uring_register_files(&ring_, fds.data(), static_cast<unsigned>(fds.size()));
        r < 0)
        return fail(-r, "cannot register the files");
    const chain_shared* s = memory_.shared();
    const iovec buffers = {reinterpret_cast<void*>(s->base + s->buffers_offset),
                           s->bytes - s->buffers_offset};
    if (const int r = io_uring_register_buffers(&ring_, &buffers, 1); r < 0)
        return with_hint(fail(-r, "cannot pin {} bytes of buffers", buffers.iov_len),
                         raise_locked());
    return {};
}

// A worker of io-wq is a clone of the thread that submits. One cloned out of the
// program would inherit that its migration is disabled, for life, and the kernel
// warns when the scheduler moves it (loader/engine/queue.cpp). A read that a file
// system cannot start without sleeping goes to a worker, so one of each kind is
// made here, by an fsync of each file, and there are never more.
Status chain::make_workers() {
    unsigned most[2] = {1, 1};
    if (const int r = io_uring_register_iowq_max_workers(&ring_, most); r < 0)
        return fail(-r, "cannot limit the ring's workers");
    for (size_t i = 0; i < files_.size(); i++) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        io_uring_prep_fsync(sqe, static_cast<int>(i), IORING_FSYNC_DATASYNC);
        sqe->flags |= IOSQE_FIXED_FILE;
        io_uring_cqe* cqe = nullptr;
        int r = io_uring_submit_and_wait(&ring_, 1);
        if (r >= 0)
            r = io_uring_wait_cqe(&ring_, &cqe);
        if (r < 0)
            return fail(-r, "cannot make the ring's worker");
        io_uring_cqe_seen(&ring_, cqe);
    }
    return {};
}

Status chain::make_program(const rr_chain_options& options) {
    auto object = object_of(options);
    if (!object)
        return forward_error(object.error());
    const chain_config config{at_, memory_.shared()->base};
    auto p = loop_program::load(*object, config, memory_.map_fd(), ring_.ring_fd);
    if (!p)
        return forward_error(p.error());
    program_ = std::make_unique<loop_program>(std::move(*p));
    return {};
}

::chain* chain::lookup(unsigned slot) const {
    chain_shared* s = memory_.shared();
    return reinterpret_cast<::chain*>(reinterpret_cast<uint8_t*>(s) + s->lookups_offset) + slot;
}

Status chain::check_thread() const {
    if (thread_ == ::gettid())
        return {};
    return with_hint(fail(EEXIST, "the chain belongs to another thread"),
                     "open one for each thread");
}

void chain::fill(unsigned slot, const rr_chain_lookup& l) {
    chain_shared* s = memory_.shared();
    ::chain* c = lookup(slot);
    auto* scratch = reinterpret_cast<uint8_t*>(c->scratch);
    if (l.scratch_bytes != 0)
        std::memcpy(scratch, l.scratch, l.scratch_bytes);
    std::memset(scratch + l.scratch_bytes, 0, c->scratch_bytes - l.scratch_bytes);
    c->step = l.step;
    c->first_file = l.file;
    c->first_offset = l.offset;
    c->first_bytes = l.bytes;
    c->first_flags = l.keep != 0 ? CHAIN_KEEP : 0;
    c->hops = c->hop = c->restarts = c->again = c->reads = 0;
    c->busy = c->wanted = c->under_way = 0;
    c->finished = 0;
    c->error = 0;
    c->out_used = 0;
    c->hops_max = l.hops_max != 0 ? l.hops_max : hops_max_;
    tags_[slot] = l.tag;
    auto* ring = reinterpret_cast<rr_u16*>(s->base + s->fresh.offset);
    ring[s->fresh.tail++ & (CHAIN_ITEMS_MAX - 1)] = static_cast<rr_u16>(slot);
}

Result<unsigned> chain::submit(std::span<const rr_chain_lookup> lookups) {
    if (Status ok = check_thread(); !ok)
        return forward_error(ok.error());
    give_back();
    unsigned taken = 0;
    for (const rr_chain_lookup& l : lookups) {
        if (free_.empty())
            break;
        const unsigned slot = free_.back();
        if (l.scratch_bytes > lookup(slot)->scratch_bytes ||
            (l.scratch == nullptr && l.scratch_bytes != 0)) {
            if (taken != 0)
                break;
            return with_hint(fail(EMSGSIZE, "a lookup brings {} bytes of scratch", l.scratch_bytes),
                             fmt::format("open the chain with scratch_bytes; it has {}",
                                         lookup(slot)->scratch_bytes));
        }
        free_.pop_back();
        fill(slot, l);
        taken++;
    }
    if (taken == 0 && !lookups.empty())
        return with_hint(fail(EAGAIN, "{} lookups are in flight", in_flight_),
                         "wait for some, or open the chain with more depth");
    in_flight_ += taken;
    return taken;
}

// What the caller was shown last is free from now on.
void chain::give_back() {
    for (const unsigned slot : given_)
        free_.push_back(slot);
    given_.clear();
}

Status chain::enter() {
    if (!in_kernel()) {
        const int r = chain_user_host_run(&host_);
        return r == 0 ? Status{} : fail(-r, "the ring");
    }
    enters_++;
    const int r = io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
    return r >= 0 ? Status{} : fail(-r, "the ring's loop");
}

unsigned chain::reap(std::span<rr_chain_result> results) {
    chain_shared* s = memory_.shared();
    const auto* ring = reinterpret_cast<const rr_u16*>(s->base + s->done.offset);
    unsigned n = 0;
    for (; n < results.size() && s->done.head != s->done.tail; n++, s->done.head++) {
        const unsigned slot = ring[s->done.head & (CHAIN_ITEMS_MAX - 1)];
        const ::chain* c = lookup(slot);
        results[n] = {.tag = tags_[slot],
                      .error = c->error,
                      .hops = c->hops,
                      .reads = c->reads,
                      .restarts = c->restarts,
                      .out = reinterpret_cast<const void*>(c->out),
                      .out_bytes = c->out_used,
                      .scratch_bytes = c->scratch_bytes,
                      .scratch = reinterpret_cast<const void*>(c->scratch)};
        given_.push_back(slot);
    }
    in_flight_ -= n;
    return n;
}

Result<unsigned> chain::wait(unsigned want, std::span<rr_chain_result> results) {
    if (Status ok = check_thread(); !ok)
        return forward_error(ok.error());
    give_back();
    chain_shared* s = memory_.shared();
    s->want = std::min({want, in_flight_, static_cast<unsigned>(results.size())});
    s->poll = want == 0;
    if (in_flight_ != 0 && (want == 0 || s->done.tail - s->done.head < s->want)) {
        Status ok = enter();
        if (!ok && s->done.head == s->done.tail)
            return forward_error(ok.error());
    }
    return reap(results);
}

void chain::bump() {
    __atomic_add_fetch(&memory_.shared()->generation, 1, __ATOMIC_SEQ_CST);
}

Status chain::refresh(unsigned file) {
    if (Status ok = check_thread(); !ok)
        return ok;
    if (file >= files_.size())
        return fail(EBADF, "there is no file {}", file);
    auto bytes = size_of(files_[file]);
    if (!bytes)
        return forward_error(bytes.error());
    files_[file].facts.bytes = *bytes;
    memory_.shared()->file[file].bytes = *bytes;
    return {};
}

Status chain::check(unsigned file) const {
    if (Status ok = check_thread(); !ok)
        return ok;
    if (file >= files_.size())
        return fail(EBADF, "there is no file {}", file);
    const open_file& f = files_[file];
    auto bytes = size_of(f);
    if (!bytes)
        return forward_error(bytes.error());
    if (*bytes < f.facts.bytes)
        return fail(ESTALE, "{} is {} bytes, and was {}", f.path, *bytes, f.facts.bytes);
    struct stat now{};
    const bool named = f.facts.nsid == 0 && !f.path.starts_with("file descriptor ");
    if (named && (::stat(f.path.c_str(), &now) != 0 || now.st_ino != f.info.st_ino ||
                  now.st_dev != f.info.st_dev || now.st_rdev != f.info.st_rdev))
        return with_hint(fail(ESTALE, "{} is another file now", f.path), "open the chain again");
    return {};
}

const std::string& chain::faults() {
    return program_ ? program_->faults() : no_faults_;
}

}  // namespace rr::chained
