// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a daemon keeps of its caller: looked at in /proc, from outside, in
// children that were given the worst of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "base/fd.h"
#include "base/process.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

std::string slurp(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string field(const std::string& path, const std::string& name) {
    const std::string text = slurp(path);
    size_t at = text.find(name + ":\t");
    if (at == std::string::npos)
        return "";
    at += name.size() + 2;
    return text.substr(at, text.find('\n', at) - at);
}

bool has_capability(unsigned bit) {
    return (std::stoull(field("/proc/self/status", "CapEff"), nullptr, 16) >> bit & 1) != 0;
}

constexpr unsigned cap_sys_resource = 24;

// What @body returns, in a process of its own; -1: it was killed.
int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(body());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A child that did @body and waits; it ends with this object.
class waiting_child {
public:
    explicit waiting_child(const std::function<bool(int report)>& body) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const char done = body(ends[1]) ? 'y' : 'n';
            [[maybe_unused]] ssize_t n = ::write(ends[1], &done, 1);
            for (;;)
                ::pause();
        }
        ::close(ends[1]);
        char answer = 0;
        did_ = ::read(ends[0], &answer, 1) == 1 && answer == 'y';
        ::close(ends[0]);
    }
    ~waiting_child() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    waiting_child(const waiting_child&) = delete;
    waiting_child& operator=(const waiting_child&) = delete;

    [[nodiscard]] bool did() const { return did_; }
    [[nodiscard]] std::string proc(const std::string& name) const {
        return "/proc/" + std::to_string(pid_) + "/" + name;
    }

private:
    pid_t pid_ = -1;
    bool did_ = false;
};

bool is_null(int fd, int mode) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 && st.st_rdev == makedev(1, 3) &&
           (::fcntl(fd, F_GETFL) & O_ACCMODE) == mode && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
}

// Every combination of closed streams; 0 or what is wrong.
int opens_with_closed(unsigned closed) {
    std::array<ino_t, 3> before{};
    for (int fd = 0; fd < 3; fd++) {
        struct stat st{};
        ::fstat(fd, &st);
        before[static_cast<size_t>(fd)] = st.st_ino;
        if ((closed >> fd & 1) != 0)
            ::close(fd);
    }
    if (!occupy_stdio())
        return 10;
    for (int fd = 0; fd < 3; fd++) {
        struct stat st{};
        if ((closed >> fd & 1) != 0) {
            if (!is_null(fd, fd == 0 ? O_RDONLY : O_WRONLY))
                return 20 + fd;
        } else if (::fstat(fd, &st) != 0 || st.st_ino != before[static_cast<size_t>(fd)]) {
            return 30 + fd;
        }
    }
    const Fd next(::open("/", O_RDONLY | O_DIRECTORY));
    return next.get() > 2 ? 0 : 40;
}

TEST(Process, NothingElseGetsTheNumberOfAClosedStream) {
    for (unsigned closed = 0; closed < 8; closed++)
        EXPECT_EQ(in_child([closed] { return opens_with_closed(closed); }), 0) << closed;
}

TEST(Process, ADaemonHoldsNothingOfItsCaller) {
    std::string directory = fs::temp_directory_path() / "ringraid-process-XXXXXX";
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    ::setenv("RINGRAID_TEST_SECRET", "of the caller", 1);
    int kept = -1;
    {
        const waiting_child child([&](int report) {
            ::umask(0);
            // Left over on both sides of the one that is kept.
            for (int fd : {3, 4, 57, 700}) {
                if (fd != report)
                    ::dup2(STDIN_FILENO, fd);
            }
            const std::array keep = {report};
            return ::chdir(directory.c_str()) == 0 && leave_caller(keep).has_value() &&
                   std::getenv("RINGRAID_TEST_SECRET") == nullptr &&
                   std::getenv("PATH") != nullptr && leave_caller(keep).has_value();
        });
        ASSERT_TRUE(child.did());
        EXPECT_EQ(fs::read_symlink(child.proc("cwd")), "/");
        EXPECT_EQ(field(child.proc("status"), "Umask"), "0077");
        EXPECT_EQ(slurp(child.proc("comm")), "ringraid\n");
        EXPECT_EQ(slurp(child.proc("environ")).find_first_not_of('\0'), std::string::npos);
        std::set<int> open;
        for (const auto& entry : fs::directory_iterator(child.proc("fd")))
            open.insert(std::stoi(entry.path().filename()));
        EXPECT_EQ(open.size(), 4U);
        kept = *open.rbegin();
        EXPECT_TRUE(fs::read_symlink(child.proc("fd/" + std::to_string(kept)))
                        .string()
                        .starts_with("pipe:"));
    }
    ::unsetenv("RINGRAID_TEST_SECRET");
    fs::remove(directory);
}

