// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The file of events, by who writes and by who follows it; and which failures are news.
#include "service/events.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>

#include "md_helpers.h"

namespace rr {
namespace {

using list = std::vector<std::string>;

class Events : public testing::Test {
protected:
    static nlohmann::json numbered(int n) { return {{"event", "Test"}, {"n", n}}; }
    void add(int n, size_t bytes_most = events_bytes_most) {
        Status added = append_event(path_, numbered(n), bytes_most);
        ASSERT_TRUE(added) << describe(added.error());
    }
    // The numbers of the events that are new to @reader.
    static std::vector<int> numbers(event_reader& reader) {
        std::vector<int> out;
        for (const std::string& line : reader.more())
            out.push_back(nlohmann::json::parse(line)["n"].get<int>());
        return out;
    }
    void write_raw(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }

    const test::scratch_dir dir_;
    // A name in it that nothing has yet.
    const std::string path_ = dir_.file("x", 0) + "-events";
};

TEST_F(Events, AnEventHasATimeAndWhatItIsAbout) {
    const nlohmann::json event = make_event("Fail", {{"name", "h:a\n\xff"}}, {{"role", 2}});
    EXPECT_EQ(event["event"], "Fail");
    EXPECT_EQ(event["schema"], 1);
    EXPECT_EQ(event["role"], 2);
    EXPECT_EQ(event["time"].get<std::string>().size(),
              std::string("2026-01-31T12:00:00.000Z").size());
    // A name is 32 bytes of somebody's disk: it begins no line.
    ASSERT_TRUE(append_event(path_, event));
    event_reader reader(path_);
    const list lines = reader.more();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(nlohmann::json::parse(lines[0]).is_object());
}

TEST_F(Events, TheFileIsItsOwnersAndNoLink) {
    add(1);
    struct stat about{};
    ASSERT_EQ(::stat(path_.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600U);
    std::filesystem::remove(path_);
    std::filesystem::create_symlink(dir_.file("elsewhere", 0), path_);
    EXPECT_FALSE(append_event(path_, numbered(2)));
    std::filesystem::remove(path_);
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_FALSE(append_event(path_, numbered(3)));
}

TEST_F(Events, AReaderGetsEachOnce) {
    event_reader reader(path_);
    EXPECT_TRUE(reader.more().empty());
    add(1);
    add(2);
    EXPECT_EQ(numbers(reader), (std::vector{1, 2}));
    EXPECT_TRUE(reader.more().empty());
    add(3);
    EXPECT_EQ(numbers(reader), (std::vector{3}));
}

TEST_F(Events, TheBoundHoldsAndAFollowerMissesNothing) {
    constexpr size_t most = 200;
    event_reader reader(path_);
    std::vector<int> got;
    for (int n = 0; n < 100; n++) {
        add(n, most);
        EXPECT_LE(std::filesystem::file_size(path_), most);
        if (n % 3 != 0)
            continue;
        for (int one : numbers(reader))
            got.push_back(one);
    }
    for (int one : numbers(reader))
        got.push_back(one);
    ASSERT_EQ(got.size(), 100U);
    for (int n = 0; n < 100; n++)
        EXPECT_EQ(got[n], n);
    // Who comes late gets both files, in order.
    event_reader late(path_);
    const std::vector<int> rest = numbers(late);
    EXPECT_EQ(rest.back(), 99);
    std::filesystem::rename(events_before(path_), path_ + "-aside");
    event_reader last(path_);
    EXPECT_GT(rest.size(), last.more().size());
    EXPECT_TRUE(std::ranges::is_sorted(rest));
}

TEST_F(Events, ASleepyFollowerSkipsFilesButNeitherStopsNorRepeats) {
    constexpr size_t most = 100;
    event_reader reader(path_);
    add(0, most);
    EXPECT_EQ(numbers(reader), (std::vector{0}));
    for (int n = 1; n < 50; n++)
        add(n, most);
    const std::vector<int> rest = numbers(reader);
    ASSERT_FALSE(rest.empty());
    EXPECT_TRUE(std::ranges::is_sorted(rest));
    EXPECT_EQ(rest.back(), 49);
    EXPECT_TRUE(reader.more().empty());
}

TEST_F(Events, AClearedDirectoryIsNoEnd) {
    event_reader reader(path_);
    add(1);
    EXPECT_EQ(numbers(reader), (std::vector{1}));
    std::filesystem::remove(path_);
    EXPECT_TRUE(reader.more().empty());
    add(2);
    EXPECT_EQ(numbers(reader), (std::vector{2}));
}

TEST_F(Events, HalfALineOfADeadWriterSpoilsNoOther) {
    add(1);
    write_raw("{\"event\":\"Te");
    add(2);
    event_reader reader(path_);
    const list lines = reader.more();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(nlohmann::json::parse(lines[2])["n"], 2);
}

TEST_F(Events, AReaderWaitsForTheEndOfALine) {
    event_reader reader(path_);
    write_raw("{\"n\":");
    EXPECT_TRUE(reader.more().empty());
    write_raw("7}\n");
    EXPECT_EQ(numbers(reader), (std::vector{7}));
}

// A file system without room, by the bound of a process.
TEST_F(Events, WithoutRoomALineIsThereWholeOrNotAtAll) {
    add(1);
    const auto before = std::filesystem::file_size(path_);
    rlimit was{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &was), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit little{before + 5, was.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
    Status added = append_event(path_, numbered(2));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &was), 0);
    (void)std::signal(SIGXFSZ, handler);
    EXPECT_FALSE(added);
    EXPECT_EQ(std::filesystem::file_size(path_), before);
    event_reader reader(path_);
    add(3);
    EXPECT_EQ(numbers(reader), (std::vector{1, 3}));
}

TEST_F(Events, TheLogWritesAllBeforeItEnds) {
    {
        event_log log(path_, {{"name", "h:a"}});
        for (int n = 0; n < 50; n++)
            log.add("Test", {{"n", n}});
    }
    event_reader reader(path_);
    EXPECT_EQ(numbers(reader).size(), 50U);
}

TEST_F(Events, ADirectoryThatIsGoneCostsTheEventOnly) {
    event_log log(path_ + "/not/there", {});
    log.add("Test", nlohmann::json::object());
}

class MemberNews : public testing::Test {
protected:
    MemberNews() { array_.geometry.members = 4; }
    void set(uint64_t bits) { array_.state = bits; }
    list look() {
        list out;
        for (const auto& [event, role] : news_->look(array_))
            out.push_back(fmt::format("{} {}", event, role));
        return out;
    }
    rr_array array_{};
    std::optional<member_news> news_;
};

TEST_F(MemberNews, AFailureIsToldOnce) {
    news_.emplace(array_);
    EXPECT_EQ(look(), list{});
    set(1 << 2);
    EXPECT_EQ(look(), (list{"Fail 2"}));
    EXPECT_EQ(look(), list{});
    // It is broken: the second one has only its error.
    array_.members[1].error = EIO;
    set(1 << 2 | RR_STATE_BROKEN);
    EXPECT_EQ(look(), (list{"Fail 1"}));
}

TEST_F(MemberNews, WhatWasMissingAtTheStartIsNoNews) {
    set(1 << 3);
    news_.emplace(array_);
    EXPECT_EQ(look(), list{});
}

TEST_F(MemberNews, ADeviceThatFailsBeforeItIsFilledIsASpare) {
    set(1 << 1);
    news_.emplace(array_);
    set(1 << 1 | RR_STATE_REBUILD);
    EXPECT_EQ(look(), list{});
    set(1 << 1);
    EXPECT_EQ(look(), (list{"FailSpare 1"}));
    set(1 << 1 | RR_STATE_REBUILD);
    EXPECT_EQ(look(), list{});
    set(0);
    EXPECT_EQ(look(), list{});
    set(1 << 1);
    EXPECT_EQ(look(), (list{"Fail 1"}));
}

// All of it between two looks.
TEST_F(MemberNews, ADeviceThatComesAndFailsIsNotOverlooked) {
    set(1 << 1);
    news_.emplace(array_);
    news_->heard("RebuildStarted", 1);
    EXPECT_EQ(look(), (list{"FailSpare 1"}));
    news_->heard("RebuildStarted", 1);
    news_->heard("SpareActive", 1);
    EXPECT_EQ(look(), (list{"Fail 1"}));
}

}  // namespace
}  // namespace rr
