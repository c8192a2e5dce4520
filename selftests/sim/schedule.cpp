// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "schedule.h"

#include "engine/log_writer.h"

#include <algorithm>
#include <bit>

namespace rr::sim {
namespace {

constexpr std::array<const char*, static_cast<size_t>(kind::count)> names = {
    "healthy", "prompt",      "transient", "media",     "degraded",
    "loss",    "second_loss", "kill",      "power_cut", "crowd",
};

// How often each kind is chosen, of 1000.
constexpr std::array<uint32_t, static_cast<size_t>(kind::count)> weights = {
    144, 120, 100, 120, 80, 130, 80, 140, 80, 6,
};

kind choose_kind(rng& r) {
    uint32_t n = r.below(1000);
    for (uint32_t k = 0; k < weights.size(); k++) {
        if (n < weights[k])
            return static_cast<kind>(k);
        n -= weights[k];
    }
    return kind::healthy;
}

// The engine's hash, so that a second place can be chosen that shares locks.
uint32_t lock_of(uint64_t cell) {
    return static_cast<uint32_t>((cell * 0x9e3779b97f4a7c15ULL) >> 40) & (RR_LOCKS - 1);
}

void choose_array(schedule& s, rng& r) {
    array_config& c = s.config;
    static constexpr uint32_t chunks[] = {8, 8, 8, 16, 16, 32, 32, 64, 128, 256};
    c.members = r.below(4) ? r.between(3, 8) : r.between(9, RR_MEMBERS_MAX);
    c.chunk_sectors = chunks[r.below(std::size(chunks))];
    // Large chunks are for the cuts in them; they cost too much to be common.
    if (c.chunk_sectors >= 64 && r.below(3))
        c.chunk_sectors = 16;
    if (r.below(64) == 0)
        c.chunk_sectors = 512U << r.below(3);
    c.layout = r.below(3) ? r.below(4) : uint32_t{RR_LEFT_SYMMETRIC};
    c.queues = r.between(1, 4);
    c.depth = r.between(1, 8);
    c.slots = r.between(1, r.below(2) ? 8 : 3);
    // Deep queues over few stripes: long lines for locks and slots.
    if (r.below(16) == 0) {
        c.depth = r.between(8, 64);
        c.slots = r.between(8, 64);
        c.chunk_sectors = std::min(c.chunk_sectors, 32U);
        c.members = std::min(c.members, 8U);
    }
    if (c.chunk_sectors >= 64)
        c.slots = std::min(c.slots, 4U);
    // The largest are for their numbers: few requests, few in flight.
    if (c.chunk_sectors >= 512) {
        c.queues = std::min(c.queues, 2U);
        c.depth = std::min(c.depth, 4U);
        s.requests = s.requests / 6 + 1;
    }
    const uint32_t shortest =
        std::max(c.chunk_sectors / RR_CELLS_MAX, uint32_t{RR_CHUNK_SECTORS_MIN});
    c.member_io_sectors = 256;
    if (r.below(2))
        c.member_io_sectors = shortest << r.below(4);
    c.zero_copy = r.below(3) != 0;
    for (uint32_t i = 0; i < c.members; i++)
        c.data_offset[i] = 8 * r.below(64) + (r.below(4) ? 0 : 1ULL << 33);
}

void choose_stripes(schedule& s, rng& r) {
    const array_config& c = s.config;
    s.stripes = std::min(c.members + 1, schedule::client_stripes_max);
    if (c.chunk_sectors >= 64)
        s.stripes = c.chunk_sectors >= 512 ? 2 : 3;
    s.stripes = r.between(1, s.stripes);
    uint64_t base = r.below(2) ? r.below(16) : r.next() >> (30 + r.below(20));
    for (uint32_t i = 0; i < s.stripes; i++)
        s.stripe[i] = base + i;
    // One far away whose cells are under the same locks as the first one's.
    if (s.stripes > 1 && r.below(2)) {
        uint32_t cell = std::min({c.chunk_sectors, 128U, std::bit_floor(c.member_io_sectors)});
        uint32_t cells = c.chunk_sectors / cell;
        for (uint32_t i = 0; i < 50000; i++) {
            uint64_t other = base + 100 + r.below(1U << 24);
            if (lock_of(other * cells) != lock_of(base * cells))
                continue;
            s.stripe[s.stripes - 1] = other;
            break;
        }
    }
    s.config.member_sectors = (s.stripe[s.stripes - 1] + 1 + r.below(3)) * c.chunk_sectors;
}

void choose_traffic(schedule& s, rng& r) {
    static constexpr uint32_t delays[] = {4, 20, 100, 100, 400};
    s.reads = r.between(200, 700);
    s.flushes = r.below(3) ? r.between(5, 60) : 0;
    s.fua = r.below(2) ? r.between(20, 300) : 0;
    s.copy_flag = r.below(2) ? 0 : r.between(50, 1000);
    s.unstable = r.below(2) ? 0 : r.between(50, 500);
    s.hot = r.below(2) ? r.between(100, 900) : 0;
    s.big = r.below(4) ? r.between(10, 150) : 600;
    if (s.config.chunk_sectors >= 512)
        s.big = r.between(10, 60);
    s.crossing = r.below(8) ? 0 : 5;
    s.interleave = r.below(2) ? r.between(2, 30) : 0;
    s.delay = delays[r.below(std::size(delays))];
    s.slow = r.below(2) ? 0 : r.between(5, 100);
    s.lost_message = r.below(3) ? 0 : r.between(50, 500);
    s.throttle = r.below(3) ? 0 : r.between(100, 900);
    s.think = r.below(3) ? r.between(0, 50) : 1000;
    s.fused = s.config.zero_copy && r.below(2);
    s.commands = r.below(2) != 0;
}

uint32_t some_time(const schedule& s, rng& r) {
    return r.below(s.requests + 1);
}

void add_loss(schedule& s, rng& r, uint32_t role) {
    static constexpr fault_kind losses[] = {fault_kind::write_error, fault_kind::write_error,
                                            fault_kind::flush_error, fault_kind::vanish,
                                            fault_kind::user};
    s.add_fault({losses[r.below(std::size(losses))], static_cast<uint8_t>(role), some_time(s, r),
                 r.below(300)});
}

uint32_t other_role(const schedule& s, rng& r, uint32_t role) {
    return (role + r.between(1, s.config.members - 1)) % s.config.members;
}

void choose_faults(schedule& s, rng& r) {
    uint32_t role = r.below(s.config.members);
    switch (s.what) {
        case kind::prompt:
            s.lost_message = 0;
            break;
        case kind::transient:
            s.transient = r.between(5, 200);
            s.copy_error = r.below(4) ? 0 : 3;
            if (r.below(3) == 0)
                add_loss(s, r, role);
            break;
        case kind::media:
            s.bad_sectors = r.between(0, 20);
            s.read_error = r.below(2) ? 0 : r.between(1, 40);
            s.transient = r.below(3) ? 0 : r.between(1, 50);
            for (uint32_t i = r.below(8); i > 0; i--)
                s.add_fault({fault_kind::bad_sector, 0, some_time(s, r), r.below(300)});
            break;
        case kind::degraded:
            s.missing = 1U << role;
            break;
        case kind::loss:
            add_loss(s, r, role);
            if (r.below(3) == 0)
                s.transient = r.between(1, 50);
            break;
        case kind::second_loss:
            if (r.below(3) == 0)
                s.missing = 1U << role;
            else
                add_loss(s, r, role);
            // Bad sectors are enough: then single blocks are lost, and the array goes on.
            if (r.below(3) == 0)
                s.bad_sectors = r.between(1, 60);
            if (s.bad_sectors == 0 || r.below(3) == 0) {
                add_loss(s, r, other_role(s, r, role));
                // Both at once.
                if (s.fault_count == 2 && r.below(2)) {
                    s.faults[0].what = r.below(2) ? fault_kind::write_error : fault_kind::vanish;
                    const uint8_t role_1 = s.faults[1].role;
                    s.faults[1] = s.faults[0];
                    s.faults[1].role = role_1;
                    s.interleave = r.between(1, 4);
                }
            }
            s.superblock_error = r.below(2) ? 0 : 900;
            if (r.below(4) == 0)
                s.transient = r.between(1, 50);
            break;
        case kind::kill:
            if (r.below(3) == 0)
                s.missing = 1U << role;
            else if (r.below(2))
                add_loss(s, r, role);
            if (r.below(6) == 0)
                add_loss(s, r, other_role(s, r, role));
            for (uint32_t i = r.between(1, 4); i > 0; i--)
                s.add_fault({fault_kind::kill, 0, some_time(s, r), r.below(300)});
            if (r.below(4) == 0)
                s.transient = r.between(1, 50);
            break;
        case kind::crowd:
            // Small writes one after the other, and now and then one that needs all units.
            s.requests *= 20;
            s.stripes = 1;
            s.config.queues = r.between(1, 4);
            s.config.depth = r.between(2, 8);
            s.config.slots = r.between(2, 8);
            s.config.member_sectors = (s.stripe[0] + 1) * s.config.chunk_sectors;
            s.reads = 100;
            s.flushes = s.hot = s.slow = s.throttle = s.think = 0;
            s.big = r.between(10, 100);
            s.lost_message = 0;
            s.delay = std::min(s.delay, 100U);
            break;
        case kind::power_cut:
            s.flushes = std::max(s.flushes, 30U);
            for (uint32_t i = r.between(1, 2); i > 0; i--)
                s.add_fault({fault_kind::power_cut, 0, some_time(s, r), r.below(300)});
            if (r.below(3) == 0)
                s.add_fault({fault_kind::kill, 0, some_time(s, r), r.below(300)});
            if (r.below(4) == 0)
                add_loss(s, r, role);
            break;
        default:
            break;
    }
}

// Clients with pauses between their requests, and a control plane that looks often.
void choose_rest(schedule& s, rng& r) {
    s.rest = r.between(100, 900);
    s.think = r.between(500, 30000);
    s.config.depth = r.between(1, 6);
    s.requests = std::max(s.requests / 4, 1U);
    for (uint32_t i = 0; i < s.fault_count; i++) {
        s.faults[i].after /= 4;
        s.faults[i].delay = r.below(5000);
    }
}

// What may go on beside the clients. Where a power cut meets a rebuild the array must
// have been clean, or nothing is left to look at.
void choose_jobs(schedule& s, rng r) {
    static constexpr uint32_t depths[] = {1, 2, 4, 16};
    s.at_once = depths[r.below(std::size(depths))];
    s.limit_step = r.below(3) ? 0 : r.between(1, 6);
    s.halt = r.below(4) ? 0 : r.between(50, 400);
    s.target_fails = r.below(3) ? 0 : 700;
    s.checks = r.below(2) ? 0 : r.between(1, 3);
    // Does a job end that nobody makes room for?
    if (s.what == kind::crowd) {
        s.limit_step = s.halt = 0;
        return;
    }
    switch (s.what) {
        case kind::degraded:
        case kind::loss:
        case kind::second_loss:
        case kind::kill:
        case kind::transient:
            s.rebuild = r.below(2) != 0;
            break;
        case kind::power_cut:
            s.rebuild = r.below(2) != 0;
            if (s.rebuild && r.below(2)) {
                s.missing = 1U << r.below(s.config.members);
                if (!s.rest)
                    choose_rest(s, r);
                s.at_once = s.limit_step = 1;
            }
            break;
        default:
            break;
    }
    if (!s.missing && !s.rebuild && s.what != kind::degraded)
        s.resync = r.below(4) == 0;
    if (r.below(2) && (s.checks || s.rebuild || s.resync)) {
        s.planted = true;
        s.stripe[s.stripes] = s.stripe[s.stripes - 1] + r.between(1, 3);
        s.stripes++;
        s.config.member_sectors = std::max(s.config.member_sectors,
                                           (s.stripe[s.stripes - 1] + 1) * s.config.chunk_sectors);
    }
}

void choose_replaces(schedule& s, rng r) {
    if (s.what == kind::crowd || s.missing != 0 || s.config.members == RR_MEMBERS_MAX)
        return;
    s.replaces = r.below(2) * r.between(1, 2);
    // A power cut meets one that is at rest.
    if (s.replaces != 0 && s.what == kind::power_cut && r.below(2) && !s.rest) {
        choose_rest(s, r);
        s.at_once = s.limit_step = 1;
    }
}

// The stripes with the gaps between them as short as a region may be, from @base on.
void gather_stripes(schedule& s, rng& r, uint64_t base) {
    uint64_t before = s.stripe[0];
    s.stripe[0] = base;
    for (uint32_t i = 1; i < s.stripes; i++) {
        const uint64_t gap = s.stripe[i] - before;
        before = s.stripe[i];
        s.stripe[i] = s.stripe[i - 1] + (gap == 1 ? 1 : r.between(2, 12));
    }
    s.config.member_sectors = (s.stripe[s.stripes - 1] + 1 + r.below(3)) * s.config.chunk_sectors;
}

void choose_regions(schedule& s, rng& r) {
    constexpr uint64_t bit_most = 1U << 22;
    constexpr uint64_t bits_of_first_page = 30720;
    array_config& c = s.config;
    if (r.below(24) == 0) {
        // Around a border of pages.
        s.bitmap_chunk = 8;
        gather_stripes(s, r, bits_of_first_page * 8 / c.chunk_sectors - r.below(s.stripes + 1));
        c.region_sectors = uint64_t{8192} >> r.below(3);
    } else if (c.member_sectors <= bit_most * 64 && r.below(4) == 0) {
        c.region_sectors = std::bit_ceil(c.member_sectors) / 32;
        s.bitmap_chunk = static_cast<uint32_t>(
            std::clamp<uint64_t>(c.region_sectors >> r.below(3), 8, bit_most));
    } else {
        gather_stripes(s, r, r.below(16));
        c.region_sectors = uint64_t{c.chunk_sectors} << r.below(4);
        s.bitmap_chunk = static_cast<uint32_t>(c.region_sectors << r.below(3) >> r.below(3));
        s.bitmap_chunk = std::max(s.bitmap_chunk, 8U);
    }
}

void choose_bitmap(schedule& s, rng r) {
    static constexpr uint32_t sleeps[] = {0, 0, 300, 2000};
    static constexpr uint32_t chances[] = {0, 700, 1000};
    s.bitmap = s.what != kind::crowd && r.below(2) != 0;
    if (!s.bitmap)
        return;
    choose_regions(s, r);
    s.bitmap_sleep = sleeps[r.below(std::size(sleeps))];
    s.readd = chances[r.below(std::size(chances))];
    if (s.what == kind::kill || s.what == kind::power_cut)
        s.deaths = r.below(3);
    s.death_at_io = r.below(3) != 0;
    // A power cut meets the rebuild of a member that is back.
    if (s.what == kind::power_cut && !s.missing && r.below(4) == 0) {
        add_loss(s, r, r.below(s.config.members));
        s.rebuild = true;
        s.readd = 1000;
        if (!s.rest)
            choose_rest(s, r);
        s.at_once = s.limit_step = 1;
    }
    // Or it comes before the superblocks tell of a member that was lost.
    if (s.what == kind::power_cut && !s.missing && s.fault_count + 2 <= schedule::faults_max &&
        r.below(3) != 0) {
        add_loss(s, r, r.below(s.config.members));
        const fault lost = s.faults[s.fault_count - 1];
        s.add_fault({fault_kind::power_cut, 0, lost.after, lost.delay + r.below(400)});
    }
}

// Many at the same few cells, some of them in one turn; and copies that fail there.
void choose_gathering(schedule& s, rng r) {
    s.together = r.below(2) ? r.between(100, 900) : 0;
    if (s.what == kind::transient && r.below(2))
        s.copy_error = r.between(1, 60);
    if (s.what == kind::crowd || s.rest != 0 || s.config.chunk_sectors > 64 || r.below(3))
        return;
    s.config.depth = r.between(6, 40);
    s.think = r.between(0, 200);
    s.hot = r.below(2) ? 900 : s.hot;
    s.big = r.between(5, 60);
}

// Readers that go through stripes, by parts of a chunk or a little more.
void choose_streams(schedule& s, rng r) {
    const uint32_t chunk = s.config.chunk_sectors;
    if (s.what == kind::crowd || r.below(3) == 0)
        return;
    s.streams = r.between(100, 950);
    s.stream_sectors = r.below(3) ? std::max(chunk >> r.below(4), 1U) : r.between(1, 2 * chunk);
    if (chunk >= 512)
        s.stream_sectors = std::min(s.stream_sectors, 256U);
}

void choose_zeroes(schedule& s, rng r) {
    if (s.what != kind::crowd && r.below(2))
        s.zeroes = r.between(20, 500);
}

// Where parity is right and no bitmap is; short areas, so that units begin anew.
void choose_log(schedule& s, rng r) {
    s.log = !s.bitmap && !s.resync && r.below(s.what == kind::power_cut ? 8 : 2) != 0;
    const uint32_t cell = std::min({s.config.chunk_sectors, uint32_t{RR_CELL_BYTES_MAX >> 9},
                                    std::bit_floor(s.config.member_io_sectors)});
    s.log_area = log_writer::sectors_least(cell * 512) + r.below(8) * r.below(40);
    if (s.what == kind::crowd)
        s.log_area += 1024;
    if (!s.log || s.what != kind::power_cut || s.missing)
        return;
    // More of what it is for: a member is missing, or was lost and no superblock tells.
    if (r.below(2)) {
        if (!s.rebuild)
            s.missing = 1U << r.below(s.config.members);
    } else if (s.fault_count + 2 <= schedule::faults_max) {
        add_loss(s, r, r.below(s.config.members));
        const fault lost = s.faults[s.fault_count - 1];
        s.add_fault({fault_kind::power_cut, 0, lost.after, lost.delay + r.below(400)});
    }
}

}  // namespace

const char* kind_name(kind k) {
    return names[static_cast<size_t>(k)];
}

// Not where no timer may fire, nor where it matters how long somebody waits.
void choose_outages(schedule& s, rng r) {
    if (s.what == kind::prompt || s.what == kind::crowd || r.below(4) != 0)
        return;
    s.outages = r.between(1, 3);
    for (uint32_t i = 0; i < s.outages; i++)
        s.add_fault({fault_kind::outage, 0, some_time(s, r), r.below(300)});
}

schedule make_schedule(uint64_t seed, uint32_t requests) {
    rng r(seed);
    schedule s;
    s.seed = seed;
    s.what = choose_kind(r);
    s.requests = requests;
    choose_array(s, r);
    choose_stripes(s, r);
    choose_traffic(s, r);
    choose_faults(s, r);
    if (s.what != kind::crowd && r.below(4) == 0)
        choose_rest(s, r);
    choose_jobs(s, rng(seed ^ 0x10b5));
    choose_bitmap(s, rng(seed ^ 0xb17));
    choose_replaces(s, rng(seed ^ 0x2e91));
    choose_gathering(s, rng(seed ^ 0x6a73));
    choose_outages(s, rng(seed ^ 0x0a6e));
    choose_log(s, rng(seed ^ 0x109));
    choose_streams(s, rng(seed ^ 0x57e));
    choose_zeroes(s, rng(seed ^ 0x2e0));
    return s;
}

namespace {

// A write becomes one of zeros, or a discard: of its sectors, of whole stripes, or of a part
// of the first and of the last of several neighbours.
void make_zeroes(const schedule& s, rng& r, request_shape& q) {
    const uint32_t full = s.config.chunk_sectors * (s.config.members - 1);
    q.op = r.below(3) ? RR_OP_ZEROES : RR_OP_DISCARD;
    q.unstable = false;
    if (r.below(3) == 0)
        return;
    uint32_t most = 1;
    while (q.stripe + most < s.client_stripes() &&
           s.stripe[q.stripe + most] == s.stripe[q.stripe] + most)
        most++;
    const uint32_t count = r.between(1, most);
    if (r.below(2))
        q.start = 0;
    q.sectors = count * full - q.start;
    if (r.below(2))
        q.sectors = r.between(1, q.sectors);
}

}  // namespace

request_shape make_request(const schedule& s, rng& r) {
    const uint32_t chunk = s.config.chunk_sectors;
    const uint32_t full = chunk * (s.config.members - 1);
    request_shape q{};
    q.stripe = s.hot != 0 && r.per_mille(s.hot) ? 0 : r.below(s.client_stripes());
    if (r.per_mille(s.flushes)) {
        q.op = RR_OP_FLUSH;
        return q;
    }
    q.op = r.per_mille(s.reads) ? RR_OP_READ : RR_OP_WRITE;
    q.fua = q.op == RR_OP_WRITE && r.per_mille(s.fua);
    q.copy = r.per_mille(s.copy_flag);
    q.unstable = q.op == RR_OP_WRITE && r.per_mille(s.unstable);
    uint32_t longest = r.per_mille(s.big) ? full : std::min(full, 16U);
    switch (r.below(6)) {
        case 0:  // blocks of 4 KiB
            q.sectors = std::min(8U, longest);
            q.start = r.below(full / 8) * 8;
            break;
        case 1:  // a whole chunk, or all of them
            q.sectors = longest == full && r.below(2) ? full : chunk;
            q.start = q.sectors == full ? 0 : r.below(full / chunk) * chunk;
            break;
        case 2:  // around a chunk's border
            q.start = r.between(1, full / chunk - 1) * chunk;
            q.start -= r.between(1, std::min(8U, chunk - 1));
            q.sectors = r.between(2, std::min(longest, 16U));
            break;
        case 3:  // a single sector
            q.sectors = 1;
            q.start = r.below(full);
            break;
        default:
            q.sectors = r.between(1, longest);
            q.start = r.below(full);
    }
    q.sectors = std::min(q.sectors, full - q.start);
    q.refused = r.per_mille(s.crossing);
    if (q.refused)
        q.sectors = full - q.start + r.between(1, full);
    else if (q.op == RR_OP_WRITE && s.zeroes != 0 && r.per_mille(s.zeroes))
        make_zeroes(s, r, q);
    return q;
}

}  // namespace rr::sim
