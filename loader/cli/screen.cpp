// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

namespace rr::cli {
namespace {

constexpr std::string_view enter = "\033[?1049h\033[?25l";
constexpr std::string_view leave = "\033[?25h\033[?1049l";

bool put(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

winsize size_now() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    return size;
}

}  // namespace

Result<screen> screen::open() {
    screen out;
    if (::tcgetattr(STDIN_FILENO, &out.before_) != 0)
        return fail(errno, "standard input is no terminal");
    sigset_t heeded{};
    ::sigemptyset(&heeded);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH})
        ::sigaddset(&heeded, signal);
    ::sigprocmask(SIG_BLOCK, &heeded, nullptr);
    out.signals_.reset(::signalfd(-1, &heeded, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!out.signals_)
        return fail(errno, "cannot wait for signals");
    termios keys = out.before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    out.owns_ = true;
    if (::tcsetattr(STDIN_FILENO, TCSANOW, &keys) != 0 || !put(enter))
        return fail(errno, "cannot use the terminal");
    return out;
}

screen::screen(screen&& other) noexcept
    : signals_(std::move(other.signals_)),
      before_(other.before_),
      owns_(std::exchange(other.owns_, false)) {}

screen::~screen() {
    if (!owns_)
        return;
    (void)put(leave);
    // What was typed at it is for nobody else.
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

unsigned screen::columns() const {
    return size_now().ws_col;
}

unsigned screen::rows() const {
    return size_now().ws_row;
}

bool screen::draw(const std::vector<std::string>& lines) const {
    std::string all = "\033[H";
    const size_t shown = std::min<size_t>(lines.size(), rows());
    for (size_t i = 0; i < shown; i++)
        all += lines[i] + "\033[K" + (i + 1 < shown ? "\r\n" : "");
    return put(all + "\033[J");
}

screen::event screen::wait(std::chrono::milliseconds most, char& key) const {
    const auto end = std::chrono::steady_clock::now() + most;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        std::array<pollfd, 2> both = {{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
        const int n = ::poll(both.data(), both.size(), std::max(0, static_cast<int>(left.count())));
        if (n == 0)
            return event::timeout;
        signalfd_siginfo signal{};
        if ((both[1].revents & POLLIN) != 0 &&
            ::read(signals_.get(), &signal, sizeof(signal)) == sizeof(signal)) {
            if (signal.ssi_signo == SIGTSTP)
                continue;
            return signal.ssi_signo == SIGWINCH ? event::resize : event::end;
        }
        if (both[0].revents != 0)
            return ::read(STDIN_FILENO, &key, 1) == 1 ? event::key : event::end;
        if (n < 0 && errno != EINTR)
            return event::end;
    }
}

}  // namespace rr::cli
