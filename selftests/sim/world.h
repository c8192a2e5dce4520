// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One schedule, played: the host of the engine when there is no kernel.
//
// Actors take turns, each turn is one event of a queue ordered by virtual
// time: a completion, a message, a timer, a client that submits, the control
// plane that looks, a fault that strikes. A turn calls the engine once, checks
// what it emitted, and takes the actions out, all or (a ring without room)
// only some.
//
// Queues and control plane are threads: wherever the engine touches a word that
// they share, others may take their turns in the middle of its call, and be
// interrupted in theirs, as the seed says (interleave()). A thread waits there
// until the others have ended their turns, so not all orders of single accesses
// come up, but every access of one call meets every effect of another.
//
// Flushes are the flusher's, with the daemon's own desk (engine/flush_desk.h): a wish takes
// its time to get there, a flush makes durable what had completed when it starts, and
// answers those that share it.
//
// Member I/O moves each sector either when it is submitted or when it
// completes, split at random, so that concurrent I/O sees torn states and
// buffers that are reused too early are seen.
//
// The control plane writes superblocks when state and superblocks differ, and
// tells the engine afterwards; a kill may fall in between. A survivor may
// refuse its superblock: that breaks the array, and is told all the same.
//
// Jobs go over the stripes of the schedule, each piece of neighbours a job of its
// own; a lost member is replaced by a fresh disk and rebuilt (jobs.cpp), one that is
// there by a copy of it (replace.cpp).
//
// Now and then the control plane wants the array at rest: when it is, all that
// was written is flushed and the superblocks say clean, until a write waits.
//
// A kill drops all that is in flight (of a write, any part may have reached
// its member), redoes the arena as a successor does, and starts the queues
// again with every unanswered request. A power cut loses the arena too; parity
// is recomputed, every sector must hold what the model allows.
//
// Where the array has a write-intent bitmap the control plane's own class plays it; after
// a power cut only what it names is resynced, and a member that comes back with what it
// held is rebuilt where it says so (bitmap.cpp).
//
// With a partial parity log its writer is a thread, too, and a power cut is followed by
// recovery from what the members have (log.cpp).
//
// What is checked is in check.h; the first thing wrong ends the run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

extern "C" {
#include "engine/host.h"
}
#include "bitmap.h"
#include "disk.h"
#include "engine/flush_desk.h"
#include "engine/log_writer.h"
#include "log.h"
#include "model.h"
#include "schedule.h"
#include "service/bitmap.h"
#include "service/judge.h"

