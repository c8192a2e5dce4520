// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A schedule: everything that is decided before a run, from its seed.
//
// The seed chooses a kind (what may go wrong), an array (members, chunk,
// layout, queues, slots, options), a handful of stripes far apart in it, how
// requests look, and faults that strike when so many requests were submitted.
// Arrays are huge and sparse: the stripes are neighbours at random places, and
// some are chosen so that their cells share a row lock.
//
// Jobs, the bitmap, what comes together, streams, zeros and outages are chosen last and by seeds of
// their own: what a schedule was without them it still is. With a bitmap the stripes move together,
// so that regions are few.
#pragma once

#include <array>
#include <cstdint>

#include "engine/layout.h"
#include "rng.h"

namespace rr::sim {

enum class kind : uint32_t {
    healthy,      // nothing goes wrong
    prompt,       // ... and no timer ever fires: every wait must be woken
    transient,    // interrupted, cancelled, short and failed-for-now results
    media,        // bad sectors, at most one role of each stripe
    degraded,     // one member missing from the start
    loss,         // one member fails while running
    second_loss,  // then another, or bad sectors while degraded
    kill,         // the daemon dies, again and again
    power_cut,    // all members lose what they have not flushed
    crowd,        // one cell that all queues want, for long: is everybody served?
    count
};

const char* kind_name(kind k);

enum class fault_kind : uint8_t {
    write_error,  // the member's next write fails
    flush_error,
    vanish,  // everything fails from now on
    user,    // the control plane is told to fail it
    bad_sector,
    kill,
    power_cut,
    outage,  // several members are away for a while, most often all
};

struct fault {
    fault_kind what;
    uint8_t role;
    uint32_t after;  // requests submitted
    uint32_t delay;
};

struct schedule {
    static constexpr uint32_t client_stripes_max = 10;
    static constexpr uint32_t stripes_max = client_stripes_max + 1;
    static constexpr uint32_t faults_max = 16;

    uint64_t seed = 0;
    kind what = kind::healthy;
    array_config config;
    uint32_t missing = 0;  // mask
    uint32_t stripes = 0;
    std::array<uint64_t, stripes_max> stripe{};
    uint32_t requests = 0;

    // Chances, per mille.
    uint32_t reads = 0, flushes = 0, fua = 0, copy_flag = 0, unstable = 0, hot = 0, big = 0;
    uint32_t transient = 0, read_error = 0, copy_error = 0, slow = 0, lost_message = 0,
             throttle = 0, crossing = 0, superblock_error = 0;
    bool fused = false;       // the host copies and computes, as with uring_bpf_xor
    bool commands = false;    // completions of members count no bytes, as NVMe's
    uint32_t interleave = 0;  // accesses to shared words between turns of others; 0: none
    uint32_t delay = 0;       // longest usual one
    uint32_t think = 0;
    uint32_t rest = 0;         // that the control plane wants the array at rest when it looks
    uint32_t bad_sectors = 0;  // before the start

    // Jobs of the control plane (engine/job.h).
    uint32_t checks = 0;        // so many, or repairs
    bool rebuild = false;       // a lost member is replaced
    uint32_t replaces = 0;      // so many that are there
    bool resync = false;        // parity means nothing, at the start and after a power cut
    bool planted = false;       // the last stripe is no client's, and a block of it is wrong
    uint32_t at_once = 1;       // cells
    uint32_t limit_step = 0;    // cells that the limit moves up at a time, 0: no limit
    uint32_t halt = 0;          // chance when the control plane looks
    uint32_t target_fails = 0;  // chance, for each rebuild and replacement

    // The write-intent bitmap.
    bool bitmap = false;
    uint32_t bitmap_chunk = 0;  // sectors of a member
    uint32_t bitmap_sleep = 0;  // until what is not written is idle
    uint32_t readd = 0;         // chance that a lost member comes back with what it had
    uint32_t deaths = 0;        // of the control plane at work with it
    bool death_at_io = false;   // or at a word

    uint32_t streams = 0;         // chance that a read goes on where another one has ended
    uint32_t stream_sectors = 0;  // such a read's

    uint32_t zeroes = 0;  // chance that a write is one of zeros, or a discard

    uint32_t together = 0;  // chance that a request does not come alone in its turn

    // Errors are judged by the control plane (service/judge.h), and so many outages come.
    uint32_t outages = 0;

    // The partial parity log.
    bool log = false;
    uint64_t log_area = 0;  // sectors

    uint32_t fault_count = 0;
    std::array<fault, faults_max> faults{};

    uint32_t client_stripes() const { return stripes - planted; }
    void add_fault(fault f) {
        if (fault_count < faults_max)
            faults[fault_count++] = f;
    }
};

schedule make_schedule(uint64_t seed, uint32_t requests);

struct request_shape {
    uint8_t op;  // of writes of zeros: as they come
    bool fua, copy, unstable;
    bool refused;     // crosses a stripe
    uint32_t stripe;  // index in schedule::stripe
    uint32_t start;   // sector in the stripe
    uint32_t sectors;
    [[nodiscard]] bool zeroes() const { return op == RR_OP_ZEROES || op == RR_OP_DISCARD; }
};

request_shape make_request(const schedule& s, rng& chance);

}  // namespace rr::sim
