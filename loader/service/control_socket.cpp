// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/control_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/event.h"
#include "base/log.h"
#include "service/socket.h"

namespace rr {

Result<std::unique_ptr<control_socket>> control_socket::open(const std::string& path,
                                                             request_handler handler) {
    auto listener = listen_at(path);
    if (!listener)
        return forward_error(listener.error());
    std::unique_ptr<control_socket> out(new control_socket);
    out->path_ = path;
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0)
        out->inode_ = info.st_ino;
    out->listener_ = std::move(*listener);
    out->stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!out->stop_event_)
        return fail(errno, "cannot make an eventfd");
    out->handler_ = std::move(handler);
    out->thread_ = std::thread([at = out.get()] { at->main(); });
    return out;
}

control_socket::~control_socket() {
    if (thread_.joinable()) {
        tell_event(stop_event_.get());
        thread_.join();
    }
    if (listener_ && is_ours())
        ::unlink(path_.c_str());
}

bool control_socket::is_ours() const {
    struct stat info{};
    return ::stat(path_.c_str(), &info) == 0 && info.st_ino == inode_;
}

void control_socket::main() {
    pthread_setname_np(pthread_self(), "rr-control");
    for (;;) {
        pollfd watch[] = {{listener_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}};
        if (::poll(watch, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            log_error("the control socket: poll failed: {}", std::strerror(errno));
            return;
        }
        if (watch[1].revents != 0)
            return;
        serve_client();
    }
}

void control_socket::serve_client() {
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client)
        return;
    auto line = read_line(client.get());
    if (!line)
        return;
    if (auto answer = handler_(*line, client))
        (void)write_line(client.get(), *answer);
}

}  // namespace rr