namespace rr::sim {

enum class event_kind : uint8_t {
    complete,  // index = io
    ask,       // index = io: a queue's wish for a flush is with the flusher
    flushed,   // index = role
    submit,    // index = tag
    gather,    // what came together is settled
    message,
    timer,
    drain,
    notify,
    poll,
    superblock,  // the control plane's write is on the survivors
    durable,     // ... and it tells the engine
    dirty,       // the superblocks say so again; the engine is told
    member,      // they say that the rebuilt target is one
    told,        // ... and so does the state
    target,      // the target of a rebuild breaks
    back,        // the members that were away
    fault,       // index = fault
    log_message,
    logged,  // index = role
    log_poll,
};

struct event {
    uint64_t time;
    uint32_t order;
    event_kind what;
    uint8_t queue;
    uint16_t index;
};

// A member I/O or a copy in flight.
struct io {
    rr_action action;
    uint8_t queue;
    bool live;
    bool job;          // of a job's slot: the tag is no client's
    uint32_t row;      // first row on the disk (member I/O)
    uint32_t sectors;  // asked for
    uint32_t good;     // sectors that move
    uint32_t moved;
    uint32_t writer;  // whose it is, for writes of a write: world::writers
    int32_t result;
};

struct client_request {
    bool busy;
    bool fua, unstable;
    bool may_fail;  // an error was injected into its copies
    bool refused;   // crosses a stripe
    bool shared;    // its operation was also others'
    bool zeroes;    // it writes zeros: then `op` is that of a write
    uint8_t op, flags;
    uint64_t sector;
    uint32_t sectors;
    uint32_t stripe;  // index in the schedule
    uint32_t base;    // the model's number of the first sector
    // As it is asked for: a discard has to do less.
    uint8_t asked;
    uint64_t asked_sector;
    uint32_t asked_sectors;
    uint32_t serial;
    uint32_t submitted;  // model time
    bool resync;         // rows were not synced when it came
    std::vector<uint64_t> pages;
    // Bad sectors that its reads ran into, while `spoils` was the world's.
    struct met_sector {
        uint32_t role, row;
    };
    std::array<met_sector, 8> met;
    uint32_t met_count, spoils;
    uint32_t writes_before;   // writes answered when it came
    uint64_t member_sectors;  // read for it
};

// What the checks remember of a slot.
struct slot_note {
    uint32_t reads;  // roles
    bool judged;
    uint32_t failed;  // roles that the job could not read in `cell`
    uint64_t cell;
};

// What the checks remember of the job that runs.
struct job_note {
    std::vector<uint64_t> wrong;  // rows of 4 KiB that it has to find
    uint64_t begin;               // its first cell
    bool again;                   // a kill: some cells twice
    bool blind;                   // what was planted could not be read
    uint32_t epoch, spoils;
    // When it went on last: the cells that it had begun and done, the writes answered.
    uint64_t progress;
    uint32_t answered;
};

struct totals {
    uint64_t schedules = 0, requests = 0, events = 0, kills = 0, cuts = 0, redone = 0, errors = 0;
    uint64_t outages = 0;
    uint64_t rests = 0;        // clean, with clients still to come
    uint64_t interleaved = 0;  // turns inside of others' calls of the engine
    uint64_t lock_waits = 0, slot_waits = 0, held = 0, replans = 0, rebuilt = 0, repaired = 0;
    uint64_t jobs = 0, job_kills = 0, halts = 0;  // pieces; begun again
    uint64_t wrong_rows = 0, resyncs = 0, rebuilds = 0, rebuilt_members = 0, targets_lost = 0;
    uint64_t resumed = 0;  // rebuilds and replacements that a power cut met at rest
    uint64_t replacements = 0, replaced = 0;
    uint64_t bitmaps = 0, region_waits = 0, returned = 0, back_members = 0, partial = 0, deaths = 0;
    uint64_t zeroes = 0, zeroed = 0;  // requests; cells that members made
    uint64_t gathered = 0;            // writes that another one's operation carried
    uint64_t logs = 0, units = 0, recovered = 0, lost_with_power = 0;  // rows
    uint64_t neither = 0;  // cuts that left a failed member's sector neither old nor new
    uint64_t rmw = 0, rcw = 0, full = 0, recon = 0, payload = 0, retries = 0, flushes = 0;
};

class world {
public:
    world();
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    // Plays the schedule; empty, or what went wrong.
    const std::string& run(const schedule& s, bool verbose, totals& sum);

    static constexpr uint32_t tags_max = 64;
    static constexpr uint32_t queues_max = 4;
    static constexpr uint32_t slots_max = 64;

