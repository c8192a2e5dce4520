// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// chain_bench: chains of dependent reads of an NVMe disk, each in a window of
// bench/tools/count.c, by everyone who can issue the next read:
//
//   pread       the program, one system call a read
//   io_uring    the program, one io_uring_enter a read
//   loop        a BPF program in the ring's wait loop, through the block layer
//   loop-nvme   the same with NVMe commands
//   hook        the driver's completion, where the kernel has the experiment of
//               kfunc-patches (the last patch of the series); a kernel worker sends
//               the command
//   hook-now    the same; the interrupt sends it
//
//   chain_bench OBJECT NVME-DISK NG-DEVICE HOPS OUT
//
// OUT/chains.jsonl gets a line for each window. Every block of the disk is filled
// with its number first, and the last one read must be the right one.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "../tools/mark.h"
#include "bench/chain.h"

namespace {

constexpr unsigned round_hops_most = 64;  // of one command, for the hook
constexpr uint32_t hop_now = 1U << 31;
constexpr uint32_t lba_per_block = CHAIN_BLOCK_BYTES >> CHAIN_LBA_SHIFT;

[[noreturn]] void give_up(const char* what, int error) {
    std::fprintf(stderr, "chain_bench: %s: %s\n", what, std::strerror(error));
    std::exit(1);
}

int check(int result, const char* what) {
    if (result < 0)
        give_up(what, result == -1 ? errno : -result);
    return result;
}

struct disk {
    int block_fd;
    int char_fd;
    uint32_t nsid;
    uint64_t* memory;  // CHAIN_BLOCK_BYTES, aligned so
};

void number_blocks(const disk& d, uint64_t blocks) {
    for (uint64_t n = 0; n < blocks; n++) {
        std::fill_n(d.memory, CHAIN_BLOCK_BYTES / sizeof(uint64_t), n + 1);
        check(static_cast<int>(::pwrite(d.block_fd, d.memory, CHAIN_BLOCK_BYTES,
                                        static_cast<off_t>(n * CHAIN_BLOCK_BYTES))),
              "cannot number the disk's blocks");
    }
}

// A ring with the disk and the memory registered.
class ring {
public:
    ring(const disk& d, bool nvme) : disk_(d), nvme_(nvme) {
        params_.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                        IORING_SETUP_NO_SQARRAY |
                        (nvme ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0U);
        check(io_uring_queue_init_params(CHAIN_SQ_ENTRIES, &ring_, &params_), "io_uring");
        const int fd = nvme ? d.char_fd : d.block_fd;
        check(io_uring_register_files(&ring_, &fd, 1), "cannot register the disk");
        const iovec memory = {d.memory, CHAIN_BLOCK_BYTES};
        check(io_uring_register_buffers(&ring_, &memory, 1), "cannot register memory");
    }
    ~ring() { io_uring_queue_exit(&ring_); }
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;

    [[nodiscard]] int fd() const { return ring_.ring_fd; }

    [[nodiscard]] chain_config config() const {
        chain_config c{};
        c.at.sq_head = params_.sq_off.head;
        c.at.sq_tail = params_.sq_off.tail;
        c.at.cq_head = params_.cq_off.head;
        c.at.cq_tail = params_.cq_off.tail;
        c.at.cqes = params_.cq_off.cqes;
        c.at.sqe_shift = nvme_ ? RR_RING_SQE_LARGE_SHIFT : RR_RING_SQE_SHIFT;
        c.at.cqe_shift = nvme_ ? RR_RING_CQE_LARGE_SHIFT : RR_RING_CQE_SHIFT;
        c.at.bytes = c.at.cqes + (params_.cq_entries << c.at.cqe_shift);
        c.nsid = disk_.nsid;
        c.good = nvme_ ? 0 : CHAIN_BLOCK_BYTES;
        c.buffer = reinterpret_cast<uint64_t>(disk_.memory);
        return c;
    }

