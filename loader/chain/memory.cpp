// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "chain/chain.h"

namespace rr::chained {

constexpr uint64_t page = 4096;

Result<memory> memory::of_map(uint64_t bytes) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    memory m;
    m.fd_.reset(bpf_map_create(BPF_MAP_TYPE_ARENA, "chain_arena", 0, 0,
                               static_cast<uint32_t>(bytes / page), &options));
    if (!m.fd_)
        return fail(errno, "cannot make a BPF arena of {} bytes", bytes);
    m.at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd_.get(), 0);
    if (m.at_ == MAP_FAILED) {
        m.at_ = nullptr;
        return fail(errno, "cannot map a BPF arena of {} bytes", bytes);
    }
    m.bytes_ = bytes;
    return m;
}

Result<memory> memory::of_process(uint64_t bytes) {
    memory m;
    m.at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m.at_ == MAP_FAILED) {
        m.at_ = nullptr;
        return fail(errno, "no memory for {} bytes", bytes);
    }
    m.bytes_ = bytes;
    return m;
}

memory::memory(memory&& other) noexcept
    : fd_(std::move(other.fd_)),
      at_(std::exchange(other.at_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

memory& memory::operator=(memory&& other) noexcept {
    if (this != &other) {
        if (at_ != nullptr)
            ::munmap(at_, bytes_);
        fd_ = std::move(other.fd_);
        at_ = std::exchange(other.at_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
}

memory::~memory() {
    if (at_ != nullptr)
        ::munmap(at_, bytes_);
}

}  // namespace rr::chained
