// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "service/places.h"
#include "service/report.h"

namespace rr {
namespace {

constexpr int line_ms = 5000;
// Parking gives up much sooner, and says so.
constexpr int turn_ms = 60 * 1000;
// Flushes and a record of failures may be in between: a bound for a daemon that hangs.
constexpr int release_ms = 30 * 1000;

std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (std::string& word : words)
        out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

}  // namespace

uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

Result<successor_process> successor_process::start(const std::string& program,
                                                   const std::vector<std::string>& environment) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(errno, "cannot make a socket pair");
    Fd ours(ends[0]);
    // Above the number that it shall have there: what has that number already would keep
    // its mark to be closed.
    const Fd theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, successor_fd + 1));
    ::close(ends[1]);
    if (!theirs)
        return fail(errno, "cannot make a socket pair");
    std::vector<std::string> words = {"ringraid", "successor"};
    std::vector<std::string> variables = environment;
    variables.emplace_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    variables.emplace_back("LC_ALL=C.UTF-8");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), successor_fd);
    pid_t pid = -1;
    const int r = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, pointers_to(words).data(),
                                pointers_to(variables).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return fail(r, "cannot start {}", program);
    return successor_process(pid, std::move(ours));
}

successor_process::successor_process(successor_process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      line_(std::move(other.line_)),
      lines_(std::move(other.lines_)) {}

successor_process::~successor_process() {
    if (pid_ <= 0)
        return;
    // It has only looked.
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

bool successor_process::is_gone() const {
    pollfd watch = {line_.get(), 0, 0};
    return ::poll(&watch, 1, 0) > 0 && (watch.revents & (POLLHUP | POLLERR)) != 0;
}

Status successor_process::tell(const nlohmann::json& what) {
    return write_line(line_.get(), to_line(what));
}

Result<nlohmann::json> successor_process::hear(int timeout_ms) {
    auto line = lines_.next(timeout_ms);
    if (!line)
        return fail(line.error().err, "the next daemon ended without a word");
    nlohmann::json told = nlohmann::json::parse(*line, nullptr, false);
    if (!told.is_object())
        return fail(EPROTO, "the next daemon says what is no JSON object");
    if (told.contains("error"))
        return forward_error(error_of(told));
    return told;
}

Result<nlohmann::json> predecessor_line::take() {
    auto line = lines_.next(line_ms);
    if (!line)
        return forward_error(line.error());
    const nlohmann::json told = nlohmann::json::parse(*line, nullptr, false);
    if (!told.is_object() || !told.contains("take") || !told["take"].is_object())
        return fail(EPROTO, "the daemon that serves says nothing of its array");
    return told["take"];
}

Status predecessor_line::await_turn() {
    auto line = lines_.next(turn_ms);
    if (!line)
        return fail(ECANCELED, "the daemon that serves did not hand over");
    const nlohmann::json told = nlohmann::json::parse(*line, nullptr, false);
    if (!told.is_object() || !told.contains("yours"))
        return fail(ECANCELED, "the daemon that serves hands over no more");
    since_ns_ = told["yours"].is_object() ? told["yours"].value("since_ns", uint64_t{0}) : 0;
    return {};
}

void predecessor_line::await_release() {
    (void)lines_.next(release_ms);
}

}  // namespace rr
