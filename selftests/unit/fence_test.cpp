// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Who may write the members: two hosts and storage that keeps to the rules of NVMe.
#include "service/fence.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <map>
#include <random>

namespace rr {
namespace {

constexpr uint32_t count = 4;

// A namespace: registrants by host, and who holds it.
struct storage {
    std::map<int, uint64_t> keys;
    int holder = -1;
    bool answers = true;
    bool has_any = true;

    [[nodiscard]] bool may_write(int host) const { return holder < 0 || holder == host; }
    void forget() {
        keys.clear();
        holder = -1;
    }
};

class view : public reservations {
public:
    view(storage& on, int host) : on_(on), host_(host) {}
    Result<reservation_report> read() override {
        if (!on_.has_any)
            return fail(EOPNOTSUPP, "none");
        if (!on_.answers)
            return fail(ENOLINK, "away");
        reservation_report out;
        for (const auto& [host, key] : on_.keys)
            out.keys.push_back(key);
        if (on_.holder >= 0) {
            out.holder = on_.keys[on_.holder];
            out.type = 1;
        }
        return out;
    }
    Status enter(uint64_t key) override {
        return when(true, [&] { on_.keys[host_] = key; });
    }
    Status leave(uint64_t key) override {
        return when(is_mine(key), [&] {
            on_.keys.erase(host_);
            if (on_.holder == host_)
                on_.holder = -1;
        });
    }
    Status reserve(uint64_t key) override {
        return when(is_mine(key) && on_.may_write(host_), [&] { on_.holder = host_; });
    }
    Status release(uint64_t key) override {
        return when(is_mine(key) && on_.holder == host_, [&] { on_.holder = -1; });
    }
    Status preempt(uint64_t own, uint64_t victim) override {
        const bool right = is_mine(own) && on_.holder >= 0 && on_.keys[on_.holder] == victim;
        return when(right, [&] {
            on_.keys.erase(on_.holder);
            on_.holder = host_;
        });
    }
    Status clear(uint64_t own) override {
        return when(is_mine(own), [&] { on_.forget(); });
    }

private:
    [[nodiscard]] bool is_mine(uint64_t key) const {
        auto at = on_.keys.find(host_);
        return at != on_.keys.end() && at->second == key;
    }
    template <typename F>
    Status when(bool right, F&& change) {
        if (!on_.answers)
            return fail(ENOLINK, "away");
        if (!right)
            return fail(EBADE, "conflict");
        change();
        return {};
    }

    storage& on_;
    int host_;
};

class Fence : public testing::Test {
protected:
    Fence() {
        for (uint32_t i = 0; i < count; i++)
            devices_.push_back({i, -1, std::to_string(i)});
    }
    std::unique_ptr<array_fence> of(int host) {
        const uint64_t key = make_reservation_key(host == 0 ? "gw-a" : "gw-b", ++chance_);
        return std::make_unique<array_fence>(key, [this, host](const fenced_device& device) {
            return std::make_unique<view>(disks_[device.index], host);
        });
    }
    static int error_of(const Status& status) { return status ? 0 : status.error().err; }
    [[nodiscard]] bool all_of(int host) const {
        return std::ranges::all_of(disks_, [host](const storage& s) { return s.holder == host; });
    }
    const array_fence::memory ours_ = [](const fenced_device&) { return true; };
    const array_fence::memory written_ = [](const fenced_device&) { return false; };

