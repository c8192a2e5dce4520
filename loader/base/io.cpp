// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/fd.h"

namespace rr {

void aligned_buffer::release::operator()(uint8_t* bytes) const {
    std::free(bytes);
}

aligned_buffer::aligned_buffer(size_t bytes)
    : size_((std::max<size_t>(bytes, 1) + io_alignment - 1) / io_alignment * io_alignment) {
    void* memory = std::aligned_alloc(io_alignment, size_);
    if (memory == nullptr)
        throw std::bad_alloc();
    std::memset(memory, 0, size_);
    bytes_.reset(static_cast<uint8_t*>(memory));
}

Status read_exact(int fd, std::span<uint8_t> into, uint64_t offset) {
    for (size_t done = 0; done < into.size();) {
        const ssize_t n =
            ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (n == 0)
            return fail(ENODATA, "end of device at byte {}", offset + done);
        if (n < 0 && errno != EINTR)
            return fail(errno, "reading {} bytes at byte {}", into.size() - done, offset + done);
        done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    return {};
}

Status write_exact(int fd, std::span<const uint8_t> from, uint64_t offset) {
    for (size_t done = 0; done < from.size();) {
        const ssize_t n =
            ::pwrite(fd, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
        if (n == 0)
            return fail(EIO, "no progress writing at byte {}", offset + done);
        if (n < 0 && errno != EINTR)
            return fail(errno, "writing {} bytes at byte {}", from.size() - done, offset + done);
        done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    return {};
}

Status write_file(const std::string& path, std::span<const uint8_t> content) {
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file)
        return fail(errno, "cannot write {}", path);
    return write_exact(file.get(), content, 0);
}

Status sync_data(int fd) {
    while (::fdatasync(fd) != 0) {
        // EINTR may not repeat what failed; any other error is the device's.
        if (errno != EINTR)
            return fail(errno, "flushing to the medium");
    }
    return {};
}

}  // namespace rr