    // For the checks.
    template <typename... Args>
    void wrong(fmt::format_string<Args...> format, Args&&... args) {
        if (failure_.empty())
            failure_ = fmt::format(format, std::forward<Args>(args)...);
    }
    client_request& request(uint32_t queue, uint32_t tag) {
        return requests_[queue * tags_max + tag];
    }
    slot_note& note(uint32_t queue, uint32_t slot) { return notes_[queue * slots_max + slot]; }
    uint32_t full_stripe() const { return plan.config.chunk_sectors * (plan.config.members - 1); }
    uint32_t row_of(const rr_action& a) const;  // UINT32_MAX: not in any stripe
    uint32_t missing() const { return static_cast<uint32_t>(arena->state & RR_STATE_MISSING); }
    bool rebuilding() const { return (arena->state & RR_STATE_REBUILD) != 0; }
    bool replacing() const { return (arena->state & RR_STATE_REPLACE) != 0; }
    // The index of the replacement's disk.
    uint32_t replacement() const { return plan.config.members; }
    // All that are written: the replacement is behind the roles.
    uint32_t devices() const { return plan.config.members + replacing(); }
    // The cell of a disk's row, on a member.
    uint64_t cell_of(uint32_t row) const;
    uint32_t stripe_of(uint32_t row) const { return row / plan.config.chunk_sectors; }
    bool planted(uint32_t row) const { return stripe_of(row) >= plan.client_stripes(); }
    // The job's flag counts in a row.
    bool job_has_to(uint32_t row) const;
    // The row's bit in the bitmap.
    uint64_t bit_of(uint32_t row) const;
    // Roles that are not there in a row; and those that nothing is written to.
    uint32_t missing_at(uint32_t row) const {
        return rebuilding() && !job_has_to(row) ? 0 : missing();
    }
    uint32_t unwritten() const { return rebuilding() ? 0 : missing(); }
    // The row's parity means nothing.
    bool unsynced(uint32_t row) const {
        return (arena->state & RR_STATE_RESYNC) && job_has_to(row);
    }
    bool of_job(uint32_t queue, const rr_action& a) const {
        return rr_token_kind(a.token) == RR_TOKEN_SLOT &&
               rr_host_slot(arena, queue, rr_token_index(a.token))->op == RR_OP_JOB;
    }
    // The last stripe that a request has something of, as an index.
    uint32_t last_stripe(const client_request& r) const {
        return r.sectors == 0 ? r.stripe : (r.base + r.sectors - 1) / full_stripe();
    }
    bool broken() const { return (arena->state & RR_STATE_BROKEN) != 0; }

    // The tags of the writes that a slot carries.
    std::vector<uint32_t> tags_of(uint32_t queue, const rr_slot& s) const;

    // A sector of the arena, as the one word that all of it repeats.
    void expand(uint64_t address, uint64_t value);
    uint64_t compress(uint64_t address);

    schedule plan;
    rr_array* arena = nullptr;
    std::array<disk, RR_MEMBERS_MAX> disks;
    std::array<bitmap_disk, RR_MEMBERS_MAX> bitmap_disks;
    model reference;
    std::vector<io> ios;
    uint32_t ios_used = 0;  // those behind were never in flight
    // The serials of the requests that one operation's writes carry; the first is nobody's.
    std::vector<std::vector<uint32_t>> writers;
    // Serials: when the request was acknowledged, 0 while it was not.
    std::vector<uint32_t> acknowledged;
    // By stripe: roles with a read that failed, ever.
    std::array<uint32_t, schedule::stripes_max> trouble{};
    uint32_t ever_vanished = 0;
    uint32_t away = 0;  // they answer nothing, and will again
    // The role that came back last, and when.
    uint32_t back = 0, back_since = 0;
    job_note job{};
    uint32_t spoils = 0;  // how often a sector went bad
    // Of the engine's call that is judged: what is emitted may be a retry; the
    // state that it cannot but have seen (others may have changed it meanwhile).
    bool in_tick = false;
    uint64_t known = 0;
    uint32_t known_missing() const { return static_cast<uint32_t>(known & RR_STATE_MISSING); }
    bool known_broken() const { return (known & RR_STATE_BROKEN) != 0; }
    bool clean = false;           // the superblocks are
    uint32_t recorded_epoch = 0;  // the last one that all survivors' superblocks tell of
    // By role: member writes that the engine knows of, and those flushed.
    std::array<uint32_t, RR_MEMBERS_MAX> written{}, covered{};
    // By queue and role: what was written when its flush was emitted.
    std::array<std::array<uint32_t, RR_MEMBERS_MAX>, queues_max> flush_notes{};
    uint32_t writes_answered = 0;
    uint32_t clock = 0;  // model time: counts submissions and answers

    // Before the engine touches a shared word.
    void interleave();
    // ... and the control plane.
    void control_word();

private:
    // The engine's calls under way, the innermost last.
    struct call {
        uint32_t thread;
        uint64_t known;  // see world::known
        uint64_t left;   // the state as others left it
    };
    static constexpr uint32_t control_thread = queues_max;
    static constexpr uint32_t flusher_thread = queues_max + 1;  // calls nothing of the engine
    static constexpr uint32_t log_thread = queues_max + 2;
    // The daemon's, or all power is gone.
    struct death {
        bool power;
    };

