// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One host writes an array: each of its members is reserved for it.
//
// What is written is decided by superblocks, and superblocks may be another host's a moment
// after they were read. So a start takes the reservation of every member first and reads
// after that; from then on the storage itself refuses the writes of everybody else.
//
//   take()    a key for this start on all that answer; a foreign holder is a refusal, or is
//             preempted where that is asked for. All or nothing: what was had is given back.
//   look()    once a second, and before a superblock tells that a member failed: whether the
//             reservations are still ours. One that a member has forgotten is made again, if
//             nobody has written there meanwhile: its superblock has our last events.
//   give_up() after the members are clean.
//
// Whose reservation is gone is *fenced*: another host may have read superblocks already, so
// nothing may be written any more, and no member is to blame for its errors.
//
// take() and status() may be called beside anything, the others from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "members/reservation.h"

namespace rr {

struct fenced_device {
    uint32_t index = 0;  // role; spares and others have none that matters
    int fd = -1;
    std::string path;
};

class array_fence {
public:
    using opener = std::function<std::unique_ptr<reservations>(const fenced_device&)>;
    // Whether the device carries what this host has written last; nothing: it cannot be read.
    using memory = std::function<std::optional<bool>(const fenced_device&)>;

    explicit array_fence(uint64_t key, opener open = {});

    // EBADE: another host has one, and is named; EOPNOTSUPP: one has no reservations. What
    // does not answer is passed over, but for more than one of @devices.
    [[nodiscard]] Status take(const std::vector<fenced_device>& devices, bool take_over);
    // False: fenced; whose() tells by whom. Who does not answer decides nothing.
    [[nodiscard]] bool look(const std::vector<fenced_device>& devices, const memory& is_ours);
    void give_up(const std::vector<fenced_device>& devices);

    // The holder, for people.
    [[nodiscard]] std::string whose() const;
    [[nodiscard]] uint64_t key() const { return key_; }
    // From any thread.
    [[nodiscard]] nlohmann::json status() const;

private:
    enum class standing : uint8_t { ours, silent, foreign };

    Status take_one(const fenced_device& device, bool take_over);
    standing stand(const fenced_device& device, const memory& is_ours);
    standing take_again(const fenced_device& device, const memory& is_ours);
    standing note(const fenced_device& device, const Result<reservation_report>& found);
    [[nodiscard]] bool is_unsure(const fenced_device& device) const;
    void be_unsure(const fenced_device& device, bool unsure);

    uint64_t key_;
    opener open_;
    std::optional<uint64_t> fenced_by_;
    mutable std::mutex lock_;
    nlohmann::json seen_ = nlohmann::json::array();  // under lock_
    // By path: not taken yet, so it may have a key of an earlier start of this host; or taken
    // again, and not compared. Under lock_.
    std::set<std::string> unsure_;
};

// The kernel's or the device's word for that there are none.
[[nodiscard]] bool lacks_reservations(int err);

// Of this host, and of no start but one.
[[nodiscard]] Result<uint64_t> new_reservation_key();

// "host gateway1 (key 0x..)".
std::string holder_text(uint64_t key);

}  // namespace rr
