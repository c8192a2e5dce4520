// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs of others: what they get, and that nobody waits for them for ever.
#include "base/run_program.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "md_helpers.h"

namespace rr {
namespace {

using namespace std::chrono_literals;

Status shell(const std::string& script, const std::string& input = "",
             std::chrono::milliseconds most = 60s) {
    return run_program({"/bin/sh", "-c", script, "sh", "a b"}, input, most);
}

int err_of(const Status& of) {
    return of ? 0 : of.error().err;
}

TEST(RunProgram, ItGetsItsWordsAndItsInput) {
    EXPECT_TRUE(shell("[ \"$1\" = 'a b' ] && [ \"$(cat)\" = text ]", "text"));
    // More than a pipe holds, and nobody reads it.
    EXPECT_TRUE(shell("true", std::string(1 << 20, 'x')));
    EXPECT_TRUE(shell("[ -z \"$(cat)\" ] && [ \"$(ls /proc/self/fd | wc -l)\" -le 4 ]"));
}

TEST(RunProgram, ItsEnvironmentIsOurs) {
    ::setenv("LD_PRELOAD_NOT", "1", 1);
    EXPECT_TRUE(shell("[ -z \"$LD_PRELOAD_NOT\" ] && [ -n \"$PATH\" ] && command -v ls"));
    ::unsetenv("LD_PRELOAD_NOT");
}

TEST(RunProgram, SignalsThatWeBlockAreNotBlockedThere) {
    sigset_t block{}, before{};
    ::sigemptyset(&block);
    ::sigaddset(&block, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &block, &before);
    EXPECT_EQ(err_of(shell("kill -TERM $$; true")), EPROTO);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(RunProgram, HowItEndsIsTold) {
    EXPECT_EQ(err_of(shell("exit 3")), EPROTO);
    EXPECT_EQ(err_of(run_program({"/does/not/exist"}, "", 1s)), ENOENT);
    EXPECT_EQ(err_of(run_program({"/etc"}, "", 1s)), EACCES);
}

TEST(RunProgram, WhoDoesNotEndIsKilledWithItsChildren) {
    const test::scratch_dir dir;
    const std::string mark = dir.file("x", 0) + "-mark";
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(err_of(shell("(sleep 3; touch " + mark + ") & sleep 60", "", 300ms)), ETIMEDOUT);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 30s);
    ::sleep(4);
    EXPECT_FALSE(std::filesystem::exists(mark));
}

}  // namespace
}  // namespace rr
