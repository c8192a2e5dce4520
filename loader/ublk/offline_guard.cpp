// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ublk/offline_guard.h"

#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "base/fd.h"

namespace rr {
namespace {

constexpr const char* wakeup_count = "/sys/power/wakeup_count";
constexpr auto patience = std::chrono::seconds(1);
constexpr auto again = std::chrono::milliseconds(100);
constexpr auto ring_wait = std::chrono::seconds(30);
constexpr auto ring_poll = std::chrono::milliseconds(5);

std::optional<uint32_t> events_so_far() {
    std::array<char, 16> text{};
    const Fd file(::open(wakeup_count, O_RDONLY | O_CLOEXEC));
    const ssize_t n = file ? ::read(file.get(), text.data(), text.size()) : -1;
    uint32_t count = 0;
    if (n <= 0 || std::from_chars(text.data(), text.data() + n, count).ec != std::errc())
        return std::nullopt;
    return count;
}

// Events after the @count-th end waits like ours; with a wrong count none does.
void arm(uint32_t count) {
    const std::string text = std::to_string(count);
    const Fd file(::open(wakeup_count, O_WRONLY | O_CLOEXEC));
    if (file)
        (void)!::write(file.get(), text.data(), text.size());
}

// The event lasts as long as this descriptor.
Fd wakeup_event() {
    Fd poll(::epoll_create1(EPOLL_CLOEXEC));
    // The poll set holds on to it.
    static const Fd ready(::eventfd(1, EFD_CLOEXEC));
    epoll_event what{};
    what.events = EPOLLIN | EPOLLWAKEUP;
    if (poll)
        ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, ready.get(), &what);
    return poll;
}

[[noreturn]] void keep_cpus_online(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(0);
    std::this_thread::sleep_for(patience);
    Fd event;
    for (;;) {
        // One event ends one wait: armed anew each time, with no event held.
        event.reset();
        auto count = events_so_far();
        if (!count)
            ::_exit(0);
        arm(*count);
        event = wakeup_event();
        std::this_thread::sleep_for(again);
    }
}

}  // namespace

offline_guard::offline_guard() {
    if (::access(wakeup_count, W_OK) != 0)
        return;
    begun_ = std::chrono::steady_clock::now();
    const pid_t self = ::getpid();
    helper_ = ::fork();
    if (helper_ == 0)
        keep_cpus_online(self);
}

offline_guard::~offline_guard() {
    if (helper_ <= 0)
        return;
    ::kill(helper_, SIGKILL);
    ::waitpid(helper_, nullptr, 0);
    // Whatever was armed would call off the next suspend.
    auto count = events_so_far();
    if (count && std::chrono::steady_clock::now() - begun_ >= patience)
        arm(*count - 1);
}

Status offline_guard::try_ring() const {
    const pid_t child = ::fork();
    if (child < 0)
        return fail(errno, "cannot fork");
    if (child == 0) {
        io_uring ring{};
        // Refused is an answer, too: whoever needs the ring will say so.
        (void)io_uring_queue_init(1, &ring, 0);
        ::_exit(0);
    }
    const auto end = std::chrono::steady_clock::now() + ring_wait;
    while (::waitpid(child, nullptr, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > end) {
            ::kill(child, SIGKILL);
            return with_hint(fail(ETIMEDOUT,
                                  "the kernel makes no io_uring: a CPU that goes offline waits "
                                  "for requests that a dead daemon left"),
                             "only a restart of the machine ends that; a kernel with "
                             "CONFIG_PM_SLEEP avoids it");
        }
        std::this_thread::sleep_for(ring_poll);
    }
    return {};
}

}  // namespace rr
