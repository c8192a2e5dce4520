// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a service manager hears, over sockets as systemd makes them.
#include "base/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/fd.h"

namespace rr {
namespace {

class manager_socket {
public:
    // An abstract name, as of a container's manager, or a path.
    explicit manager_socket(bool abstract) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const std::string name =
            (abstract ? "@" : "/tmp/") + std::string("rr-notify-") + std::to_string(::getpid());
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::memcpy(to.sun_path, name.data(), name.size());
        if (abstract)
            to.sun_path[0] = '\0';
        else
            path_ = name;
        const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&to), length), 0);
        ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    }
    ~manager_socket() {
        if (!path_.empty())
            ::unlink(path_.c_str());
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
            ::unsetenv(name);
    }
    manager_socket(const manager_socket&) = delete;
    manager_socket& operator=(const manager_socket&) = delete;

    // Empty: nothing was said.
    std::string heard() {
        std::array<char, 512> text{};
        const ssize_t n = ::recv(fd_.get(), text.data(), text.size(), MSG_DONTWAIT);
        return {text.data(), n > 0 ? static_cast<size_t>(n) : 0};
    }

private:
    Fd fd_;
    std::string path_;
};

TEST(ServiceManager, HearsNothingWhereThereIsNone) {
    ::unsetenv("NOTIFY_SOCKET");
    service_manager nobody = service_manager::of_environment();
    EXPECT_FALSE(nobody);
    nobody.ready();
    for (const char* bad : {"", "/", "relative", "vsock:2:1"}) {
        ::setenv("NOTIFY_SOCKET", bad, 1);
        EXPECT_FALSE(service_manager::of_environment()) << bad;
    }
    ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
    EXPECT_FALSE(service_manager::of_environment());
    ::unsetenv("NOTIFY_SOCKET");
}

TEST(ServiceManager, HearsWhatAStartDoesAndThatItIsOver) {
    for (bool abstract : {false, true}) {
        manager_socket socket(abstract);
        service_manager manager = service_manager::of_environment();
        ASSERT_TRUE(manager);
        manager.status("waiting for 1 of 4 members");
        EXPECT_EQ(socket.heard(),
                  "STATUS=waiting for 1 of 4 members\nEXTEND_TIMEOUT_USEC=300000000");
        manager.status("waiting for 1 of 4 members");
        EXPECT_EQ(socket.heard(), "");
        manager.ready();
        EXPECT_EQ(socket.heard(), "READY=1");
        manager.status("healthy");
        EXPECT_EQ(socket.heard(), "STATUS=healthy");
        manager.stopping();
        EXPECT_EQ(socket.heard(), "STOPPING=1\nSTATUS=stopping");
    }
}

// An array's name is 32 bytes of somebody's disk.
TEST(ServiceManager, HearsOneLine) {
    manager_socket socket(false);
    service_manager manager = service_manager::of_environment();
    manager.ready();
    (void)socket.heard();
    manager.status("array a\nREADY=1");
    EXPECT_EQ(socket.heard(), "STATUS=array a\\nREADY=1");
}

TEST(ServiceManager, HearsTheWatchdogsMarkInTime) {
    manager_socket socket(false);
    service_manager manager = service_manager::of_environment();
    manager.alive();
    EXPECT_EQ(socket.heard(), "") << "nobody asked for marks";
    ::setenv("WATCHDOG_USEC", "40000", 1);
    ::setenv("WATCHDOG_PID", "1", 1);
    manager = service_manager::of_environment();
    manager.alive();
    EXPECT_EQ(socket.heard(), "") << "another process was asked";
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    manager = service_manager::of_environment();
    manager.alive();
    EXPECT_EQ(socket.heard(), "WATCHDOG=1");
    ::usleep(15000);
    manager.alive();
    EXPECT_EQ(socket.heard(), "WATCHDOG=1");
}

}  // namespace
}  // namespace rr