    void prepare();
    void boot(uint32_t missing, uint64_t state, uint32_t epoch);
    void later(uint64_t delay, event_kind what, uint32_t queue, uint32_t index);
    void turn(const event& e);
    void plan_poll();
    template <typename F>
    void engine(uint32_t thread, F f) {
        enter(thread);
        f();
        leave(thread);
    }
    void enter(uint32_t thread);
    void leave(uint32_t thread);
    template <typename F>
    void queue_call(uint32_t queue, F f, bool tick = false);
    template <typename F>
    void control(F f) {
        engine(control_thread, f);
    }
    [[nodiscard]] bool in_control() const { return active_ >> control_thread & 1; }
    [[nodiscard]] bool in_daemon() const {
        return depth_ && calls_[depth_ - 1].thread >= control_thread;
    }
    template <typename F>
    void mortally(F f);
    void fail_member(uint32_t role);
    void let_others(uint32_t turns);
    uint32_t thread_of(const event& e) const;
    bool turn_of_another();
    bool members_fail() const;
    void dump();
    void settle(uint32_t queue);
    void drain(uint32_t queue, bool all);
    void take(uint32_t queue, const rr_action& a);

    void follow_stream(request_shape& q);
    static void narrow(client_request& r, uint32_t full);
    void client_submit(uint32_t queue, uint32_t tag);
    void client_start(uint32_t queue, uint32_t tag);
    void answer(uint32_t queue, uint32_t tag, int32_t result);

    void issue(uint32_t queue, const rr_action& a);
    void decide(io& x);
    void send_flush(uint32_t role);
    void flush_ended(uint32_t role);
    void move(io& x, uint32_t upto);
    void finish(uint32_t index);
    int fuse(const io& x);

    void control_look();
    void control_superblock();
    void control_rest();
    void lie_down();
    void wake_queues();
    [[nodiscard]] bool some_write_waits() const;
    uint32_t who_refuses();
    // jobs.cpp
    void control_job();
    [[nodiscard]] bool job_to_come() const;
    [[nodiscard]] bool job_waits() const;
    [[nodiscard]] bool failures_are_recorded() const;
    [[nodiscard]] bool quiet(uint32_t role) const;
    bool begin_piece(uint32_t kind, uint64_t from);
    std::optional<uint32_t> next_stripe(uint64_t& from, uint64_t& end, bool by_region) const;
    void resync_over();
    void bring_back(uint32_t role);
    void bring_fresh(uint32_t role);
    void job_goes_on();
    void piece_over();
    void check_piece();
    void check_progress();
    void job_failed();
    void wake_job();
    void replace_member();
    bool flush_target();
    void checkpoint();
    void record_member();
    void make_member();
    void tell_member();
    void break_target();
    // replace.cpp
    void begin_replacement();
    void end_replacement();
    void break_replacement();
    [[nodiscard]] bool nothing_waits() const;

    // bitmap.cpp
    void format_bitmap();
    void make_bitmap(md::bitmap image);
    md::bitmap read_copies(uint32_t without);
    void adopt_bitmap();
    void read_bitmap();
    void record_events(uint64_t events);
    void raise_events();
    void look_at_bitmap();
    void close_bitmap();
    [[nodiscard]] bool region_waits() const;
    void at_risk(bool at_io);
    void plan_death();
    void others();
    void fail_in_control(uint32_t role);
    void write_pages(const md::bitmap& image, std::span<const uint32_t> pages);
    void flush_members();
    void check_cleared(const md::bitmap& image);

