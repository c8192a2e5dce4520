// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <span>

#include "base/fd.h"
#include "base/io.h"

namespace rr {
namespace {

// A file, so that nobody waits for a program that does not read.
Result<Fd> input_file(const std::string& input) {
    Fd file(input.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC)
                          : ::memfd_create("input", MFD_CLOEXEC));
    if (!file)
        return fail(errno, "cannot make the input of a program");
    const auto* bytes = reinterpret_cast<const uint8_t*>(input.data());
    if (Status ok = write_exact(file.get(), std::span(bytes, input.size()), 0); !ok)
        return forward_error(ok.error());
    return file;
}

class spawn_settings {
public:
    explicit spawn_settings(int input) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none{}, all{};
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    }
    ~spawn_settings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    spawn_settings(const spawn_settings&) = delete;
    spawn_settings& operator=(const spawn_settings&) = delete;

    // The errno, or 0.
    int spawn(pid_t& pid, const std::vector<std::string>& words) {
        std::vector<char*> argv;
        argv.reserve(words.size() + 1);
        for (const std::string& word : words)
            argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        std::array<char*, 3> environment = {
            const_cast<char*>("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            const_cast<char*>("LC_ALL=C.UTF-8"), nullptr};
        return ::posix_spawn(&pid, argv[0], &actions_, &attributes_, argv.data(),
                             environment.data());
    }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

// False: it still runs.
bool ends_within(pid_t pid, std::chrono::milliseconds most) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd one = {process.get(), POLLIN, 0};
    return !process || ::poll(&one, 1, static_cast<int>(most.count())) != 0;
}

}  // namespace

Status run_program(const std::vector<std::string>& words, const std::string& input,
                   std::chrono::milliseconds most) {
    auto file = input_file(input);
    if (!file)
        return forward_error(file.error());
    pid_t pid = 0;
    if (const int err = spawn_settings(file->get()).spawn(pid, words); err != 0)
        return fail(err, "cannot run {}", words[0]);
    const bool ended = ends_within(pid, most);
    if (!ended)
        ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended)
        return fail(ETIMEDOUT, "{} did not end", words[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail(EPROTO, "{} ended with {}", words[0],
                    WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return {};
}

}  // namespace rr