    std::array<storage, count> disks_;
    std::vector<fenced_device> devices_;
    uint64_t chance_ = 0;
};

TEST_F(Fence, KeysNameTheirHostAndAreNeverTheSame) {
    EXPECT_EQ(host_of_key(make_reservation_key("gw-a", 1)), "gw-a");
    EXPECT_EQ(host_of_key(make_reservation_key("Storage-Gateway12.example.org", 1)), "teway12");
    EXPECT_EQ(host_of_key(make_reservation_key("x_y", 0)), "x_y");
    EXPECT_NE(make_reservation_key("gw-a", 1), make_reservation_key("gw-a", 2));
    EXPECT_NE(make_reservation_key("", 0), 0U);
    // A stranger's key may be anything.
    for (const uint64_t key : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{0xa1}})
        EXPECT_TRUE(host_of_key(key).find(' ') == std::string::npos);
}

TEST_F(Fence, AForeignHolderIsRefusedByNameAndNothingIsKept) {
    ASSERT_TRUE(of(1)->take({devices_[2]}, false));
    const auto a = of(0);
    const Status taken = a->take(devices_, false);
    EXPECT_EQ(error_of(taken), EBADE);
    EXPECT_NE(taken.error().what.find("gw-b"), std::string::npos) << taken.error().what;
    for (const storage& disk : disks_)
        EXPECT_FALSE(disk.keys.contains(0));
    EXPECT_EQ(disks_[2].holder, 1);
}

TEST_F(Fence, ATakeOverFencesTheOther) {
    const auto a = of(0);
    const auto b = of(1);
    ASSERT_TRUE(a->take(devices_, false));
    EXPECT_TRUE(a->look(devices_, ours_));
    ASSERT_TRUE(b->take(devices_, true));
    EXPECT_TRUE(all_of(1));
    EXPECT_FALSE(a->look(devices_, ours_));
    EXPECT_NE(a->whose().find("gw-b"), std::string::npos);
    a->give_up(devices_);
    EXPECT_TRUE(all_of(1));
    // It stays so.
    b->give_up(devices_);
    EXPECT_FALSE(a->look(devices_, ours_));
    for (const storage& disk : disks_)
        EXPECT_TRUE(disk.keys.empty());
}

TEST_F(Fence, AnEarlierStartOfThisHostIsNoStranger) {
    ASSERT_TRUE(of(0)->take(devices_, false));
    const auto again = of(0);
    EXPECT_TRUE(again->take(devices_, false));
    EXPECT_EQ(disks_[0].keys[0], again->key());
    EXPECT_TRUE(all_of(0));
}

TEST_F(Fence, OneThatIsAwayIsPassedOverAndTwoAreNot) {
    disks_[1].answers = false;
    EXPECT_TRUE(of(0)->take(devices_, false));
    disks_[2].answers = false;
    EXPECT_EQ(error_of(of(0)->take(devices_, false)), ENOLINK);
    disks_[1].answers = disks_[2].answers = true;
    EXPECT_EQ(disks_[0].holder, -1);
    disks_[3].has_any = false;
    EXPECT_EQ(error_of(of(0)->take(devices_, false)), EOPNOTSUPP);
    EXPECT_EQ(disks_[0].holder, -1);
}

TEST_F(Fence, WhatWasForgottenIsTakenAgainWhereNobodyCameBetween) {
    const auto a = of(0);
    ASSERT_TRUE(a->take(devices_, false));
    disks_[3].forget();
    EXPECT_TRUE(a->look(devices_, ours_));
    EXPECT_TRUE(all_of(0));
    disks_[3].answers = false;
    EXPECT_TRUE(a->look(devices_, ours_));
    // Another host was here, wrote, and left.
    disks_[3].answers = true;
    disks_[3].forget();
    EXPECT_FALSE(a->look(devices_, written_));
    EXPECT_NE(disks_[3].holder, 0);
    EXPECT_FALSE(disks_[3].keys.contains(0));
}

// The key of a dead daemon of this host is there still: that is nobody else.
TEST_F(Fence, OneThatWasPassedOverWithAnEarlierKeyIsNoStranger) {
    ASSERT_TRUE(of(0)->take(devices_, false));
    const auto again = of(0);
    disks_[1].answers = false;
    ASSERT_TRUE(again->take(devices_, false));
    EXPECT_TRUE(again->look(devices_, ours_));
    disks_[1].answers = true;
    EXPECT_TRUE(again->look(devices_, ours_));
    EXPECT_EQ(disks_[1].keys[0], again->key());
    EXPECT_TRUE(all_of(0));
    // Another host's is one.
    const auto later = of(0);
    disks_[1].answers = false;
    ASSERT_TRUE(later->take(devices_, false));
    disks_[1].answers = true;
    ASSERT_TRUE(of(1)->take({devices_[1]}, true));
    EXPECT_FALSE(later->look(devices_, ours_));
    EXPECT_EQ(disks_[1].holder, 1);
    EXPECT_FALSE(disks_[1].keys.contains(0));
}

TEST_F(Fence, WhatCannotBeReadIsComparedLater) {
    const auto a = of(0);
    ASSERT_TRUE(a->take(devices_, false));
    disks_[3].forget();
    const auto unread = [](const fenced_device&) { return std::nullopt; };
    EXPECT_TRUE(a->look(devices_, unread));
    EXPECT_TRUE(all_of(0));
    EXPECT_TRUE(a->look(devices_, ours_));
    // It was compared, and is no more.
    EXPECT_TRUE(a->look(devices_, written_));
    disks_[3].forget();
    EXPECT_TRUE(a->look(devices_, unread));
    EXPECT_FALSE(a->look(devices_, written_));
    EXPECT_NE(disks_[3].holder, 0);
}

// Whatever the order: who has been told that the members are his, and has not been fenced
// since, is one at most; and only he can write.
TEST_F(Fence, TwoHostsInAnyOrder) {
    for (unsigned seed = 0; seed < 300; seed++) {
        std::mt19937 random(seed);
        disks_ = {};
        std::array<std::unique_ptr<array_fence>, 2> hosts;
        // Who was granted a member last while it was empty: what its superblock would say.
        std::array<int, count> last{-1, -1, -1, -1};
        for (int step = 0; step < 60; step++) {
            const int host = static_cast<int>(random() % 2);
            storage& disk = disks_[random() % count];
            auto& fence = hosts[host];
            const auto mine = [&last, host](const fenced_device& device) {
                return last[device.index] == host;
            };
            switch (random() % 6) {
                case 0:
                case 1:
                    if (fence)
                        break;
                    fence = of(host);
                    if (!fence->take(devices_, random() % 2 == 0))
                        fence.reset();
                    break;
                case 2:
                    if (fence && !fence->look(devices_, mine))
                        fence.reset();
                    break;
                case 3:
                    disk.answers = !disk.answers;
                    break;
                case 4:
                    disk.forget();
                    break;
                case 5:
                    if (fence && random() % 4 == 0) {
                        fence->give_up(devices_);
                        fence.reset();
                    }
                    break;
                default:
                    break;
            }
            // Whoever serves writes what it can.
            for (uint32_t i = 0; i < count; i++) {
                if (fence && disks_[i].answers && disks_[i].holder == host)
                    last[i] = host;
            }
            for (uint32_t i = 0; i < count; i++)
                ASSERT_FALSE(disks_[i].holder == 1 - host && disks_[i].may_write(host))
                    << seed << ' ' << step;
        }
        // In the end all answer and each looks: one at most goes on.
        for (storage& disk : disks_)
            disk.answers = true;
        int left = 0;
        for (int host = 0; host < 2; host++) {
            const auto mine = [&last, host](const fenced_device& device) {
                return last[device.index] == host;
            };
            if (hosts[host] && hosts[host]->look(devices_, mine)) {
                EXPECT_TRUE(all_of(host)) << seed;
                left++;
            }
        }
        EXPECT_LE(left, 1) << seed;
    }
}

}  // namespace
}  // namespace rr
