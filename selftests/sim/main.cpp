// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// sim_tests: the RAID5 engine under thousands of seeded schedules.
//
//   sim_tests [--seed N] [--steps M] [--schedules K] [--jobs J] [--stop] [--verbose]
//
// Plays schedules N..N+K-1 of M requests each; with --seed alone just that
// one. Prints KTAP: a line for each kind of schedule. A failure is shown with
// the command that plays it again. The schedules are shared out among
// processes, so a crash of the engine is a failure like others.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "world.h"

namespace rr::sim {
namespace {

constexpr size_t kinds = static_cast<size_t>(kind::count);
constexpr uint32_t jobs_max = 64;
constexpr uint32_t shown_max = 3;

struct options {
    uint64_t seed = 1;
    uint32_t steps = 300;
    uint64_t schedules = 0;
    uint32_t jobs = 0;
    bool stop = false, verbose = false, seed_given = false;
};

struct failure {
    uint64_t seed;
    std::array<char, 200> what;
};

struct kind_result {
    totals sum;
    uint64_t failed;
    std::array<failure, shown_max> shown;
};

// One for each process, in shared memory.
struct job {
    uint64_t playing;
    bool stopped;
    std::array<kind_result, kinds> results;
};

void play(const options& o, uint32_t number, job* jobs) {
    auto w = std::make_unique<world>();
    job& mine = jobs[number];
    for (uint64_t i = number; i < o.schedules; i += o.jobs) {
        const schedule s = make_schedule(o.seed + i, o.steps);
        kind_result& k = mine.results[static_cast<size_t>(s.what)];
        mine.playing = s.seed;
        const std::string& what = w->run(s, o.verbose, k.sum);
        if (!what.empty()) {
            if (k.failed < shown_max) {
                failure& f = k.shown[k.failed];
                f.seed = s.seed;
                std::strncpy(f.what.data(), what.c_str(), f.what.size() - 1);
            }
            k.failed++;
            mine.stopped = o.stop;
        }
        for (uint32_t j = 0; j < o.jobs; j++)
            if (*static_cast<volatile bool*>(&jobs[j].stopped))
                return;
    }
}

void add(totals& to, const totals& from) {
    const auto* f = reinterpret_cast<const uint64_t*>(&from);
    auto* t = reinterpret_cast<uint64_t*>(&to);
    static_assert(sizeof(totals) % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < sizeof(totals) / sizeof(uint64_t); i++)
        t[i] += f[i];
}

void show(const options& o, uint64_t seed, const char* what) {
    fmt::print("# seed {}: {}\n#   ./run test sim --seed {} --steps {}\n", seed, what, seed,
               o.steps);
}

int report(const options& o, const job* jobs, bool died) {
    int number = 0;
    uint64_t failed_kinds = 0, schedules = 0, requests = 0;
    fmt::print("KTAP version 1\n");
    for (size_t k = 0; k < kinds; k++) {
        totals sum;
        uint64_t failed = 0;
        uint32_t shown = 0;
        for (uint32_t j = 0; j < o.jobs; j++) {
            const kind_result& r = jobs[j].results[k];
            add(sum, r.sum);
            for (uint32_t i = 0; i < r.failed && i < shown_max && shown < shown_max; i++, shown++)
                show(o, r.shown[i].seed, r.shown[i].what.data());
            failed += r.failed;
        }
        if (!sum.schedules)
            continue;
        schedules += sum.schedules;
        requests += sum.requests;
        failed_kinds += failed != 0;
        const std::string name = kind_name(static_cast<kind>(k));
        fmt::print(
            "# {}: {} schedules, {} requests, {} events, {} answered with errors, {} kills, {} "
            "rows redone, "
            "{} power cuts\n#   rmw {} rcw {} full {} recon {} payload {} rebuilt {} repaired {} "
            "replans {} "
            "rests {} outages {} gathered {} held {} lock waits {} slot waits {} retries {} "
            "flushes {} "
            "interleaved {}\n",
            name, sum.schedules, sum.requests, sum.events, sum.errors, sum.kills, sum.redone,
            sum.cuts, sum.rmw, sum.rcw, sum.full, sum.recon, sum.payload, sum.rebuilt, sum.repaired,
            sum.replans, sum.rests, sum.outages, sum.gathered, sum.held, sum.lock_waits,
            sum.slot_waits, sum.retries, sum.flushes, sum.interleaved);
        if (sum.zeroes)
            fmt::print("#   zeroes {} requests, {} cells by members\n", sum.zeroes, sum.zeroed);
        if (sum.jobs)
            fmt::print(
                "#   jobs {} ({} halts, {} met by a kill, {} wrong rows found) resyncs {} rebuilds "
                "{}: {} members, replacements {}: {} members, {} targets lost, {} resumed\n",
                sum.jobs, sum.halts, sum.job_kills, sum.wrong_rows, sum.resyncs, sum.rebuilds,
                sum.rebuilt_members, sum.replacements, sum.replaced, sum.targets_lost, sum.resumed);
        if (sum.bitmaps)
            fmt::print(
                "#   bitmaps {}: {} writes waited for a region, {} members came back ({} whole), "
                "{} "
                "partial resyncs, {} deaths at it\n",
                sum.bitmaps, sum.region_waits, sum.returned, sum.back_members, sum.partial,
                sum.deaths);
        if (sum.logs)
            fmt::print(
                "#   logs {}: {} units, {} rows recovered, {} cuts with a member lost, {} that "
                "left neither\n",
                sum.logs, sum.units, sum.recovered, sum.lost_with_power, sum.neither);
        fmt::print("{} {} {}: {} schedules, {} requests, {} failures\n", failed ? "not ok" : "ok",
                   ++number, name, sum.schedules, sum.requests, failed);
    }
    if (died)
        fmt::print("not ok {} the engine crashed\n", ++number);
    fmt::print("1..{}\n# {} schedules, {} requests\n", number, schedules, requests);
    return failed_kinds || died ? 1 : 0;
}

int run(options o) {
    auto* jobs = static_cast<job*>(mmap(nullptr, sizeof(job) * jobs_max, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (jobs == MAP_FAILED)
        return 2;
    std::array<pid_t, jobs_max> pids{};
    for (uint32_t j = 0; j < o.jobs; j++) {
        fflush(stdout);
        pids[j] = fork();
        if (pids[j] == 0) {
            play(o, j, jobs);
            fflush(stdout);
            _exit(0);
        }
    }
    bool died = false;
    for (uint32_t j = 0; j < o.jobs; j++) {
        int status = 0;
        waitpid(pids[j], &status, 0);
        if (status != 0) {
            died = true;
            show(o, jobs[j].playing, "the process died");
        }
    }
    return report(o, jobs, died);
}

[[noreturn]] void usage(int code) {
    fmt::print(
        "usage: sim_tests [--seed N] [--steps M] [--schedules K] [--jobs J] [--stop] [--verbose]\n"
        "  --seed N       the first schedule's seed; alone: just that schedule\n"
        "  --steps M      requests in a schedule (300)\n"
        "  --schedules K  how many (by RINGRAID_LEVEL: 20000, 100000 or 1000000)\n"
        "  --stop         end at the first failure\n");
    std::exit(code);
}

options parse(int argc, char** argv) {
    options o;
    auto number = [&](int& i) {
        char* end = nullptr;
        if (++i >= argc)
            usage(2);
        const uint64_t n = std::strtoull(argv[i], &end, 0);
        if (*end || end == argv[i])
            usage(2);
        return n;
    };
    for (int i = 1; i < argc; i++) {
        const std::string a = argv[i];
        if (a == "--seed")
            o.seed = number(i), o.seed_given = true;
        else if (a == "--steps")
            o.steps = static_cast<uint32_t>(number(i));
        else if (a == "--schedules")
            o.schedules = number(i);
        else if (a == "--jobs")
            o.jobs = static_cast<uint32_t>(number(i));
        else if (a == "--stop")
            o.stop = true;
        else if (a == "--verbose")
            o.verbose = true;
        else
            usage(a == "--help" || a == "-h" ? 0 : 2);
    }
    if (!o.schedules) {
        const char* env = std::getenv("RINGRAID_LEVEL");
        const std::string level = env ? env : "";
        o.schedules = o.seed_given       ? 1
                      : level == "quick" ? 20000
                      : level == "full"  ? 1000000
                                         : 100000;
    }
    if (!o.jobs)
        o.jobs = std::max(1U, std::thread::hardware_concurrency());
    o.jobs = static_cast<uint32_t>(std::min<uint64_t>({o.jobs, jobs_max, o.schedules}));
    return o;
}

}  // namespace
}  // namespace rr::sim

int main(int argc, char** argv) {
    return rr::sim::run(rr::sim::parse(argc, argv));
}