    // One read from the program, and its end.
    void read(uint64_t block) {
        io_uring_sqe* sqe = next_sqe();
        io_uring_prep_read_fixed(sqe, CHAIN_FILE, disk_.memory, CHAIN_BLOCK_BYTES,
                                 block * CHAIN_BLOCK_BYTES, CHAIN_BUFFER);
        sqe->flags |= IOSQE_FIXED_FILE;
        finish(CHAIN_BLOCK_BYTES);
    }

    // One NVMe command that goes on by itself at its completion, @more times.
    void read_on(uint64_t block, uint32_t more, bool now) {
        io_uring_sqe* sqe = next_sqe();
        std::memset(static_cast<void*>(sqe), 0, 128);
        sqe->opcode = IORING_OP_URING_CMD;
        sqe->flags = IOSQE_FIXED_FILE;
        sqe->cmd_op = NVME_URING_CMD_IO;
        sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
        nvme_uring_cmd c{};
        c.opcode = 2;
        c.nsid = disk_.nsid;
        c.addr = reinterpret_cast<uint64_t>(disk_.memory);
        c.data_len = CHAIN_BLOCK_BYTES;
        c.cdw10 = static_cast<uint32_t>(block * lba_per_block);
        c.cdw12 = lba_per_block - 1;
        c.rsvd2 = more != 0 && now ? more | hop_now : more;
        std::memcpy(sqe->cmd, &c, sizeof(c));
        finish(0);
    }

private:
    io_uring_sqe* next_sqe() {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        if (sqe == nullptr)
            give_up("the ring is full", EBUSY);
        return sqe;
    }

    void finish(int good) {
        io_uring_cqe* cqe = nullptr;
        check(io_uring_submit_and_wait(&ring_, 1), "cannot submit");
        check(io_uring_wait_cqe(&ring_, &cqe), "cannot wait");
        if (cqe->res != good)
            give_up("a read failed", cqe->res < 0 ? -cqe->res : EIO);
        io_uring_cqe_seen(&ring_, cqe);
    }

    const disk& disk_;
    bool nvme_;
    io_uring ring_{};
    io_uring_params params_{};
};

// The program of chain.bpf.c, attached to a ring.
class chain_program {
public:
    chain_program(const char* path, const ring& on) {
        object_ = bpf_object__open_file(path, nullptr);
        if (object_ == nullptr)
            give_up(path, errno);
        bpf_map* map;
        bpf_object__for_each_map(map, object_) {
            const std::string name = bpf_map__name(map);
            size_t bytes = 0;
            void* value = bpf_map__initial_value(map, &bytes);
            const chain_config config = on.config();
            if (name.ends_with(".rodata"))
                std::memcpy(value, &config, sizeof(config));
            if (name == "chain_ops")
                static_cast<ops*>(value)->ring_fd = static_cast<uint32_t>(on.fd());
        }
        check(bpf_object__load(object_), "cannot load the program");
        bpf_object__for_each_map(map, object_) {
            size_t bytes = 0;
            if (std::string(bpf_map__name(map)).ends_with(".data.chain"))
                state_ = static_cast<chain_state*>(bpf_map__initial_value(map, &bytes));
        }
        link_ = bpf_map__attach_struct_ops(bpf_object__find_map_by_name(object_, "chain_ops"));
        if (link_ == nullptr || state_ == nullptr)
            give_up("cannot attach the program", errno);
    }
    ~chain_program() {
        bpf_link__destroy(link_);
        bpf_object__close(object_);
    }
    chain_program(const chain_program&) = delete;
    chain_program& operator=(const chain_program&) = delete;

