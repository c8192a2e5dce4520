// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

namespace rr {
namespace {

constexpr size_t line_bytes_max = 1 << 20;
constexpr int write_timeout_ms = 1000;

using steady = std::chrono::steady_clock;

// What is left until @end for poll(): 0 when it is over.
int left_ms(steady::time_point end) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return fail(ENAMETOOLONG, "the socket path {} is too long", path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

// The text of a line that is no answer yet.
std::optional<std::string> progress_of(const std::string& line) {
    const nlohmann::json told = nlohmann::json::parse(line, nullptr, false);
    if (!told.is_object() || !told.contains("progress") || !told["progress"].is_string())
        return std::nullopt;
    return told["progress"].get<std::string>();
}

}  // namespace

Result<Fd> listen_at(const std::string& path) {
    auto address = address_of(path);
    if (!address)
        return forward_error(address.error());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd)
        return fail(errno, "cannot make a socket");
    ::unlink(path.c_str());
    mode_t before = ::umask(0177);
    int r = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&*address), sizeof(*address));
    ::umask(before);
    if (r != 0 || ::listen(fd.get(), 16) != 0)
        return fail(errno, "cannot listen at {}", path);
    return fd;
}

Result<Fd> connect_to(const std::string& path) {
    auto address = address_of(path);
    if (!address)
        return forward_error(address.error());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd)
        return fail(errno, "cannot make a socket");
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&*address), sizeof(*address)) != 0)
        return fail(errno, "no daemon answers at {}", path);
    return fd;
}

Result<std::string> line_reader::next(int timeout_ms) {
    char buffer[4096];
    const auto end = steady::now() + std::chrono::milliseconds(timeout_ms);
    while (rest_.size() < line_bytes_max) {
        if (const size_t stop = rest_.find('\n'); stop != std::string::npos) {
            std::string line = rest_.substr(0, stop);
            rest_.erase(0, stop + 1);
            return line;
        }
        pollfd watch{fd_, POLLIN, 0};
        int ready = ::poll(&watch, 1, timeout_ms < 0 ? -1 : left_ms(end));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return fail(ready == 0 ? ETIMEDOUT : errno, "no answer on the control socket");
        ssize_t n = ::read(fd_, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(errno, "cannot read from the control socket");
        if (n == 0)
            return fail(ECONNRESET, "the other side closed the control socket");
        rest_.append(buffer, static_cast<size_t>(n));
    }
    return fail(EMSGSIZE, "a line on the control socket is too long");
}

Result<std::string> read_line(int fd, int timeout_ms) {
    return line_reader(fd).next(timeout_ms);
}

Status write_line(int fd, const std::string& line) {
    std::string text = line + '\n';
    size_t done = 0;
    const auto end = steady::now() + std::chrono::milliseconds(write_timeout_ms);
    while (done < text.size()) {
        pollfd watch{fd, POLLOUT, 0};
        if (::poll(&watch, 1, left_ms(end)) <= 0)
            return fail(ETIMEDOUT, "cannot write to the control socket");
        ssize_t n = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return fail(errno, "cannot write to the control socket");
        if (n > 0)
            done += static_cast<size_t>(n);
    }
    return {};
}

Result<std::string> ask(const std::string& path, const std::string& line, int timeout_ms,
                        const progress_listener& progress) {
    auto fd = connect_to(path);
    if (!fd)
        return forward_error(fd.error());
    if (Status ok = write_line(fd->get(), line); !ok)
        return forward_error(ok.error());
    line_reader answers(fd->get());
    for (;;) {
        auto answer = answers.next(timeout_ms);
        const auto text = answer ? progress_of(*answer) : std::nullopt;
        if (!text)
            return answer;
        timeout_ms = -1;
        if (progress)
            progress(*text);
    }
}

}  // namespace rr
