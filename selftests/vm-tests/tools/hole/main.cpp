// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The write hole: makes it, cuts it open at any moment, and looks whether it is there.
//
//   hole fill DEVICE             every block of 4 KiB has its first content
//   hole load DEVICE ACKS        threads write, and note what was acknowledged (load.h)
//   hole cuts LOG                the crash at many points of a log of all writes (log.h),
//                                judged by the code of a start (judge.h)
//   hole restore LOG DISK... ACKS --cut K    the same crash on real disks, for real judges
//   hole verify DEVICE ACKS      what is on a device that somebody made of them
//
// `cuts` prints "whole:" and "less:" with what it counted, then crashes for real judges, one
// a line: "hole CUT MEMBER SECTORS", where a block that nobody was writing is wrong without
// that member, and "cut CUT", of those with a flush that was late, if there are any.
//
// --no-log judges as if there was no partial parity log: then the hole must be seen.
//
// Exit code 0: no sector was wrong, and nothing was refused. 3: something was.
#include <fcntl.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/io.h"
#include "judge.h"
#include "load.h"
#include "log.h"

using namespace rr;
using namespace rr::hole;

namespace {

void print(const char* name, const tally& t) {
    fmt::print(
        "{}: {} looks, {} forced, {} refused, {} entries, {} torn, idle wrong {}, under way "
        "wrong {}, told {}, flushed late {}\n",
        name, t.looks, t.forced, t.refused, t.entries, t.torn, t.idle_wrong, t.busy_wrong, t.told,
        t.late);
}

bool is_wrong(const tally& t) {
    return t.idle_wrong + t.busy_wrong + t.refused != 0;
}

// Evenly from all that there are.
template <typename One, typename Print>
void print_some(const std::vector<One>& all, size_t most, const Print& print_one) {
    const size_t n = std::min(all.size(), most);
    for (size_t i = 0; i < n; i++)
        print_one(all[(2 * i + 1) * all.size() / (2 * n)]);
}

int cuts(settings set, const std::string& path, size_t count, size_t named, bool quiet) {
    const write_log log(path);
    set = sized(set, log);
    crash_maker maker(set, log);
    expected want(set);
    image crash(set);
    judge by(set, quiet);
    const auto places = choose_cuts(set, log, count);
    for (const size_t cut : places) {
        maker.make(cut, crash);
        want.advance(crash.notes());
        by.look(crash, want, cut);
    }
    fmt::print("{} cuts of {} entries, {} writes acknowledged at the last\n", places.size(),
               log.entries().size() - log.begin(), want.acknowledged());
    print("whole", by.whole);
    print("less", by.less);
    print_some(by.holes, named, [](const found_hole& h) {
        fmt::print("hole {} {} {}\n", h.cut, h.missing, h.sectors);
    });
    print_some(by.late_cuts.empty() ? places : by.late_cuts, named,
               [](size_t cut) { fmt::print("cut {}\n", cut); });
    return is_wrong(by.whole) || is_wrong(by.less) ? found_wrong : 0;
}

int restore(settings set, const std::string& path, const std::vector<std::string>& to, size_t cut) {
    const write_log log(path);
    set = sized(set, log);
    crash_maker maker(set, log);
    image crash(set);
    if (to.size() != set.members + 1)
        die("restore wants each member and a file for the notes");
    maker.make(cut, crash);
    for (uint32_t m = 0; m < set.members; m++) {
        const Fd fd = open_device(to[m], O_RDWR | O_DIRECT);
        aligned_buffer bytes(crash.bytes());
        std::ranges::copy(crash.member(m), bytes.data());
        must(write_exact(fd.get(), bytes.span(), 0), to[m]);
        must(sync_data(fd.get()), to[m]);
    }
    must(write_file(to.back(), crash.notes()), to.back());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    settings set;
    std::string device, acks, log;
    std::vector<std::string> disks;
    size_t count = 100, named = 4, cut = 0;
    bool quiet = false, idle_only = false;
    CLI::App app{"makes the write hole, and looks for it"};
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--seed", set.seed);
    app.add_option("--threads", set.threads);
    app.add_option("--ops", set.ops);
    app.add_option("--members", set.members);
    app.add_option("--chunk-kib", set.chunk_kib);
    app.add_option("--member-sectors", set.member_sectors);
    app.add_option("--count", count);
    app.add_option("--named", named, "of the holes and of the cuts");
    app.add_option("--cut", cut);
    app.add_flag("--quiet", quiet);
    app.add_flag("--idle-only", idle_only, "writes under way may be anything");
    app.add_flag("--through", set.through, "members have no volatile cache");
    app.add_flag("--no-log", set.no_log);
    app.add_flag("--flush-late", set.flush_late, "who wrote answers a flush before it is one");
    auto* with_device = app.add_subcommand("fill");
    with_device->add_option("device", device)->required();
    for (const char* name : {"load", "verify"}) {
        auto* command = app.add_subcommand(name);
        command->add_option("device", device)->required();
        command->add_option("acks", acks)->required();
    }
    for (const char* name : {"cuts", "restore"}) {
        auto* command = app.add_subcommand(name);
        command->add_option("log", log)->required();
        if (std::string(name) == "restore")
            command->add_option("disks", disks)->required();
    }
    CLI11_PARSE(app, argc, argv);
    const std::string verb = app.get_subcommands().at(0)->get_name();
    if (verb == "fill")
        return fill(set, device);
    if (verb == "load")
        return load(set, device, acks);
    if (verb == "verify")
        return verify(set, device, acks, idle_only);
    return verb == "cuts" ? cuts(set, log, count, named, quiet) : restore(set, log, disks, cut);
}
