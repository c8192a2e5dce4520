// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/jobs.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "engine/words.h"
#include "service/closing.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint32_t idle_depth = 16;  // cells in work
constexpr uint32_t behind_depth = 4;
constexpr uint64_t row_sectors = 8;
constexpr uint64_t checkpoints = 16;
constexpr auto checkpoint_every = std::chrono::seconds(30);
constexpr auto steer_every = std::chrono::milliseconds(50);
constexpr auto speed_over = std::chrono::milliseconds(900);
constexpr uint64_t told_every_percent = 20;
constexpr double credit_seconds = 0.5;
constexpr auto ask_again = std::chrono::seconds(1);

double seconds(array_jobs::clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

std::optional<uint32_t> missing_role(const rr_array* array) {
    const uint64_t mask = load(array->state) & RR_STATE_MISSING;
    return mask == 0 ? std::nullopt : std::optional(static_cast<uint32_t>(__builtin_ctzll(mask)));
}

// Takes @bits out of the state, if @needed are in it.
bool clear_state(rr_array* array, uint64_t bits, uint64_t needed) {
    uint64_t seen = load(array->state);
    do {
        if ((seen & needed) != needed || (seen & RR_STATE_BROKEN) != 0)
            return false;
    } while (!__atomic_compare_exchange_n(&array->state, &seen,
                                          (seen & ~bits) + (1ULL << RR_STATE_EPOCH_SHIFT), false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return true;
}

}  // namespace

const char* job_name(uint32_t kind) {
    static constexpr std::array names = {"none", "check", "repair", "resync", "rebuild", "replace"};
    return kind < names.size() ? names[kind] : "unknown";
}

array_jobs::array_jobs(rr_array* array, needs how)
    : array_(array), how_(std::move(how)), rates_(how_.rates) {
    // A dead daemon's: whoever halted it is gone, too.
    first_ = job().frontier;
    total_ = job().by_region != 0 && how_.bitmap != nullptr
                 ? how_.bitmap->needed_cells(first_)
                 : job().end - std::min<uint64_t>(job().end, first_);
    checkpoint_ = job().frontier;
    job().halt = 0;
    // Cells above the frontier are done again, and what is wrong there is found again.
    const scrub_note below = place();
    job().wrong_rows = below.wrong_rows;
    std::ranges::copy(below.wrong, job().wrong);
    std::ranges::copy(job().mended, counted_.begin());
    for (uint32_t role = 0; role < array_->geometry.members; role++)
        counted_of_clients_.at(role) = load(array_->members[role].corrected);
    checkpoint_time_ = looked_ = clock::now();
    looked_at_ = job().frontier;
}

uint64_t array_jobs::cell_sectors() const {
    return uint64_t{1} << (array_->cell_shift - RR_SECTOR_SHIFT);
}

uint64_t array_jobs::cells_in_all() const {
    return array_->member_sectors / cell_sectors();
}

bool array_jobs::runs() const {
    return load(array_->job.kind) != RR_JOB_NONE;
}

// In one piece: plans may look at it.
void array_jobs::prepare(uint64_t from, uint64_t end, bool by_region) {
    rr_job fresh{};
    fresh.by_region = by_region ? 1 : 0;
    fresh.at_once = idle_depth;
    fresh.end = end;
    fresh.limit = end;
    fresh.next = fresh.frontier = from;
    job() = fresh;
    counted_ = {};
    paused_ = cancelled_ = false;
    first_ = checkpoint_ = looked_at_ = from;
    done_before_ = 0;
    total_ = end - from;
    told_percent_ = 0;
    kib_per_second_ = 0;
    looked_ = checkpoint_time_ = clock::now();
    credit_ = 0;
}

// The first run of regions that need it. One that is empty ends at once.
void array_jobs::prepare_regions(uint64_t from) {
    const auto run = how_.bitmap->next_needed(from);
    const uint64_t all = cells_in_all();
    prepare(run ? run->begin : all, run ? run->end : all, true);
    total_ = how_.bitmap->needed_cells(from);
}

// Where one run is done and another is left, it is the next. Plans look at the frontier
// meanwhile: nothing between the two is needed, so it may be on either side.
bool array_jobs::next_run() {
    if (job().by_region == 0 || how_.bitmap == nullptr)
        return false;
    how_.bitmap->done_up_to(job().end);
    const auto run = how_.bitmap->next_needed(job().end);
    if (!run)
        return false;
    std::lock_guard hold(lock_);
    done_before_ += job().end - first_;
    const uint64_t passed = run->begin - load(job().frontier);
    looked_at_ += passed;
    credited_next_ += passed;
    first_ = run->begin;
    job().done = 0;
    store(job().next, run->begin);
    store(job().frontier, run->begin);
    store(job().end, run->end);
    store(job().limit, run->end);
    store(job().ended, 0);
    how_.wake();
    return true;
}

bool array_jobs::is_through() const {
    return job().frontier >= job().end &&
           (job().by_region == 0 || how_.bitmap == nullptr || !how_.bitmap->next_needed(job().end));
}

uint64_t array_jobs::done_cells() const {
    return done_before_ + load(job().frontier) - first_;
}

// The kind last: queue 0 may look at any moment.
void array_jobs::launch(uint32_t kind) {
    store(job().kind, kind);
    how_.tell("RebuildStarted", about());
    how_.look();
}

Status array_jobs::begin_check(bool repair, uint64_t from, uint64_t to) {
    std::lock_guard hold(lock_);
    if (runs())
        return with_hint(fail(EBUSY, "a {} is under way", job_name(job().kind)),
                         "ringraid status shows it; a check can be cancelled");
    const uint64_t state = load(array_->state);
    // Plans go by the frontier while one of these is set.
    if ((state & RR_STATE_RESYNC) != 0)
        return fail(EBUSY, "the array's resync comes first");
    if ((state & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0)
        return with_hint(fail(EIO, "the array is degraded: there is nothing to compare"),
                         "add a device first: ringraid add");
    const uint64_t end = to == 0
                             ? cells_in_all()
                             : std::min(cells_in_all(), (to + cell_sectors() - 1) / cell_sectors());
    if (from / cell_sectors() >= end)
        return fail(EINVAL, "nothing lies from sector {} to {} of the members", from, to);
    prepare(from / cell_sectors(), end);
    waiting_.reset();
    launch(repair ? RR_JOB_REPAIR : RR_JOB_CHECK);
    how_.keep(place());
    return {};
}

void array_jobs::go_on(const scrub_note& note) {
    {
        std::lock_guard hold(lock_);
        const uint64_t from = note.from / cell_sectors();
        if (!runs() || !is_scrub())
            waiting_ = note;
        else if (load(job().kind) == note.kind && from <= first_)
            first_ = from;
    }
    begin_what_waits();
}

void array_jobs::begin_what_waits() {
    std::lock_guard hold(lock_);
    const uint64_t not_now = RR_STATE_RESYNC | RR_STATE_MISSING | RR_STATE_BROKEN;
    if (runs() || (load(array_->state) & not_now) != 0)
        return;
    if (replacement_waits_)
        return launch_replacement();
    if (!waiting_)
        return;
    const scrub_note note = *std::exchange(waiting_, std::nullopt);
    const uint64_t from = note.reached / cell_sectors();
    const uint64_t end =
        std::min(cells_in_all(), note.to / cell_sectors() + (note.to % cell_sectors() != 0));
    if (from >= end)  // the array is not what it was
        return how_.keep(std::nullopt);
    prepare(from, end);
    first_ = note.from / cell_sectors();
    job().wrong_rows = note.wrong_rows;
    job().unreadable_cells = note.unreadable_cells;
    std::ranges::copy(note.wrong, job().wrong);
    std::ranges::copy(note.mended, job().mended);
    counted_ = note.mended;
    launch(note.kind);
}

Status array_jobs::pause() {
    std::lock_guard hold(lock_);
    if (!runs())
        return fail(ENOENT, "no job is under way");
    paused_ = true;
    store(job().halt, 1);
    how_.look();
    return {};
}

Status array_jobs::resume() {
    std::lock_guard hold(lock_);
    if (!runs() || !paused_)
        return fail(ENOENT, "no job is paused");
    paused_ = false;
    looked_ = clock::now();
    looked_at_ = load(job().frontier);
    // What cannot be read may be readable now.
    if (load(job().ended) != 0) {
        job().next = job().frontier;
        job().done = 0;
        job().error = 0;
    }
    store(job().halt, 0);
    store(job().ended, 0);
    how_.look();
    return {};
}

Status array_jobs::cancel() {
    std::lock_guard hold(lock_);
    const uint32_t kind = load(job().kind);
    if (kind == RR_JOB_NONE && waiting_) {
        waiting_.reset();
        how_.keep(std::nullopt);
        return {};
    }
    // Also one that waits for its time: the array needs whatever runs.
    if (kind == RR_JOB_REPLACE || replacement_waits_) {
        rr_host_fail(array_, replacement(), -ECANCELED);
        how_.look();
        return {};
    }
    if (kind == RR_JOB_NONE)
        return fail(ENOENT, "no job is under way");
    if (kind != RR_JOB_CHECK && kind != RR_JOB_REPAIR)
        return with_hint(fail(EBUSY, "the array needs its {}", job_name(kind)),
                         "ringraid pause makes it wait");
    paused_ = false;
    cancelled_ = true;
    store(job().halt, 1);
    how_.look();
    return {};
}

Status array_jobs::set_rates(sync_rates rates) {
    if (rates.max_kib != 0 && rates.max_kib < rates.min_kib)
        return fail(EINVAL, "sync-max {} is below sync-min {}", rates.max_kib, rates.min_kib);
    std::lock_guard hold(lock_);
    rates_ = rates;
    return {};
}

sync_rates array_jobs::rates() const {
    std::lock_guard hold(lock_);
    return rates_;
}

void array_jobs::begin_rebuild(uint32_t role, uint64_t done, bool by_region) {
    std::lock_guard hold(lock_);
    // The frontier, then the flag, then the kind: plans heed the first only where there is
    // the second, and the job gives up where it is not.
    hopeless_ = false;
    if (by_region && how_.bitmap != nullptr)
        prepare_regions(done);
    else
        prepare(done, cells_in_all());
    corrected_.at(role) = 0;
    uint64_t seen = load(array_->state);
    do {
        if ((seen & RR_STATE_BROKEN) != 0 || (seen >> role & 1) == 0)
            return;
    } while (!__atomic_compare_exchange_n(&array_->state, &seen, seen | RR_STATE_REBUILD, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    launch(RR_JOB_REBUILD);
}

void array_jobs::begin_replacement(uint64_t done) {
    {
        std::lock_guard hold(lock_);
        replacement_waits_ = done;
        corrected_.at(load(array_->replaced)) = 0;
    }
    begin_what_waits();
}

// As begin_rebuild(). Where clients may have written meanwhile nothing of it is there.
void array_jobs::launch_replacement() {
    uint64_t seen = load(array_->state);
    const bool known = (seen & RR_STATE_REPLACE) != 0;
    const uint64_t from = known ? *replacement_waits_ : 0;
    replacement_waits_.reset();
    prepare(from, cells_in_all());
    do {
        if ((seen & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0)
            return;
    } while (!__atomic_compare_exchange_n(&array_->state, &seen, seen | RR_STATE_REPLACE, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    launch(RR_JOB_REPLACE);
}

bool array_jobs::is_copied() const {
    return load(job().kind) == RR_JOB_REPLACE && load(job().ended) != 0 && job().error == 0 &&
           job().frontier >= job().end && (load(array_->state) & RR_STATE_REPLACE) != 0;
}

bool array_jobs::is_to_replace() const {
    std::lock_guard hold(lock_);
    return is_copied();
}

void array_jobs::replaced() {
    // Where a member failed at this moment the flag is gone, and the epoch has moved.
    (void)clear_state(array_, RR_STATE_REPLACE, RR_STATE_REPLACE);
    end_replacement(false);
}

void array_jobs::end_replacement(bool lost) {
    const uint32_t role = load(array_->replaced);
    nlohmann::json told = about();
    finished now{RR_JOB_REPLACE, why_ended(), 0, 0, job().unreadable_cells, found()};
    const int error = array_->members[replacement()].error;
    if (lost && (job().error == 0 || job().error == -ECANCELED))
        now.how = error == ECANCELED ? "cancelled"
                  : error != 0       ? "the device failed"
                                     : "a member failed meanwhile";
    now.mended_cells = job().mended[role];
    told["how"] = now.how;
    how_.tell("RebuildFinished", told);
    if (!lost)
        how_.tell("SpareActive", {{"role", role}});
    std::lock_guard hold(lock_);
    last_ = std::move(now);
    store(job().kind, RR_JOB_NONE);
}

void array_jobs::begin_resync() {
    std::lock_guard hold(lock_);
    if (job().by_region != 0 && how_.bitmap != nullptr)
        prepare_regions(job().frontier);
    else
        prepare(job().frontier, cells_in_all());
    launch(RR_JOB_RESYNC);
}

bool array_jobs::is_busy() {
    uint64_t count = 0;
    bool open = false;
    for (uint32_t i = 0; i < array_->queues; i++) {
        const rr_queue* q = rr_host_queue(array_, i);
        count += load(q->came);
        open |= load(q->open) != 0;
    }
    const bool moved = count != client_count_;
    client_count_ = count;
    return open || moved;
}

void array_jobs::steer(clock::time_point now) {
    const uint64_t frontier = load(job().frontier);
    const double cell_kib = static_cast<double>(cell_sectors()) / 2;
    const double passed = seconds(now - looked_);
    if (now - looked_ >= speed_over) {
        kib_per_second_ = static_cast<double>(frontier - looked_at_) * cell_kib / passed;
        looked_ = now;
        looked_at_ = frontier;
    }
    const bool busy = is_busy();
    const bool behind = kib_per_second_ < static_cast<double>(rates_.min_kib);
    store(job().at_once, !busy ? idle_depth : behind ? behind_depth : 1);
    uint64_t limit = job().end;
    if (rates_.max_kib != 0) {
        const double cells_per_second = static_cast<double>(rates_.max_kib) / cell_kib;
        const uint64_t next = load(job().next);
        credit_ += cells_per_second * seconds(now - credited_) -
                   static_cast<double>(next - std::min(next, credited_next_));
        credit_ = std::clamp(credit_, 0.0, cells_per_second * credit_seconds + 1);
        credited_next_ = next;
        limit = std::min(limit, next + static_cast<uint64_t>(credit_));
    }
    credited_ = now;
    store(job().limit, limit);
    if (load(job().in_work) < load(job().at_once))
        how_.wake();
}

// The job that runs, in an event.
nlohmann::json array_jobs::about() const {
    nlohmann::json out = {{"job", job_name(job().kind)}};
    if (const auto role = missing_role(array_); role && job().kind == RR_JOB_REBUILD)
        out["role"] = *role;
    if (job().kind == RR_JOB_REPLACE)
        out["role"] = load(array_->replaced);
    return out;
}

// The index of the device that the job fills, while it does.
std::optional<uint32_t> array_jobs::target() const {
    const uint64_t state = load(array_->state);
    const uint32_t kind = load(job().kind);
    if (kind == RR_JOB_REBUILD && (state & RR_STATE_REBUILD) != 0)
        return missing_role(array_);
    return kind == RR_JOB_REPLACE && (state & RR_STATE_REPLACE) != 0 ? std::optional(replacement())
                                                                     : std::nullopt;
}

void array_jobs::tell_progress() {
    const uint64_t percent = total_ == 0 ? 100 : done_cells() * 100 / total_;
    const uint64_t step = percent / told_every_percent * told_every_percent;
    if (step <= told_percent_ || step >= 100)
        return;
    told_percent_ = step;
    how_.tell(fmt::format("Rebuild{}", step), about());
}

// Superblocks that could not be written: their members are out.
void array_jobs::record(const Result<md::update_report>& written) {
    if (!written) {
        log_error("{}", describe(written.error()));
        // Its own superblock is the first: it takes none.
        fail_target(written.error().err != 0 ? written.error().err : EIO);
    } else {
        lose_unwritten(*array_, *written);
    }
}

bool array_jobs::is_due(uint64_t frontier, clock::time_point now) const {
    return frontier - checkpoint_ >= std::max<uint64_t>(1, cells_in_all() / checkpoints) ||
           (frontier > checkpoint_ && now - checkpoint_time_ >= checkpoint_every);
}

bool array_jobs::is_scrub() const {
    const uint32_t kind = load(array_->job.kind);
    return kind == RR_JOB_CHECK || kind == RR_JOB_REPAIR;
}

// Where the job is, with what it found below its frontier.
scrub_note array_jobs::place() const {
    const uint64_t frontier = load(job().frontier);
    const uint64_t row = frontier * cell_sectors() / row_sectors;
    scrub_note note{job().kind,
                    first_ * cell_sectors(),
                    frontier * cell_sectors(),
                    job().end * cell_sectors(),
                    load(job().wrong_rows),
                    job().unreadable_cells,
                    {},
                    {}};
    const auto noted = std::min<uint64_t>(note.wrong_rows, RR_JOB_NOTES);
    std::copy_if(job().wrong, job().wrong + noted, std::back_inserter(note.wrong),
                 [row](rr_u64 wrong) { return wrong < row; });
    note.wrong_rows -= noted - note.wrong.size();
    std::ranges::copy(job().mended, note.mended.begin());
    return note;
}

void array_jobs::keep_place(clock::time_point now) {
    const uint64_t frontier = load(job().frontier);
    if (frontier >= job().end || !is_due(frontier, now))
        return;
    checkpoint_ = frontier;
    checkpoint_time_ = now;
    how_.keep(place());
}

void array_jobs::checkpoint(md::array_metadata& metadata, clock::time_point now) {
    const uint64_t frontier = load(job().frontier);
    const auto role = target();
    // Between two runs nothing is left behind.
    if (!role || !is_due(frontier, now) || (frontier >= job().end && job().by_region == 0))
        return;
    checkpoint_ = frontier;
    checkpoint_time_ = now;
    record_reached(metadata, *role, frontier);
}

// The rows below @frontier are on the device behind @index: flushed, then the superblocks.
void array_jobs::record_reached(md::array_metadata& metadata, uint32_t index, uint64_t frontier) {
    if (!how_.flush(index))
        return;
    const uint64_t sectors = frontier * cell_sectors();
    record(index == replacement() ? metadata.replacement_reached(sectors)
                                  : metadata.rebuild_reached(index, sectors));
}

void array_jobs::fail_target(int error) {
    if (const auto role = target())
        rr_host_fail(array_, *role, -error);
}

// Of a cell one block at least could not be read.
void array_jobs::count_corrected(md::array_metadata& metadata) {
    for (uint32_t role = 0; role < array_->geometry.members; role++) {
        const rr_u64 mended = load(job().mended[role]);
        const auto sectors = static_cast<uint32_t>((mended - counted_.at(role)) * row_sectors);
        counted_.at(role) = mended;
        correct(metadata, role, sectors);
    }
}

// What clients' requests met: no job has to run.
void array_jobs::count_of_clients(md::array_metadata& metadata) {
    for (uint32_t role = 0; role < array_->geometry.members; role++) {
        const uint32_t now = load(array_->members[role].corrected);
        correct(metadata, role, now - counted_of_clients_.at(role));
        counted_of_clients_.at(role) = now;
    }
}

void array_jobs::correct(md::array_metadata& metadata, uint32_t role, uint32_t sectors) {
    if (sectors == 0)
        return;
    corrected_.at(role) += sectors;
    metadata.reads_corrected(role, sectors);
}

uint32_t array_jobs::corrected(uint32_t role) const {
    std::lock_guard hold(lock_);
    return corrected_.at(role);
}

std::string array_jobs::why_ended() const {
    if (cancelled_)
        return "cancelled";
    if (job().error == 0)
        return "done";
    if (job().error == -ECANCELED)
        return "a member failed meanwhile";
    return fmt::format("the blocks at sector {} of the members cannot be read",
                       job().error_cell * cell_sectors());
}

void array_jobs::end_rebuild(md::array_metadata& metadata) {
    const auto role = missing_role(array_);
    // It may have failed after its last row.
    if (!role || (load(array_->state) & RR_STATE_REBUILD) == 0 || !how_.flush(*role))
        return;
    auto written = metadata.rebuild_finished(*role);
    const uint64_t bit = uint64_t{1} << *role;
    // The error goes first: whoever sees the member sees none.
    if (written && (load(array_->state) & RR_STATE_REBUILD) != 0)
        array_->members[*role].error = 0;
    const bool whole =
        written && clear_state(array_, bit | RR_STATE_REBUILD, bit | RR_STATE_REBUILD);
    // After it: who took no superblock is the only one that is missing then.
    record(written);
    if (whole)
        how_.tell("SpareActive", {{"role", *role}});
}

void array_jobs::end(md::array_metadata& metadata) {
    const uint32_t kind = job().kind;
    const bool whole = job().frontier >= job().end;
    if (kind == RR_JOB_REPLACE) {
        fail_target(job().error != 0 ? -job().error : EIO);
        return end_replacement(true);
    }
    if (whole && job().error == 0 && !cancelled_ && next_run())
        return;
    nlohmann::json told = about();
    finished now{kind, why_ended(), job().wrong_rows, 0, job().unreadable_cells, found()};
    for (const rr_u64 cells : job().mended)
        now.mended_cells += cells;
    if (kind == RR_JOB_RESYNC && !whole) {
        // Without it the array is not whole: it waits for who mends the cause.
        log_error("the resync stopped: {}", now.how);
        std::lock_guard hold(lock_);
        paused_ = true;
        return;
    }
    if (kind == RR_JOB_REBUILD) {
        hopeless_ = job().error == -EIO;
        if (whole)
            end_rebuild(metadata);
        else
            fail_target(job().error != 0 ? -job().error : EIO);
        if (whole && (load(array_->state) & RR_STATE_MISSING) != 0)
            now.how = "the device failed";
        // A plan may have seen the flag before the target failed, and look at the words now.
        if (whole && how_.bitmap != nullptr)
            how_.bitmap->need_nothing();
    }
    if (kind == RR_JOB_RESYNC && clear_state(array_, RR_STATE_RESYNC, RR_STATE_RESYNC))
        metadata.resync_finished();
    told["how"] = now.how;
    told["mismatch_sectors"] = now.wrong_rows * row_sectors;
    how_.tell("RebuildFinished", told);
    std::lock_guard hold(lock_);
    if (is_scrub())
        how_.keep(std::nullopt);
    last_ = std::move(now);
    store(job().kind, RR_JOB_NONE);
}

// Disks are waited for without the lock: who asks for the status waits for nothing.
void array_jobs::look(md::array_metadata& metadata, clock::time_point now) {
    {
        std::lock_guard hold(lock_);
        count_of_clients(metadata);
        // Given up before it began.
        if (!metadata.replacement())
            replacement_waits_.reset();
    }
    if (!runs())
        return begin_what_waits();
    bool over = false;
    {
        std::lock_guard hold(lock_);
        count_corrected(metadata);
        over = load(job().ended) != 0;
        // What cannot go on waits for nothing: a spare does.
        const uint64_t state = load(array_->state);
        const bool lost = job().kind == RR_JOB_REBUILD   ? (state & RR_STATE_REBUILD) == 0
                          : job().kind == RR_JOB_REPLACE ? (state & RR_STATE_REPLACE) == 0
                          : job().kind == RR_JOB_RESYNC  ? false
                                                         : (state & RR_STATE_MISSING) != 0;
        if (over && paused_ && !lost)
            return;
        if (is_copied()) {
            if (now - asked_ >= ask_again && load(rr_host_queue(array_, 0)->gone) == 0) {
                asked_ = now;
                how_.replace();
            }
            return;
        }
        // Nothing went wrong: its queue ends with the device, and close() records how far it
        // came; or a pause was taken back at that moment.
        if (over && !lost && !cancelled_ && job().error == 0 && load(job().frontier) < job().end) {
            if (load(rr_host_queue(array_, 0)->gone) == 0) {
                store(job().ended, 0);
                how_.wake();
            }
            return;
        }
        // Each message comes back as a completion, and makes the caller look again.
        if (!over && now - steered_ < steer_every)
            return;
        if (!over)
            steer(now);
        steered_ = now;
    }
    if (over) {
        end(metadata);
        return begin_what_waits();
    }
    tell_progress();
    if (job().by_region != 0 && how_.bitmap != nullptr)
        how_.bitmap->done_up_to(load(job().frontier));
    if (is_scrub())
        keep_place(now);
    else if (job().kind == RR_JOB_REBUILD || job().kind == RR_JOB_REPLACE)
        checkpoint(metadata, now);
}

void array_jobs::close(md::array_metadata& metadata) {
    count_of_clients(metadata);
    count_corrected(metadata);
    if (is_scrub()) {
        const bool goes_on = !cancelled_ && job().error == 0 && job().frontier < job().end;
        how_.keep(goes_on ? std::optional(place()) : std::nullopt);
    }
    const auto role = target();
    if (!role)
        return;
    if (job().kind == RR_JOB_REBUILD && is_through())
        end_rebuild(metadata);
    else
        record_reached(metadata, *role, job().frontier);
}

// Positions on the members, in sectors from their data's start.
nlohmann::json array_jobs::found() const {
    nlohmann::json rows = nlohmann::json::array();
    for (uint64_t i = 0; i < std::min<uint64_t>(job().wrong_rows, RR_JOB_NOTES); i++)
        rows.push_back(job().wrong[i] * row_sectors);
    return rows;
}

nlohmann::json array_jobs::status() const {
    std::lock_guard hold(lock_);
    nlohmann::json out = {{"sync_min_kib", rates_.min_kib}, {"sync_max_kib", rates_.max_kib}};
    if (runs()) {
        const uint64_t total = total_ * cell_sectors();
        const uint64_t done = done_cells() * cell_sectors();
        nlohmann::json now = {
            {"kind", job_name(job().kind)},
            {"state", !paused_                 ? "running"
                      : load(job().error) != 0 ? "stopped"
                                               : "paused"},
            {"from_sector", first_ * cell_sectors()},
            {"by_bitmap", job().by_region != 0},
            {"done_sectors", done},
            {"total_sectors", total},
            {"percent",
             total == 0 ? 100.0 : static_cast<double>(done) * 100 / static_cast<double>(total)},
            {"kib_per_second", static_cast<uint64_t>(kib_per_second_)},
            {"mismatch_sectors", job().wrong_rows * row_sectors},
            {"mismatches", found()},
            {"unreadable_cells", job().unreadable_cells}};
        if (kib_per_second_ > 0)
            now["finish_seconds"] =
                static_cast<uint64_t>(static_cast<double>(total - done) / 2 / kib_per_second_);
        now.update(about());
        now.erase("job");
        out["now"] = now;
    }
    if (waiting_)
        out["waiting"] = {{"kind", job_name(waiting_->kind)},
                          {"from_sector", waiting_->from},
                          {"reached_sector", waiting_->reached},
                          {"mismatch_sectors", waiting_->wrong_rows * row_sectors}};
    if (last_)
        out["last"] = {{"kind", job_name(last_->kind)},
                       {"how", last_->how},
                       {"mismatch_sectors", last_->wrong_rows * row_sectors},
                       {"mismatches", last_->rows},
                       {"mended_cells", last_->mended_cells},
                       {"unreadable_cells", last_->unreadable_cells}};
    return out;
}

}  // namespace rr