constexpr std::array bounded = {RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_FSIZE,
                                RLIMIT_CPU,    RLIMIT_AS,      RLIMIT_DATA};

// Soft and hard limits of the caller, @by_hard: also as hard as they are.
void bound(bool by_hard) {
    for (auto resource : bounded) {
        rlimit now{};
        ::getrlimit(resource, &now);
        const rlim_t value = resource == RLIMIT_NOFILE  ? 24
                             : resource == RLIMIT_CPU   ? 1000
                             : resource == RLIMIT_FSIZE ? 1 << 20
                                                        : rlim_t{1} << 40;
        const rlimit next = {value, by_hard ? value : now.rlim_max};
        ::setrlimit(resource, &next);
    }
}

// Enough descriptors, no other bound.
bool suffices(__rlimit_resource resource, rlim_t value) {
    return resource == RLIMIT_NOFILE ? value >= 4096 : value == RLIM_INFINITY;
}

// Raising hard limits takes a capability that not every container has.
bool may_raise(bool by_hard) {
    return has_capability(cap_sys_resource) ||
           (!by_hard && std::ranges::all_of(bounded, [](__rlimit_resource resource) {
               rlimit now{};
               ::getrlimit(resource, &now);
               return suffices(resource, now.rlim_max);
           }));
}

TEST(Process, LimitsOfTheCallerAreRaisedOrTheStartIsRefused) {
    for (bool by_hard : {false, true}) {
        const bool wanted = may_raise(by_hard);
        const int wrong = in_child([by_hard, wanted] {
            rlimit core_before{}, core{};
            ::getrlimit(RLIMIT_CORE, &core_before);
            bound(by_hard);
            if (raise_limits().has_value() != wanted)
                return 1;
            for (auto resource : bounded) {
                rlimit now{};
                ::getrlimit(resource, &now);
                if (wanted && !suffices(resource, now.rlim_cur))
                    return 2;
            }
            ::getrlimit(RLIMIT_CORE, &core);
            return core.rlim_cur == core_before.rlim_cur ? 0 : 3;
        });
        EXPECT_EQ(wrong, 0) << (by_hard ? "hard" : "soft");
    }
}

TEST(Process, ALimitThatStaysIsAnErrorThatNamesIt) {
    const int wrong = in_child([] {
        bound(true);
        if (::geteuid() == 0 && ::setuid(65534) != 0)
            return 1;
        Status raised = raise_limits();
        if (raised || raised.error().err != EPERM)
            return 2;
        return raised.error().hint.find("LimitNOFILE=4096") != std::string::npos ? 0 : 3;
    });
    EXPECT_EQ(wrong, 0);
}

TEST(Process, TheOomKillerPassesItOverOrTheStartIsRefused) {
    if (has_capability(cap_sys_resource)) {
        const waiting_child child([](int) { return spare_from_oom().has_value(); });
        EXPECT_TRUE(child.did());
        EXPECT_EQ(slurp(child.proc("oom_score_adj")), "-1000\n");
    }
    const int wrong = in_child([] {
        if (::geteuid() == 0 && ::setuid(65534) != 0)
            return 1;
        Status spared = spare_from_oom();
        return !spared && spared.error().hint.find("OOMScoreAdjust") != std::string::npos ? 0 : 2;
    });
    EXPECT_EQ(wrong, 0);
}

TEST(Process, PathsAreUnderstoodFromTheCallersDirectory) {
    const std::string here = fs::current_path().string();
    const std::vector<std::string> paths = absolute_paths({"disk0", "/dev/disk1", "../d"});
    EXPECT_EQ(paths[0], (here == "/" ? "" : here) + "/disk0");
    EXPECT_EQ(paths[1], "/dev/disk1");
    EXPECT_EQ(paths[2], (here == "/" ? "" : here) + "/../d");
}

}  // namespace
}  // namespace rr::test
