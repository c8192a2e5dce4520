// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What `ringraid monitor` makes of events, and what it has told already.
//
// Where it is in each array's events is kept in a file beside them, in /run, written
// after each event that was told: a monitor that is killed loses none, and its successor
// repeats the last one at most. The file goes with the events when the machine is
// started anew. One that is damaged counts as not there; then what is older than a day
// is not told again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "service/events.h"

namespace rr {

// One event, in the words of mdadm --monitor.
struct notice {
    std::string event;         // "Fail"
    std::string name;          // "host:data"
    std::string block_device;  // "/dev/ublkb0"
    std::string component;     // "/dev/sdc", or empty
    std::string time;
    nlohmann::json more;  // the rest of it

    // Somebody must do something.
    [[nodiscard]] bool needs_mail() const;
    // Of syslog.
    [[nodiscard]] int priority() const;
    // One line.
    [[nodiscard]] std::string text() const;
};

// Nothing: it is no event.
std::optional<notice> notice_of(const nlohmann::json& event);

// With head and body, for sendmail -t. @status: what the array says of itself, or empty.
std::string mail_of(const notice& what, const std::string& to, const std::string& from,
                    const std::string& host, const std::string& status);

// Seconds since 1970 of an event's time; 0: it has none.
int64_t seconds_of(const std::string& time);

struct told_of_array {
    event_place place;
    int64_t mailed = 0;  // when the last mail went
    uint64_t dead = 0;   // the start of the daemon whose death was told
    bool spares_missing = false;
    uint64_t warned = 0;  // a bit for each of its disks that was told to warn
};

class told_notes {
public:
    explicit told_notes(std::string path);
    // By uuid.
    [[nodiscard]] std::map<std::string, told_of_array>& arrays() { return arrays_; }
    Status save() const;

private:
    std::string path_;
    std::map<std::string, told_of_array> arrays_;
};

}  // namespace rr
