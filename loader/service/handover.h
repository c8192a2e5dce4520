// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A running array changes daemons on purpose: what two daemons tell each other.
//
// The one that serves starts the other, of whatever program, as its child and so in its
// control group, with one end of a socket pair as descriptor 3. A line of JSON each:
//
//   served by       told                    by     what it means
//   old             {"take": {...}}         old    how the array is served
//   old             {"progress": TEXT}      next   for who asked for it
//   old             {"ready": ...}          next   members found, memory pinned, rings made,
//                                                  program verified; or an error: it ends
//   (parked)        {"yours": ...}          old    nothing is in flight, all is flushed
//   nobody          {"released": true}      old    device, members and lock are free
//   next            {"served": ...}         next   and how long clients have waited
//
// Up to "yours" the next daemon has only looked: whichever of the two dies or refuses, the
// other one goes on (the old one serves) or ends (the next one). From there on it is a
// takeover as after kill -9, of an arena without rows that are being written: whoever dies,
// the next to assemble takes over. The service manager is told who the main process is
// just before "yours"; so it restarts its unit exactly when nobody serves.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "service/socket.h"

namespace rr {

// What clocks of both daemons agree on.
[[nodiscard]] uint64_t monotonic_ns();

inline constexpr int successor_fd = 3;

// The old daemon's side: its child. Until it is let go, it is killed when this ends.
class successor_process {
public:
    // @program: its path. @environment: beside PATH and LC_ALL.
    static Result<successor_process> start(const std::string& program,
                                           const std::vector<std::string>& environment);
    successor_process(successor_process&& other) noexcept;
    successor_process& operator=(successor_process&&) = delete;
    successor_process(const successor_process&) = delete;
    successor_process& operator=(const successor_process&) = delete;
    ~successor_process();

    [[nodiscard]] int fd() const { return line_.get(); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    // It has ended, or closed its end.
    [[nodiscard]] bool is_gone() const;
    Status tell(const nlohmann::json& what);
    // The next line; an error it tells is one here.
    Result<nlohmann::json> hear(int timeout_ms);
    [[nodiscard]] bool has_line() const { return lines_.has_line(); }
    // It outlives us.
    void let_go() { pid_ = -1; }

private:
    successor_process(pid_t pid, Fd line)
        : pid_(pid), line_(std::move(line)), lines_(line_.get()) {}

    pid_t pid_ = -1;
    Fd line_;
    line_reader lines_;
};

// The next daemon's side.
class predecessor_line {
public:
    explicit predecessor_line(Fd line) : line_(std::move(line)), lines_(line_.get()) {}

    // How the array is served: what follows "take".
    Result<nlohmann::json> take();
    Status tell(const nlohmann::json& what) { return write_line(line_.get(), what.dump()); }
    // Until it is ours. ECANCELED: it is not, and never will be.
    Status await_turn();
    // Until the old daemon has let all go, or is dead.
    void await_release();
    // When clients began to wait.
    [[nodiscard]] uint64_t since_ns() const { return since_ns_; }

private:
    Fd line_;
    line_reader lines_;
    uint64_t since_ns_ = 0;
};

}  // namespace rr