    // log.cpp
    void format_logs();
    void format_log(uint32_t role);
    void write_log(uint32_t role, uint64_t sector, std::span<const uint8_t> bytes);
    void finish_log(uint32_t role);
    void log_turn(const std::function<void()>& first);
    void tell_log(uint32_t queue);
    void cut_logs();
    bool recover_entry(uint32_t role, const md::ppl_unit& unit, const md::ppl_entry& entry,
                       uint32_t gone, uint32_t& budget);
    bool recover_logs(uint32_t gone, uint32_t budget);
    void recover(uint32_t gone);
    void lose_with_power();
    void note_torn();

    void strike(uint32_t index);
    void make_judge();
    void begin_outage();
    void end_outage();
    void trigger_faults();
    void spoil_somewhere();
    void drop_in_flight();
    void kill();
    void redo(uint32_t budget);
    void power_cut();
    void restart_clients();

    std::byte* sector_at(uint64_t address) { return memory_ + address; }

    template <typename... Args>
    void say(fmt::format_string<Args...> format, Args&&... args) {
        if (verbose_)
            fmt::print("# {:7} {}\n", now_, fmt::format(format, std::forward<Args>(args)...));
    }

    std::byte* memory_ = nullptr;
    arena_layout layout_;
    rng chance_;
    bool verbose_ = false;
    std::string failure_;
    uint64_t now_ = 0;
    uint32_t order_ = 0, events_ = 0;
    std::vector<event> heap_;
    std::vector<uint16_t> free_ios_;
    std::optional<flush_desk> desk_;
    std::array<int32_t, RR_MEMBERS_MAX> flush_results_{};  // of those in flight, by role
    std::array<std::array<uint16_t, RR_MEMBERS_MAX>, queues_max> asks_{};  // by queue: ios
    std::vector<client_request> requests_;
    std::vector<slot_note> notes_;
    std::array<bool, queues_max> timer_armed_{}, drain_planned_{};
    std::array<uint32_t, queues_max> seen_{};  // actions checked so far
    std::array<bool, schedule::faults_max> triggered_{}, struck_{};
    uint32_t submitted_ = 0, outstanding_ = 0, serial_ = 0;
    uint32_t stream_stripe_ = 0, stream_at_ = 0;  // where a stream of reads goes on
    std::array<call, queues_max + 3> calls_{};
    uint32_t depth_ = 0, active_ = 0;  // calls under way; mask of their threads
    uint32_t turning_ = 0;             // the depth at which others have their turns
    uint32_t until_ = 0;               // accesses to shared words until others take a turn
    uint32_t turns_left_ = 0;
    bool resting_ = false;  // all threads start together
    bool superblock_writing_ = false, durable_telling_ = false, poll_planned_ = false;
    uint32_t superblock_missing_ = 0, superblock_epoch_ = 0;
    uint32_t rest_ = 0;        // the number that was asked for, 0: none
    uint32_t rests_ = 0;       // numbers used
    bool getting_up_ = false;  // the dirty mark is being written
    // What the superblocks say of jobs: the first cell that is not for sure done.
    uint64_t checkpoint_ = 0;
    bool superblock_rebuild_ = false, superblock_resync_ = false, superblock_replace_ = false;
    bool member_writing_ = false;
    uint64_t member_state_ = 0;  // that its record was made of
    uint32_t checks_left_ = 0, rebuilds_left_ = 0, replaces_left_ = 0, tries_left_ = 0;
    std::optional<array_bitmap> bitmap_;
    std::optional<member_judge> judge_;
    std::optional<md::array_metadata> metadata_;  // its events
    uint64_t superblock_events_ = 0;
    std::array<uint64_t, RR_MEMBERS_MAX> member_events_{};
    bool superblock_by_region_ = false;
    uint32_t may_return_ = 0;  // roles whose device lacks but what was written without it
    bool parked_ = false;      // no queue has a turn
    uint32_t deaths_left_ = 0, death_in_ = 0;
    bool over_ = false;
    std::optional<log_writer> log_writer_;
    std::array<log_disk, RR_MEMBERS_MAX> log_disks_;
    bool log_poll_planned_ = false;
    // By row: roles that failed while it was written to them and to others; and those that
    // a log names, among others, where they are missing.
    std::vector<uint32_t> torn_, named_;
    totals* sum_ = nullptr;
};

}  // namespace rr::sim
