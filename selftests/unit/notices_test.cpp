// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the monitor makes of events, and where it goes on after it was killed.
#include "service/notices.h"

#include <gtest/gtest.h>
#include <syslog.h>

#include "md_helpers.h"

namespace rr {
namespace {

notice made(const nlohmann::json& event) {
    auto out = notice_of(event);
    EXPECT_TRUE(out);
    return out.value_or(notice{});
}

TEST(Notices, FailuresAndLossesAreMailed) {
    for (const char* event : {"Fail", "FailSpare", "DegradedArray", "TestMessage", "DaemonDied",
                              "Fenced", "WaitingForMembers"})
        EXPECT_TRUE(made({{"event", event}}).needs_mail()) << event;
    for (const char* event :
         {"NewArray", "DeviceDisappeared", "RebuildStarted", "Rebuild20", "SpareActive"})
        EXPECT_FALSE(made({{"event", event}}).needs_mail()) << event;
    EXPECT_FALSE(made({{"event", "RebuildFinished"}, {"mismatch_sectors", 0}}).needs_mail());
    EXPECT_TRUE(made({{"event", "RebuildFinished"}, {"mismatch_sectors", 8U}}).needs_mail());
    EXPECT_EQ(made({{"event", "Fail"}}).priority(), LOG_CRIT);
    EXPECT_EQ(made({{"event", "NewArray"}}).priority(), LOG_INFO);
    EXPECT_FALSE(notice_of(nlohmann::json::array()));
    EXPECT_FALSE(notice_of({{"event", 7}}));
}

TEST(Notices, AMailIsWholeAndItsHeadIsNotForged) {
    const notice what = made({{"event", "Fail"},
                              {"name", "h:da\nBcc: x\xff\xc3\xa4"},
                              {"device", "/dev/nvme1n1"},
                              {"role", 2},
                              {"error", "I/O error"},
                              {"time", "2026-01-31T12:00:00.000Z"}});
    const std::string mail = mail_of(what, "root", "a\r\nBcc: y", "host", "state : degraded\n");
    const std::string head = mail.substr(0, mail.find("\n\n"));
    EXPECT_EQ(head,
              "From: ringraid monitoring <a\\r\\nBcc: y>\nTo: root\n"
              "Subject: Fail event on da\\nBcc: x\\xff??:host\nAuto-Submitted: auto-generated\n"
              "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
              "Content-Transfer-Encoding: 8bit");
    EXPECT_NE(mail.find("device /dev/nvme1n1, error I/O error, role 2\n"), std::string::npos);
    EXPECT_NE(mail.find("nvme smart-log /dev/nvme1n1 says"), std::string::npos);
    EXPECT_TRUE(mail.ends_with("\nstate : degraded\n"));
}

TEST(Notices, TimesAreUtc) {
    EXPECT_EQ(seconds_of("1970-01-02T00:00:01.500Z"), 86401);
    EXPECT_EQ(seconds_of("yesterday"), 0);
    EXPECT_EQ(seconds_of(""), 0);
}

class Told : public testing::Test {
protected:
    void add(int n, size_t bytes_most = events_bytes_most) {
        ASSERT_TRUE(append_event(path_, {{"event", "Test"}, {"n", n}}, bytes_most));
    }
    // Reads @most events and tells where it is behind the last one.
    event_place read(const event_place& from, size_t most) {
        event_place at = from;
        event_reader reader(path_, from);
        for (const event_line& line : reader.more_lines()) {
            if (most-- == 0)
                break;
            got_.push_back(nlohmann::json::parse(line.text)["n"].get<int>());
            at = line.behind;
        }
        return at;
    }

    const test::scratch_dir dir_;
    const std::string path_ = dir_.file("x", 0) + "-events";
    std::vector<int> got_;
};

// Killed after each number of events, over files that are exchanged meanwhile.
TEST_F(Told, AReaderThatIsMadeAnewGoesOnWhereItWas) {
    for (size_t step = 1; step < 7; step++) {
        std::filesystem::remove(path_);
        std::filesystem::remove(events_before(path_));
        got_.clear();
        event_place at;
        for (int n = 0; n < 60; n++) {
            add(n, 400);
            if (n % 5 == 4) {
                for (int i = 0; i < 6; i++)
                    at = read(at, step);
            }
        }
        ASSERT_EQ(got_.size(), 60U) << step;
        for (int n = 0; n < 60; n++)
            EXPECT_EQ(got_[n], n);
    }
}

TEST_F(Told, APlaceThatIsNowhereIsTheBeginning) {
    add(1);
    add(2);
    const event_place at = read({}, 1);
    for (event_place wrong : {event_place{at.device, at.inode + 1, at.offset},
                              event_place{at.device, at.inode, at.offset + 1},
                              event_place{at.device, at.inode, 1 << 20}}) {
        got_.clear();
        read(wrong, 10);
        EXPECT_EQ(got_, (std::vector{1, 2}));
    }
}

TEST_F(Told, NotesAreKeptAndDamagedOnesAreNone) {
    const std::string path = path_ + "-notes";
    told_notes notes(path);
    notes.arrays()["u"] = {{1, 2, 3}, 4, 5};
    ASSERT_TRUE(notes.save());
    told_notes again(path);
    ASSERT_EQ(again.arrays().size(), 1U);
    EXPECT_EQ(again.arrays()["u"].place, (event_place{1, 2, 3}));
    EXPECT_EQ(again.arrays()["u"].mailed, 4);
    EXPECT_EQ(again.arrays()["u"].dead, 5U);
    for (const char* text : {"", "{", "[1]", "{\"arrays\":7}", "{\"arrays\":{\"u\":7}}"}) {
        std::ofstream(path) << text;
        EXPECT_TRUE(told_notes(path).arrays().empty()) << text;
    }
    std::ofstream(path) << R"({"arrays":{"u":{"inode":"x","offset":-1}}})";
    EXPECT_EQ(told_notes(path).arrays()["u"].place, event_place{});
}

}  // namespace
}  // namespace rr
