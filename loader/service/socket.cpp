// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rr {
namespace {

constexpr size_t line_bytes_max = 1 << 20;
constexpr int write_timeout_ms = 1000;

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return fail(ENAMETOOLONG, "the socket path {} is too long", path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
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

Result<std::string> read_line(int fd, int timeout_ms) {
    std::string line;
    char buffer[4096];
    while (line.size() < line_bytes_max) {
        pollfd watch{fd, POLLIN, 0};
        int ready = ::poll(&watch, 1, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return fail(ready == 0 ? ETIMEDOUT : errno, "no answer on the control socket");
        ssize_t n = ::read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(errno, "cannot read from the control socket");
        if (n == 0)
            return fail(ECONNRESET, "the other side closed the control socket");
        line.append(buffer, static_cast<size_t>(n));
        if (size_t end = line.find('\n'); end != std::string::npos)
            return line.substr(0, end);
    }
    return fail(EMSGSIZE, "a line on the control socket is too long");
}

Status write_line(int fd, const std::string& line) {
    std::string text = line + '\n';
    size_t done = 0;
    while (done < text.size()) {
        pollfd watch{fd, POLLOUT, 0};
        if (::poll(&watch, 1, write_timeout_ms) <= 0)
            return fail(ETIMEDOUT, "cannot write to the control socket");
        ssize_t n = ::send(fd, text.data() + done, text.size() - done,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return fail(errno, "cannot write to the control socket");
        if (n > 0)
            done += static_cast<size_t>(n);
    }
    return {};
}

Result<std::string> ask(const std::string& path, const std::string& line, int timeout_ms) {
    auto fd = connect_to(path);
    if (!fd)
        return forward_error(fd.error());
    if (Status ok = write_line(fd->get(), line); !ok)
        return forward_error(ok.error());
    return read_line(fd->get(), timeout_ms);
}

}  // namespace rr
