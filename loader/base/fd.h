// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A file descriptor with one owner.
//
// Move-only; closes in the destructor. An error of close() is not reported:
// whoever needs durability syncs first and looks at that result.
#pragma once

#include <unistd.h>

#include <utility>

namespace rr {

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}  // takes ownership; negative means none
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other)
            reset(std::exchange(other.fd_, -1));
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

    // Gives the descriptor away; the caller closes it.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }

    void reset(int fd = -1) {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

}  // namespace rr
