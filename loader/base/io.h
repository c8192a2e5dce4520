// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whole-length positioned I/O, and memory that O_DIRECT accepts.
//
// pread and pwrite may move less than asked; here they loop, so success means
// all of it. Interrupted calls are repeated. Blocking: for metadata and
// resync, not for anything a client waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace rr {

// Largest logical block size of any supported member; alignment of buffers.
inline constexpr size_t io_alignment = 4096;

// Owned bytes, zeroed, aligned to io_alignment, length rounded up to it.
// Memory exhaustion ends the process, as it does for every container here.
class aligned_buffer {
public:
    explicit aligned_buffer(size_t bytes);

    [[nodiscard]] uint8_t* data() { return bytes_.get(); }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] std::span<uint8_t> span() { return {bytes_.get(), size_}; }
    [[nodiscard]] std::span<const uint8_t> span() const { return {bytes_.get(), size_}; }

private:
    struct release {
        void operator()(uint8_t* bytes) const;
    };
    size_t size_;
    std::unique_ptr<uint8_t[], release> bytes_;
};

// Fills @into from byte @offset of @fd. ENODATA when the file ends before
// that, else the errno of pread.
[[nodiscard]] Status read_exact(int fd, std::span<uint8_t> into, uint64_t offset);

// Writes all of @from at byte @offset of @fd; not durable before sync_data().
[[nodiscard]] Status write_exact(int fd, std::span<const uint8_t> from, uint64_t offset);

// The file at @path holds @content and nothing else; its owner alone may read
// it. Not durable.
[[nodiscard]] Status write_file(const std::string& path, std::span<const uint8_t> content);

// fdatasync: what was written to @fd, and its device's cache, is on the medium.
[[nodiscard]] Status sync_data(int fd);

}  // namespace rr
