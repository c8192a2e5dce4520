// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "helpers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

extern "C" {
extern const unsigned char test_object_start[];
extern const unsigned char test_object_end[];
}

namespace rr::chained {

unsigned seed = 1;
bool kernel = false;
std::string directory = ".";
bool full = false;

unsigned rounds(unsigned n) {
    return full ? 10 * n : n;
}

guarded_memory::guarded_memory(size_t bytes) : bytes_(bytes) {
    map_ = static_cast<uint8_t*>(
        ::mmap(nullptr, bytes_ + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::mprotect(map_ + bytes_, 4096, PROT_NONE);
}

guarded_memory::~guarded_memory() {
    ::munmap(map_, bytes_ + 4096);
}

namespace {

constexpr size_t guarded_most = (1 << 20) + 4096;

struct wanted_read {
    uint64_t offset;
    uint64_t tag;
    uint32_t bytes, file, flags;
    unsigned part;
};

}  // namespace

answer run_step(chain_step_fn step, const bytes& file, const first_read& first,
                const void* scratch) {
    // Made once: what counts is where they end.
    static const guarded_memory block_memory(guarded_most), scratch_memory(guarded_most),
        out_memory(guarded_most);
    uint8_t* const scratch_at = scratch_memory.last(first.scratch_bytes);
    uint8_t* const out = out_memory.last(first.out_bytes);
    std::memcpy(scratch_at, scratch, first.scratch_bytes);
    chain c{};
    c.scratch = reinterpret_cast<uint64_t>(scratch_at);
    c.scratch_bytes = first.scratch_bytes;
    c.out = reinterpret_cast<uint64_t>(out);
    c.out_bytes = first.out_bytes;
    c.block_bytes = first.block_bytes;
    c.parts = 0xff;
    const wanted_read begin{first.offset, 0, first.bytes, 0, 0, 0};
    std::deque<wanted_read> line{begin};
    c.busy = 1;
    answer a;
    unsigned begun_again = 0;
    while (!line.empty()) {
        const wanted_read r = line.front();
        line.pop_front();
        if (r.file != 0 || r.offset > file.size() || r.bytes > file.size() - r.offset) {
            a.error = r.file != 0 ? -EBADF : -ERANGE;
            break;
        }
        if (a.hops++ == first.hops_most) {
            a.error = -ELOOP;
            break;
        }
        uint8_t* const block = block_memory.last(r.bytes);
        std::memcpy(block, file.data() + r.offset, r.bytes);
        c.busy &= ~(1U << r.part);
        c.wanted = 0;
        c.under_way = static_cast<uint32_t>(line.size());
        c.offset = r.offset;
        c.tag = r.tag;
        c.file = r.file;
        c.flags = r.flags;
        const int verdict = step(&c, block, r.bytes);
        if (verdict == CHAIN_RESTART || verdict == CHAIN_AGAIN) {
            if (begun_again++ == 64) {
                a.error = verdict == CHAIN_AGAIN ? -EILSEQ : -ESTALE;
                break;
            }
            if (verdict == CHAIN_AGAIN) {
                line.push_back(r);
                c.busy |= 1U << r.part;
                continue;
            }
            c.hop = c.out_used = 0;
            c.busy = 1;
            line = {begin};
            continue;
        }
        c.hop++;
        if (verdict != CHAIN_MORE) {
            a.error = verdict < 0 ? verdict : 0;
            break;
        }
        for (unsigned part = 0; part < CHAIN_FAN_OUT; part++)
            if ((c.wanted >> part & 1) != 0) {
                const chain_part& p = c.part[part];
                line.push_back({p.offset, p.tag, p.bytes, p.file, p.flags, part});
            }
        if (line.empty())
            a.error = -EPROTO;
    }
    a.out.assign(out, out + std::min(c.out_used, first.out_bytes));
    a.scratch.assign(scratch_at, scratch_at + first.scratch_bytes);
    return a;
}

test_file::test_file(const bytes& content) {
    path_ = directory + "/chain.XXXXXX";
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0) << path_;
    ::close(fd);
    write(0, content);
}

test_file::~test_file() {
    ::unlink(path_.c_str());
}

void test_file::write(uint64_t offset, const bytes& content) const {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(::pwrite(fd, content.data(), content.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(content.size()));
    EXPECT_EQ(::fsync(fd), 0);
    ::close(fd);
}

void test_file::truncate(uint64_t size) const {
    EXPECT_EQ(::truncate(path_.c_str(), static_cast<off_t>(size)), 0);
}

rr_chain_options test_options(std::span<const rr_chain_file> files) {
    rr_chain_options o{};
    o.size = sizeof(o);
    o.object_memory = test_object_start;
    o.object_bytes = static_cast<size_t>(test_object_end - test_object_start);
    o.program = &test_chain;
    o.files = files.data();
    o.files_count = static_cast<unsigned>(files.size());
    return o;
}

chain_ptr open_chain(rr_chain_options options) {
    options.flags |= kernel ? RR_CHAIN_KERNEL : RR_CHAIN_USER;
    rr_chain* c = nullptr;
    const int r = rr_chain_open(&options, &c);
    EXPECT_EQ(r, 0) << rr_chain_error();
    if (r == 0)
        EXPECT_STREQ(rr_chain_engine(c), kernel ? "kernel" : "user");
    return chain_ptr(c);
}

answer ask(rr_chain* chain, const rr_chain_lookup& lookup) {
    answer a;
    rr_chain_result r{};
    if (rr_chain_submit(chain, &lookup, 1) != 1 || rr_chain_wait(chain, 1, &r, 1) != 1) {
        ADD_FAILURE() << rr_chain_error();
        a.error = -EIO;
        return a;
    }
    EXPECT_EQ(r.tag, lookup.tag);
    a.error = r.error;
    a.hops = r.hops;
    const auto* out = static_cast<const uint8_t*>(r.out);
    a.out.assign(out, out + r.out_bytes);
    const auto* scratch = static_cast<const uint8_t*>(r.scratch);
    a.scratch.assign(scratch, scratch + r.scratch_bytes);
    return a;
}

}  // namespace rr::chained