    void run(const ring& on, uint64_t block, uint32_t hops) {
        state_->block = block;
        state_->left = hops;
        check(io_uring_enter(static_cast<unsigned>(on.fd()), 0, 0, 0, nullptr), "the loop");
        if (state_->error != 0 || state_->left != 0)
            give_up("a read failed", state_->error < 0 ? -state_->error : EIO);
    }

private:
    struct ops {
        void* loop_step;
        uint32_t ring_fd;
    };
    bpf_object* object_ = nullptr;
    bpf_link* link_ = nullptr;
    chain_state* state_ = nullptr;
};

constexpr int rounds = 8;
int windows = 0;

// Where the kernel has put its BPF programs, while it has them.
void keep_symbols(const std::string& out) {
    std::ifstream in("/proc/kallsyms");
    std::ofstream to(out + "/kallsyms-bpf", std::ios::app);
    for (std::string line; std::getline(in, line);)
        if (line.ends_with("[bpf]"))
            to << line << "\n";
}

// Chains of @hops from block 0 on, once to warm up and then counted, some times.
template <typename Chain>
void window(const disk& d, const std::string& out, const char* how, uint32_t hops, Chain chain) {
    chain(0, hops);
    for (int i = 0; i < rounds; i++) {
        d.memory[0] = 0;
        __asm__ volatile(MARK_BEGIN ::: "memory");
        chain(0, hops);
        __asm__ volatile(MARK_END ::: "memory");
        const int n = windows++;
        if (d.memory[0] != hops)
            give_up("the chain did not get to its last block", EIO);
        std::ofstream(out + "/chains.jsonl", std::ios::app)
            << R"({"how": ")" << how << R"(", "hops": )" << hops << R"(, "window": )" << n << "}\n";
    }
}

void by_the_program(const disk& d, const std::string& out, uint32_t hops) {
    window(d, out, "pread", hops, [&](uint64_t block, uint32_t left) {
        for (; left > 0; left--, block++)
            check(static_cast<int>(::pread(d.block_fd, d.memory, CHAIN_BLOCK_BYTES,
                                           static_cast<off_t>(block * CHAIN_BLOCK_BYTES))),
                  "pread");
    });
    ring r(d, false);
    window(d, out, "io_uring", hops, [&](uint64_t block, uint32_t left) {
        for (; left > 0; left--, block++)
            r.read(block);
    });
}

void by_the_loop(const disk& d, const std::string& out, uint32_t hops, const char* object) {
    for (const bool nvme : {false, true}) {
        ring r(d, nvme);
        chain_program program(object, r);
        window(d, out, nvme ? "loop-nvme" : "loop", hops,
               [&](uint64_t block, uint32_t left) { program.run(r, block, left); });
        keep_symbols(out);
    }
}

void by_the_driver(const disk& d, const std::string& out, uint32_t hops) {
    ring r(d, true);
    r.read_on(0, 1, false);
    if (d.memory[0] != 2) {
        std::fprintf(stderr, "chain_bench: the kernel has no hook\n");
        return;
    }
    for (const bool now : {false, true})
        window(d, out, now ? "hook-now" : "hook", hops, [&](uint64_t block, uint32_t left) {
            while (left > 0) {
                const uint32_t hops_now = std::min(left, round_hops_most);
                r.read_on(block, hops_now - 1, now);
                block += hops_now;
                left -= hops_now;
            }
        });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: chain_bench OBJECT NVME-DISK NG-DEVICE HOPS OUT\n");
        return 2;
    }
    disk d{};
    d.block_fd = check(::open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC), argv[2]);
    d.char_fd = check(::open(argv[3], O_RDWR | O_CLOEXEC), argv[3]);
    d.nsid = static_cast<uint32_t>(check(::ioctl(d.char_fd, NVME_IOCTL_ID), "NVME_IOCTL_ID"));
    d.memory = static_cast<uint64_t*>(std::aligned_alloc(4096, CHAIN_BLOCK_BYTES));
    const auto hops = static_cast<uint32_t>(std::strtoul(argv[4], nullptr, 0));
    number_blocks(d, hops + 1);
    by_the_program(d, argv[5], hops);
    by_the_loop(d, argv[5], hops, argv[1]);
    by_the_driver(d, argv[5], hops);
    return 0;
}
