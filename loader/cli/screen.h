// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The whole terminal for a while, and the terminal as it was afterwards: on its second
// screen, without a cursor, keys unechoed. Signals that end a program, or change the
// size, come through wait(), so that nothing ends between two halves of that; a stop
// (Ctrl-Z) is not heeded. Plain ANSI, as every terminal of today takes it.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace rr::cli {

class screen {
public:
    static Result<screen> open();
    screen(screen&&) noexcept;
    screen& operator=(screen&&) = delete;
    screen(const screen&) = delete;
    screen& operator=(const screen&) = delete;
    ~screen();

    [[nodiscard]] unsigned columns() const;
    [[nodiscard]] unsigned rows() const;
    // False: the terminal is gone.
    bool draw(const std::vector<std::string>& lines) const;
    enum class event : uint8_t { timeout, key, resize, end };
    // @key: what was pressed.
    event wait(std::chrono::milliseconds most, char& key) const;

private:
    screen() = default;

    Fd signals_;
    termios before_{};
    bool owns_ = false;
};

}  // namespace rr::cli
