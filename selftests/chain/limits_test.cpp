// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a process can run into beside its files: signals, a full ring, no descriptors,
// no memory, a fork. None of it costs a look-up, hangs, or leaves something open.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include "helpers.h"
#include "test_steps.h"

namespace rr::chained {
namespace {

constexpr uint32_t block = 512;
constexpr unsigned blocks = 1024;

bytes numbered_list() {
    bytes b(uint64_t{blocks} * block);
    for (unsigned n = 0; n < blocks; n++) {
        const test_node node{n + 1 < blocks ? uint64_t{n + 1} * block : 0, n, 1, 1};
        std::memcpy(&b[uint64_t{n} * block], &node, sizeof(node));
    }
    return b;
}

rr_chain_lookup from_block(unsigned n, uint32_t step, const test_query& q) {
    rr_chain_lookup l{};
    l.step = step;
    l.offset = uint64_t{n} * block;
    l.bytes = block;
    l.scratch = &q;
    l.scratch_bytes = sizeof(q);
    l.tag = n;
    l.hops_max = 100000;
    return l;
}

class Limits : public ::testing::Test {
protected:
    rr_chain_options options() {
        file_ = {content_.path().c_str(), 0};
        rr_chain_options o = test_options({&file_, 1});
        o.block_bytes = block;
        o.flags = kernel ? RR_CHAIN_KERNEL : RR_CHAIN_USER;
        return o;
    }

