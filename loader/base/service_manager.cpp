// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/text.h"

namespace rr {
namespace {

// What a start may take between two steps that it tells: a killed daemon's I/O, the
// verifier on a slow machine, a wait for disks.
constexpr auto patience = std::chrono::minutes(5);

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

uint64_t number(const std::string& text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

service_manager service_manager::of_environment() {
    service_manager out;
    const std::string socket = variable("NOTIFY_SOCKET");
    if (socket.size() < 2 || (socket[0] != '/' && socket[0] != '@') ||
        socket.size() >= sizeof(sockaddr_un::sun_path))
        return out;
    out.socket_ = socket;
    const std::string whose = variable("WATCHDOG_PID");
    if (whose.empty() || number(whose) == static_cast<uint64_t>(::getpid()))
        out.watchdog_ = std::chrono::microseconds(number(variable("WATCHDOG_USEC")));
    return out;
}

bool service_manager::send(const std::string& assignments) const {
    if (socket_.empty())
        return false;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, socket_.data(), socket_.size());
    // An abstract name: the first byte is zero, and the length ends it.
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return fd && ::sendto(fd.get(), assignments.data(), assignments.size(),
                          MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to),
                          length) == static_cast<ssize_t>(assignments.size());
}

void service_manager::status(const std::string& text) {
    if (text == said_)
        return;
    std::string what = "STATUS=" + printable(text);
    if (!ready_)
        what +=
            fmt::format("\nEXTEND_TIMEOUT_USEC={}", std::chrono::microseconds(patience).count());
    if (send(what))
        said_ = text;
}

void service_manager::ready() {
    ready_ = send("READY=1");
}

void service_manager::alive() {
    const auto now = std::chrono::steady_clock::now();
    if (watchdog_.count() == 0 || now < next_mark_)
        return;
    next_mark_ = now + watchdog_ / 4;
    send("WATCHDOG=1");
}

void service_manager::main_is(pid_t pid) {
    send(fmt::format("MAINPID={}", pid));
}

std::vector<std::string> service_manager::environment() const {
    if (socket_.empty())
        return {};
    std::vector<std::string> out = {"NOTIFY_SOCKET=" + socket_};
    if (watchdog_.count() != 0)
        out.push_back(fmt::format("WATCHDOG_USEC={}", watchdog_.count()));
    return out;
}

void service_manager::stopping() {
    send("STOPPING=1\nSTATUS=stopping");
}

}  // namespace rr
