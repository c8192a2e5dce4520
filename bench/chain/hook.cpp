// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr uint64_t page = 4096;

[[noreturn]] void give_up(const char* what, int error) {
    std::fprintf(stderr, "hook: %s: %s\n", what, std::strerror(error));
    std::exit(1);
}

uint64_t to_pages(uint64_t bytes) {
    return (bytes + page - 1) / page * page;
}

}  // namespace

hooked::hooked(const char* object, int namespace_fd, unsigned lookups, unsigned block_bytes)
    : block_bytes_(block_bytes) {
    const int nsid = ::ioctl(namespace_fd, NVME_IOCTL_ID);
    if (nsid < 0)
        give_up("NVME_IOCTL_ID", errno);
    nsid_ = static_cast<uint32_t>(nsid);
    const uint64_t outs = to_pages(lookups * sizeof(hook_lookup));
    const uint64_t blocks = outs + to_pages(uint64_t{lookups} * out_bytes);
    bytes_ = blocks + to_pages(uint64_t{lookups} * block_bytes);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    arena_fd_ = bpf_map_create(BPF_MAP_TYPE_ARENA, "hook_arena", 0, 0,
                               static_cast<uint32_t>(bytes_ / page), &options);
    void* at = arena_fd_ < 0
                   ? MAP_FAILED
                   : ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd_, 0);
    if (at == MAP_FAILED)
        give_up("cannot make a BPF arena", errno);
    // In an interrupt no page can be brought in.
    std::memset(at, 0, bytes_);
    lookup_ = static_cast<hook_lookup*>(at);
    out_ = static_cast<uint8_t*>(at) + outs;
    blocks_ = static_cast<uint8_t*>(at) + blocks;
    io_uring_params params{};
    params.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
    const iovec memory = {blocks_, bytes_ - blocks};
    if (io_uring_queue_init_params(128, &ring_, &params) < 0 ||
        io_uring_register_files(&ring_, &namespace_fd, 1) < 0 ||
        io_uring_register_buffers(&ring_, &memory, 1) < 0)
        give_up("io_uring", EINVAL);
    load(object);
}

hooked::~hooked() {
    io_uring_queue_exit(&ring_);
    bpf_link__destroy(link_);
    bpf_object__close(object_);
    ::munmap(lookup_, bytes_);
    ::close(arena_fd_);
}

void hooked::load(const char* object) {
    object_ = bpf_object__open_file(object, nullptr);
    if (object_ == nullptr)
        give_up(object, errno);
    bpf_map* arena = bpf_object__find_map_by_name(object_, "hook_arena");
    bpf_program* program = bpf_object__find_program_by_name(object_, "hook_hop");
    if (const int r = bpf_map__reuse_fd(arena, arena_fd_); r != 0)
        give_up("the program does not take the arena", -r);
    if (const int r = bpf_object__load(object_); r != 0)
        give_up("cannot load the program", -r);
    link_ = bpf_program__attach_trace(program);
    if (link_ == nullptr)
        give_up("cannot attach the program", errno);
}

void hooked::ask(unsigned n, const chain_btree_query& query, bool now) {
    hook_lookup& l = lookup_[n];
    std::memset(&l.c, 0, sizeof(l.c));
    l.query = query;
    l.block = reinterpret_cast<uint64_t>(blocks_ + uint64_t{n} * block_bytes_);
    l.calls = 0;
    l.c.scratch = reinterpret_cast<uint64_t>(&l.query);
    l.c.scratch_bytes = sizeof(l.query);
    l.c.out = reinterpret_cast<uint64_t>(out_ + uint64_t{n} * out_bytes);
    l.c.out_bytes = out_bytes;
    l.c.block_bytes = block_bytes_;
    l.c.parts = 1;
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr)
        give_up("the ring is full", EBUSY);
    std::memset(static_cast<void*>(sqe), 0, 128);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->cmd_op = NVME_URING_CMD_IO;
    sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
    sqe->user_data = reinterpret_cast<uint64_t>(&l);
    nvme_uring_cmd c{};
    c.opcode = 2;
    c.nsid = nsid_;
    c.addr = l.block;
    c.data_len = block_bytes_;
    c.cdw12 = (block_bytes_ >> HOOK_LBA_SHIFT) - 1;
    c.rsvd2 = HOOK_HOPS_MAX | (now ? HOOK_NOW : 0);
    std::memcpy(sqe->cmd, &c, sizeof(c));
}

void hooked::finish(unsigned count) {
    while (count > 0) {
        calls_++;
        if (const int r = io_uring_submit_and_wait(&ring_, count); r < 0)
            give_up("cannot submit", -r);
        io_uring_cqe* cqe = nullptr;
        while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
            if (cqe->res != 0)
                give_up("a read failed", cqe->res < 0 ? -cqe->res : EIO);
            io_uring_cqe_seen(&ring_, cqe);
            count--;
        }
    }
}

std::string_view hooked::found(unsigned n, unsigned hops) const {
    const hook_lookup& l = lookup_[n];
    if (l.verdict != CHAIN_DONE || l.calls != hops)
        give_up("the program was not asked, or gave up", l.verdict < 0 ? -l.verdict : EIO);
    return {reinterpret_cast<const char*>(l.c.out), l.c.out_used};
}
