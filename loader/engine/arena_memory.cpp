// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/arena_memory.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ringraid/ring.h"

namespace rr {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t bytes_limit = uint64_t{4} << 30;

// No other map has it; 0: it is no map.
uint32_t map_id(int fd) {
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    return bpf_map_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

}  // namespace

Result<arena_memory> arena_memory::create_map(uint64_t bytes) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE,
                .map_extra = RR_ARENA_ADDRESS);
    arena_memory a;
    a.fd_.reset(bpf_map_create(BPF_MAP_TYPE_ARENA, "rr_arena", 0, 0,
                               static_cast<uint32_t>(bytes / page), &options));
    if (!a.fd_)
        return with_hint(fail(errno, "cannot make a BPF arena of {} bytes", bytes),
                         errno == EPERM ? "run as root (CAP_BPF)" : "use --engine user");
    if (Status ok = a.map(bytes); !ok)
        return forward_error(ok.error());
    return a;
}

Status arena_memory::publish(const std::string& path) {
    if (!path_.empty() && ::rename(path_.c_str(), path.c_str()) != 0)
        return fail(errno, "cannot name the arena {}", path);
    if (path_.empty() && bpf_obj_pin(fd_.get(), path.c_str()) != 0)
        return with_hint(fail(errno, "cannot pin the arena at {}", path),
                         "is a BPF file system mounted there?");
    path_ = path;
    return {};
}

bool arena_memory::is_published() const {
    if (path_.empty())
        return true;
    struct stat own{}, there{};
    if (::fstat(fd_.get(), &own) == 0 && S_ISREG(own.st_mode))
        return ::stat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev &&
               own.st_ino == there.st_ino;
    // Not by access(): what is pinned there may be another array's.
    const Fd pinned(bpf_obj_get(path_.c_str()));
    return pinned && map_id(pinned.get()) == map_id(fd_.get());
}

bool arena_memory::is_displaced() const {
    return !is_published() && ::access(path_.c_str(), F_OK) == 0;
}

Status arena_memory::publish_again() {
    if (bpf_obj_pin(fd_.get(), path_.c_str()) != 0)
        return fail(errno, "cannot pin the arena at {}", path_);
    return {};
}

Result<arena_memory> arena_memory::open_map(const std::string& pin) {
    arena_memory a;
    a.fd_.reset(bpf_obj_get(pin.c_str()));
    if (!a.fd_)
        return fail(errno, "no arena is pinned at {}", pin);
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (bpf_map_get_info_by_fd(a.fd_.get(), &info, &length) != 0)
        return fail(errno, "cannot ask about the arena at {}", pin);
    if (info.type != BPF_MAP_TYPE_ARENA || info.map_extra != RR_ARENA_ADDRESS)
        return fail(EINVAL, "what is pinned at {} is not an arena of ringraid", pin);
    a.path_ = pin;
    if (Status ok = a.map(info.max_entries * page); !ok)
        return forward_error(ok.error());
    return a;
}

Result<arena_memory> arena_memory::create_file(const std::string& path, uint64_t bytes) {
    arena_memory a;
    a.path_ = path + ".new";
    a.fd_.reset(::open(a.path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!a.fd_)
        return fail(errno, "cannot make {}", a.path_);
    int r = ::posix_fallocate(a.fd_.get(), 0, static_cast<off_t>(bytes));
    if (r != 0) {
        a.forget();
        return fail(r, "no memory for {} bytes at {}", bytes, path);
    }
    if (Status ok = a.map(bytes); !ok) {
        a.forget();
        return forward_error(ok.error());
    }
    return a;
}

Result<arena_memory> arena_memory::open_file(const std::string& path) {
    arena_memory a;
    a.fd_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!a.fd_)
        return fail(errno, "no arena is at {}", path);
    struct stat about{};
    if (::fstat(a.fd_.get(), &about) != 0)
        return fail(errno, "cannot ask about {}", path);
    a.path_ = path;
    if (Status ok = a.map(static_cast<uint64_t>(about.st_size)); !ok)
        return forward_error(ok.error());
    return a;
}

Status arena_memory::map(uint64_t bytes) {
    if (bytes == 0 || bytes > bytes_limit)
        return fail(EINVAL, "an arena of {} bytes", bytes);
    void* at = ::mmap(reinterpret_cast<void*>(RR_ARENA_ADDRESS), bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_FIXED_NOREPLACE, fd_.get(), 0);
    if (at == MAP_FAILED)
        return fail(errno, "cannot map the arena");
    memory_ = {static_cast<std::byte*>(at), bytes};
    return {};
}

arena_memory::arena_memory(arena_memory&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      memory_(std::exchange(other.memory_, {})) {}

arena_memory::~arena_memory() {
    if (!memory_.empty())
        ::munmap(memory_.data(), memory_.size());
}

void arena_memory::forget() {
    ::unlink(path_.c_str());
}

}  // namespace rr
