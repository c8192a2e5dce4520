// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What happens to an array, for programs: one JSON object a line, with the names of
// `mdadm --monitor`.
//
//   {"schema":1,"time":"2026-01-31T12:00:00.000Z","event":"Fail","name":"host:data",
//    "uuid":"...","block_device":"/dev/ublkb0","role":2,"device":"/dev/sdc"}
//
// The file is the array's, in its run directory, and is written by who holds the
// array's lock: by the daemon, by its successor after kill -9, by who ends what a dead
// one left. When it has grown to its bound it becomes the file before it, and a new
// one begins; who follows sees that, and reads the one to its end and then the other.
//
// The last event of a service is DeviceDisappeared.
//
// An event that cannot be written is lost, and the log says so once: /run may be full,
// and no client waits for it (scribe.h).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "ringraid/abi.h"
#include "service/scribe.h"

namespace rr {

inline constexpr size_t events_bytes_most = size_t{256} << 10;  // of each of the two
inline constexpr const char* event_of_the_end = "DeviceDisappeared";

// The file before the one at @path.
std::string events_before(const std::string& path);

// The object of an event that happens now. @about: name, uuid, block device.
nlohmann::json make_event(const std::string& event, const nlohmann::json& about,
                          const nlohmann::json& more = nlohmann::json::object());

// Appends @event to the file at @path, whole or not at all.
Status append_event(const std::string& path, const nlohmann::json& event,
                    size_t bytes_most = events_bytes_most);

class event_log {
public:
    event_log(std::string path, nlohmann::json about);

    // From any thread; never waits.
    void add(const std::string& event, const nlohmann::json& more);

private:
    std::string path_;
    nlohmann::json about_;
    std::shared_ptr<std::atomic<bool>> lost_ = std::make_shared<std::atomic<bool>>(false);
    scribe scribe_;
};

// Where a reader is: behind so many bytes of this file. Until the machine is started anew,
// no other file has the same numbers.
struct event_place {
    uint64_t device = 0, inode = 0, offset = 0;
    bool operator==(const event_place&) const = default;
};
struct event_line {
    std::string text;
    event_place behind;
};

// The lines of the file before and of the one at @path, and what is added.
class event_reader {
public:
    // From @from on, where that file is one of the two; else all.
    explicit event_reader(std::string path, const event_place& from = {});
    // Whole lines that were not read yet, oldest first.
    std::vector<std::string> more();
    std::vector<event_line> more_lines();

private:
    bool move_on();
    void read_on(std::vector<event_line>& lines);

    std::string path_;
    Fd file_;
    event_place place_;
    uint64_t at_ = 0;
    std::string rest_;  // of a line that is not whole yet
};

// Which failures are news, by what the arena says of the members from time to time.
class member_news {
public:
    explicit member_news(const rr_array& array);
    struct item {
        const char* event;  // "Fail", "FailSpare"
        uint32_t role;
    };
    // What happened since the last call.
    std::vector<item> look(const rr_array& array);
    // A device has the role, or all of its rows: between two looks it may come and fail.
    void heard(const std::string& event, uint32_t role);

private:
    enum class standing : uint8_t { active, rebuilding, out };
    static standing of(const rr_array& array, uint32_t role);

    std::array<standing, RR_MEMBERS_MAX> known_{};
};

}  // namespace rr
