// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The daemon's control socket: one JSON line asks, one JSON line answers.
//
// A UNIX stream socket that only root may reach (mode 0600). Reads are bounded
// in size and time, so a client that says nothing cannot stall the daemon.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace rr {

Result<Fd> listen_at(const std::string& path);

// ECONNREFUSED or ENOENT: nobody listens.
Result<Fd> connect_to(const std::string& path);

// Lines from a descriptor that it does not own; what came behind one is kept for the
// next.
class line_reader {
public:
    explicit line_reader(int fd) : fd_(fd) {}
    // Up to the newline, which is left out, within @timeout_ms in all (< 0: without
    // bound), so that a client which drips bytes holds nobody up. ECONNRESET: the
    // other side is gone.
    Result<std::string> next(int timeout_ms);
    // The next line has been read already: nothing else will tell of it.
    [[nodiscard]] bool has_line() const { return rest_.find('\n') != std::string::npos; }

private:
    int fd_;
    std::string rest_;
};

// One line, of a side that says no more than that.
Result<std::string> read_line(int fd, int timeout_ms = 2000);
Status write_line(int fd, const std::string& line);

// What the other side does meanwhile, for people.
using progress_listener = std::function<void(const std::string&)>;

// Connects, asks and waits for the answer. Where the daemon says that it takes
// longer, it is waited for without bound, and @progress is told of it.
Result<std::string> ask(const std::string& path, const std::string& line, int timeout_ms,
                        const progress_listener& progress = {});

}  // namespace rr