    test_file content_{numbered_list()};
    rr_chain_file file_{};
};

volatile sig_atomic_t signals = 0;
void count_signal(int /*number*/) {
    signals = signals + 1;
}

// With and without SA_RESTART: what wait() gave, and the error, add up to every look-up.
TEST_F(Limits, SignalsCostNoLookup) {
    const chain_ptr chain = open_chain(options());
    ASSERT_TRUE(chain);
    for (const int flags : {0, SA_RESTART}) {
        struct sigaction act{}, before{};
        act.sa_handler = count_signal;
        act.sa_flags = flags;
        ::sigaction(SIGALRM, &act, &before);
        signals = 0;
        const itimerval often{{0, kernel ? 20000 : 500}, {0, 500}};
        ::setitimer(ITIMER_REAL, &often, nullptr);
        unsigned interrupted = 0;
        const test_query q{};
        std::vector<rr_chain_lookup> l;
        for (unsigned i = 0; i < 32; i++)
            l.push_back(from_block(blocks - 8 - i, TEST_FOLLOW, q));
        for (unsigned round = 0; round < 10 || (signals < 20 && round < 5000); round++) {
            ASSERT_EQ(rr_chain_submit(chain.get(), l.data(), 32), 32);
            unsigned got = 0;
            while (got < 32) {
                rr_chain_result r[32];
                const int n = rr_chain_wait(chain.get(), 32 - got, r, 32);
                if (n == -EINTR) {
                    interrupted++;
                    continue;
                }
                ASSERT_GE(n, 0) << rr_chain_error();
                for (int i = 0; i < n; i++) {
                    ASSERT_EQ(r[i].error, 0);
                    ASSERT_EQ(r[i].hops, blocks - r[i].tag);
                }
                got += static_cast<unsigned>(n);
            }
        }
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before, nullptr);
        EXPECT_GT(signals, 0);
        std::printf("# %d signals, %u waits interrupted\n", static_cast<int>(signals), interrupted);
    }
    EXPECT_EQ(rr_chain_in_flight(chain.get()), 0U);
}

// 4096 reads at a time, for a ring of 256.
TEST_F(Limits, MoreReadsThanTheRingHas) {
    rr_chain_options o = options();
    o.depth = 512;
    o.fan_out = 8;
    o.bytes_most = 1 << 30;
    o.hops_per_turn = 4096;
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    test_query q{};
    q.bytes = block;
    q.count = 8;
    q.offset = 40 * block;
    const std::vector<rr_chain_lookup> l(512, from_block(0, TEST_FAN, q));
    for (unsigned round = 0; round < (kernel ? 2U : 5U); round++) {
        ASSERT_EQ(rr_chain_submit(chain.get(), l.data(), 512), 512);
        std::vector<rr_chain_result> r(512);
        ASSERT_EQ(rr_chain_wait(chain.get(), 512, r.data(), 512), 512) << rr_chain_error();
        uint64_t want = 0;
        for (uint64_t i = 0; i < 8; i++)
            want += (40 + i) * (i + 1);
        for (const rr_chain_result& x : r) {
            ASSERT_EQ(x.error, 0);
            ASSERT_EQ(reinterpret_cast<const test_query*>(x.scratch)->sum, want);
        }
    }
}

unsigned open_descriptors() {
    unsigned n = 0;
    DIR* d = ::opendir("/proc/self/fd");
    while (::readdir(d) != nullptr)
        n++;
    ::closedir(d);
    return n;
}

// In a child, whose limits are its own: 0, or what went wrong.
int in_a_child(const std::function<int()>& work) {
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0)
        std::_Exit(work());
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Every number of descriptors short of what a chain needs: an error that names it.
TEST_F(Limits, NoDescriptorsLeft) {
    const rr_chain_options o = options();
    EXPECT_EQ(in_a_child([&] {
                  // The limit is of numbers, so there must be no holes.
                  ::close_range(3, ~0U, 0);
                  const unsigned before = open_descriptors();
                  unsigned refused = 0;
                  for (unsigned more = 0; more < 64; more++) {
                      const rlimit few{3 + more, 3 + 64};
                      ::setrlimit(RLIMIT_NOFILE, &few);
                      rr_chain* c = nullptr;
                      const int r = rr_chain_open(&o, &c);
                      const std::string says = rr_chain_error();
                      rr_chain_close(c);
                      const rlimit enough{3 + 64, 3 + 64};
                      ::setrlimit(RLIMIT_NOFILE, &enough);
                      if (open_descriptors() != before)
                          return 2;
                      if (r == 0)
                          return refused > 0 ? 0 : 3;
                      if (says.empty() || c != nullptr)
                          return 4;
                      refused++;
                  }
                  return 5;
              }),
              0);
}

TEST_F(Limits, NoMemoryLeft) {
    rr_chain_options o = options();
    o.depth = 512;
    o.block_bytes = 1 << 20;
    EXPECT_EQ(in_a_child([&] {
                  const rlimit little{1 << 28, 1 << 28};
                  ::setrlimit(RLIMIT_AS, &little);
                  rr_chain* c = nullptr;
                  const int r = rr_chain_open(&o, &c);
                  return r == -ENOMEM && c == nullptr && *rr_chain_error() != 0 ? 0 : 1 - r % 200;
              }),
              0);
}

// From now on this process has no rights, and may pin that many bytes. Its user is
// another one each time: what a ring has pinned is given back some time after its end.
void become_nobody(rlim_t pinned, uid_t user) {
    const rlimit most{pinned, pinned};
    if (::setrlimit(RLIMIT_MEMLOCK, &most) != 0 || ::setresgid(user, user, user) != 0 ||
        ::setresuid(user, user, user) != 0)
        std::_Exit(99);
}

// An application without rights has the loop in user space, is told why, and told what
// to do where it may not pin its buffers.
TEST_F(Limits, AnApplicationWithoutRights) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "nobody is root here";
    const int fd = ::open(content_.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const rr_chain_file file{nullptr, fd};
    rr_chain_options o = test_options({&file, 1});
    o.block_bytes = block;
    // 0: it works; 1: refused for what may be pinned; else what is wrong.
    uid_t user = 65000;
    const auto open_and_look = [&](rlim_t pinned, unsigned depth) {
        become_nobody(pinned, user);
        o.depth = depth;
        rr_chain* c = nullptr;
        if (const int r = rr_chain_open(&o, &c); r != 0) {
            const std::string says = rr_chain_error();
            std::printf("# %s\n", says.c_str());
            std::fflush(stdout);
            const std::string hint = fmt::format("RLIMIT_MEMLOCK, which is {} bytes", pinned);
            return r == -ENOMEM && c == nullptr && says.find(hint) != std::string::npos ? 1 : 2;
        }
        if (std::strcmp(rr_chain_engine(c), "user") != 0 || *rr_chain_why(c) == 0)
            return 3;
        const test_query q{};
        const answer a = ask(c, from_block(blocks - 9, TEST_FOLLOW, q));
        rr_chain_close(c);
        return a.error == 0 && a.hops == 9 ? 0 : 4;
    };
    // 64 buffers are 256 KiB; whether the ring counts, too, depends on the kernel.
    const struct {
        rlim_t pinned;
        unsigned depth;
        int want;
    } cases[] = {{64 << 10, 64, 1}, {192 << 10, 64, 1}, {256 << 10, 8, 0}, {8 << 20, 512, 0}};
    for (const auto& x : cases) {
        user++;
        EXPECT_EQ(in_a_child([&] { return open_and_look(x.pinned, x.depth); }), x.want)
            << x.pinned << " " << x.depth;
    }
    // Who insists on the kernel is refused.
    EXPECT_EQ(in_a_child([&] {
                  become_nobody(1 << 20, user + 1);
                  o.flags = RR_CHAIN_KERNEL;
                  rr_chain* c = nullptr;
                  const int r = rr_chain_open(&o, &c);
                  return r != 0 && c == nullptr && *rr_chain_error() != 0 ? 0 : 1;
              }),
              0);
    ::close(fd);
}

// The child may not use the chain, may close it, and its parent does not notice.
TEST_F(Limits, AForkLeavesTheParentsChainAlone) {
    rr_chain_options o = options();
    o.depth = 8;
    chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    const test_query q{};
    const rr_chain_lookup l = from_block(blocks - 40, TEST_FOLLOW, q);
    EXPECT_EQ(ask(chain.get(), l).hops, 40U);
    ASSERT_EQ(rr_chain_submit(chain.get(), &l, 1), 1);
    EXPECT_EQ(in_a_child([&] {
                  rr_chain_result r;
                  if (rr_chain_submit(chain.get(), &l, 1) != -EEXIST)
                      return 1;
                  if (rr_chain_wait(chain.get(), 1, &r, 1) != -EEXIST)
                      return 2;
                  if (rr_chain_refresh(chain.get(), 0) != -EEXIST)
                      return 3;
                  rr_chain_close(chain.get());
                  return 0;
              }),
              0);
    rr_chain_result r;
    ASSERT_EQ(rr_chain_wait(chain.get(), 1, &r, 1), 1) << rr_chain_error();
    EXPECT_EQ(r.error, 0);
    EXPECT_EQ(r.hops, 40U);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(ask(chain.get(), l).hops, 40U);
}

// A thread's number may come again in a child, and a chain be closed with reads under way.
TEST_F(Limits, ClosedWithReadsUnderWay) {
    const rr_chain_options o = options();
    const unsigned before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        const chain_ptr chain = open_chain(o);
        ASSERT_TRUE(chain);
        const test_query q{};
        const std::vector<rr_chain_lookup> l(64, from_block(0, TEST_FOLLOW, q));
        ASSERT_EQ(rr_chain_submit(chain.get(), l.data(), 64), 64);
        rr_chain_result r;
        rr_chain_poll(chain.get(), &r, 1);
        if (kernel)
            break;
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace rr::chained
