// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/fd.h"
#include "base/first_line.h"

namespace rr {
namespace {

constexpr const char* process_name = "ringraid";
// Sixteen members twice (their NVMe namespaces), a ring and its event for each
// queue, the BPF objects: some hundreds. An upgrade holds two sets.
constexpr rlim_t descriptors_needed = 4096;
// The control thread parses JSON, the others do less. All of it is locked in
// memory, in every thread, and without this it would be the caller's `ulimit
// -s`.
constexpr size_t stack_bytes = size_t{512} << 10;
constexpr const char* oom_file = "/proc/self/oom_score_adj";
constexpr const char* never = "-1000";

// The real one: where /dev is somebody's invention, a regular file of that name
// would collect what is written to it.
bool is_null_device(int fd) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

// Opens the lowest number that is free: @fd, when all below are taken.
bool occupy(int fd) {
    int got = ::open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
    if (got >= 0 && !is_null_device(got)) {
        ::close(got);
        got = -1;
    }
    // Neither read nor written, but it keeps the number.
    if (got < 0)
        got = ::open("/", O_PATH | O_DIRECTORY);
    return got == fd;
}

struct limit {
    __rlimit_resource resource;
    const char* name;  // as systemd has it
    rlim_t least;
};

constexpr std::array limits = {
    limit{RLIMIT_NOFILE, "LimitNOFILE", descriptors_needed},
    limit{RLIMIT_MEMLOCK, "LimitMEMLOCK", RLIM_INFINITY},
    limit{RLIMIT_AS, "LimitAS", RLIM_INFINITY},
    limit{RLIMIT_DATA, "LimitDATA", RLIM_INFINITY},
    limit{RLIMIT_FSIZE, "LimitFSIZE", RLIM_INFINITY},
    limit{RLIMIT_CPU, "LimitCPU", RLIM_INFINITY},
};

std::string limit_text(rlim_t value) {
    return value == RLIM_INFINITY ? "infinity" : fmt::format("{}", value);
}

// The soft limit is what counts; the hard one goes up only where it must.
Status raise(const limit& want) {
    rlimit now{};
    if (::getrlimit(want.resource, &now) != 0)
        return fail(errno, "cannot read {}", want.name);
    if (now.rlim_cur >= want.least)
        return {};
    const rlimit next = {std::max(now.rlim_max, want.least), std::max(now.rlim_max, want.least)};
    if (::setrlimit(want.resource, &next) == 0)
        return {};
    return with_hint(fail(errno, "cannot raise a limit of this process from {} to {}",
                          limit_text(now.rlim_max), limit_text(want.least)),
                     fmt::format("run as root (CAP_SYS_RESOURCE), or with {}={}", want.name,
                                 limit_text(want.least)));
}

std::string read_line_of(const char* path) {
    std::array<char, 64> text{};
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    const ssize_t n = file ? ::read(file.get(), text.data(), text.size()) : -1;
    std::string line(text.data(), n > 0 ? static_cast<size_t>(n) : 0);
    return line.substr(0, line.find('\n'));
}

Status close_all_but(std::span<const int> keep) {
    std::vector<unsigned> kept;
    for (int fd : keep) {
        if (fd > STDERR_FILENO)
            kept.push_back(static_cast<unsigned>(fd));
    }
    std::ranges::sort(kept);
    unsigned first = STDERR_FILENO + 1;
    for (unsigned fd : kept) {
        if (fd > first && ::close_range(first, fd - 1, 0) != 0)
            return fail(errno, "cannot close the caller's descriptors");
        first = fd + 1;
    }
    if (::close_range(first, ~0U, 0) != 0)
        return fail(errno, "cannot close the caller's descriptors");
    return {};
}

// What is ignored stays ignored across exec(): with SIGCHLD, no child could be
// waited for.
void forget_dispositions() {
    for (int number = 1; number < NSIG; number++)
        ::signal(number, SIG_DFL);
}

Status bound_stacks() {
    pthread_attr_t attributes;
    int err = ::pthread_attr_init(&attributes);
    if (err == 0)
        err = ::pthread_attr_setstacksize(&attributes, stack_bytes);
    if (err == 0)
        err = ::pthread_setattr_default_np(&attributes);
    return err == 0 ? Status{} : Status(fail(err, "cannot bound the stacks of threads"));
}

// The kernel shows the bytes that exec() put on the stack, whatever setenv() does
// later: they are cleared where they are.
void forget_environment() {
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char locale[] = "LC_ALL=C.UTF-8";
    static std::array<char*, 3> own = {path, locale, nullptr};
    if (environ == own.data())
        return;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; entry++)
        ::explicit_bzero(*entry, std::strlen(*entry));
    environ = own.data();
}

}  // namespace

bool occupy_stdio() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (::fcntl(fd, F_GETFD) < 0 && !occupy(fd))
            return false;
    }
    return true;
}

Status raise_limits() {
    for (const limit& want : limits) {
        if (Status ok = raise(want); !ok)
            return ok;
    }
    return {};
}

Status spare_from_oom() {
    int err = 0;
    {
        const Fd file(::open(oom_file, O_WRONLY | O_CLOEXEC));
        if (!file || ::write(file.get(), never, std::strlen(never)) < 0)
            err = errno;
    }
    if (read_line_of(oom_file) == never)
        return {};
    return with_hint(fail(err != 0 ? err : EPERM, "cannot be spared by the OOM killer"),
                     "run as root (CAP_SYS_RESOURCE), or with OOMScoreAdjust=-1000");
}

Status leave_caller(std::span<const int> keep) {
    if (::chdir("/") != 0)
        return fail(errno, "cannot go to the root directory");
    ::umask(077);
    forget_environment();
    forget_dispositions();
    if (Status ok = bound_stacks(); !ok)
        return ok;
    ::prctl(PR_SET_NAME, process_name, 0, 0, 0);
    return close_all_but(keep);
}

std::vector<std::string> absolute_paths(const std::vector<std::string>& paths) {
    std::vector<std::string> out;
    for (const std::string& path : paths) {
        std::error_code failed;
        std::filesystem::path whole = std::filesystem::absolute(path, failed);
        out.push_back(failed ? path : whole.string());
    }
    return out;
}

// proc_pid_stat(5): "PID (NAME) STATE ...", where the name may hold anything.
std::string boot_id() {
    return first_line("/proc/sys/kernel/random/boot_id");
}

uint64_t started_at(int pid) {
    constexpr size_t state = 0, flags = 6, start = 19;  // after the name
    constexpr uint64_t exiting = 0x4;                   // PF_EXITING
    const std::string line = first_line(fmt::format("/proc/{}/stat", pid));
    const size_t name_end = line.rfind(')');
    if (pid <= 0 || name_end == std::string::npos)
        return 0;
    std::istringstream rest(line.substr(name_end + 1));
    const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
    if (fields.size() <= start || std::string_view("ZXx").find(fields[state]) != std::string::npos)
        return 0;
    if ((std::strtoull(fields[flags].c_str(), nullptr, 10) & exiting) != 0)
        return 0;
    return std::strtoull(fields[start].c_str(), nullptr, 10);
}

}  // namespace rr
