// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// top: arrays and their members at work, live.
//
// Rates are differences between two looks. What clients ask for is counted by the engine;
// how long it took on average by the block layer, of the array as of its members (so NVMe
// commands past it show none). What 99 % of requests took at most the engine knows, of the
// array, while they are timed (set latency=on); else those columns are empty.
#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/measure.h"
#include "cli/screen.h"
#include "cli/status_text.h"
#include "service/latency.h"
#include "service/paths.h"
#include "service/report.h"

namespace rr::cli {
namespace {

using clock = std::chrono::steady_clock;
constexpr double sectors_per_mib = 2048;
constexpr double ms_per_s = 1000;
// A line has 80 columns.
constexpr size_t name_width = 14, state_width = 13, rate_width = 6, busy_width = 5;
static_assert(name_width + state_width + 8 * rate_width + busy_width == 80);

double counter(const measured_array& of, const char* name) {
    const nlohmann::json all = of.status.value("counters", nlohmann::json::object());
    return static_cast<double>(all.value(name, uint64_t{0}));
}

// A line of so many columns: what is too long is cut, and no colour is.
class line {
public:
    line(size_t columns, const text_style& style) : left_(columns), style_(style) {}
    line& add(const std::string& text, size_t width = 0, tone how = tone::plain) {
        std::string safe = printable(text);
        size_t wide = cut(safe, width == 0 ? left_ : std::min(width, left_));
        const size_t fill = width > wide ? std::min(width, left_) - wide : 0;
        text_ += paint(safe, how, style_) + std::string(fill, ' ');
        left_ -= wide + fill;
        return *this;
    }
    line& right(const std::string& text, size_t width) {
        return add(fmt::format("{:>{}}", text, width), width);
    }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    // Leaves @most characters, and says how many there are.
    static size_t cut(std::string& text, size_t most) {
        size_t wide = 0;
        for (size_t at = 0; at < text.size(); at++) {
            if ((static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80)
                continue;
            if (wide == most) {
                text.resize(at);
                break;
            }
            wide++;
        }
        return wide;
    }

    std::string text_;
    size_t left_;
    text_style style_;
};

// "1234", "12.3k", "1.2M": at most five characters.
std::string short_number(double value) {
    if (value < 9.95)
        return fmt::format("{:.1f}", value);
    for (const char* unit : {"", "k", "M", "G"}) {
        if (value < 9999.5)
            return fmt::format("{:.0f}{}", value, unit);
        value /= 1000;
    }
    return "many";
}

// Milliseconds in at most five characters; nothing: it is not known.
std::string ms_text(double value) {
    return value < 0      ? "-"
           : value < 99.5 ? fmt::format("{:.{}f}", value, value < 9.995 ? 2 : 1)
                          : short_number(value);
}

// Rates between two looks at one thing.
struct rates {
    double reads = 0, writes = 0, read_mib = 0, write_mib = 0, read_ms = -1, write_ms = -1;
    double read_p99_ms = -1, write_p99_ms = -1, busy = -1;
};

double each(uint64_t ms, uint64_t before_ms, uint64_t n, uint64_t before_n) {
    return n > before_n ? static_cast<double>(ms - before_ms) / static_cast<double>(n - before_n)
                        : 0;
}

rates rates_of(const block_stat& now, const block_stat& before, double seconds) {
    auto rate = [seconds](uint64_t a, uint64_t b) {
        return a > b ? static_cast<double>(a - b) / seconds : 0;
    };
    return {rate(now.reads, before.reads),
            rate(now.writes, before.writes),
            rate(now.read_sectors, before.read_sectors) / sectors_per_mib,
            rate(now.write_sectors, before.write_sectors) / sectors_per_mib,
            each(now.read_ms, before.read_ms, now.reads, before.reads),
            each(now.write_ms, before.write_ms, now.writes, before.writes),
            -1,
            -1,
            std::min(100.0, rate(now.busy_ms, before.busy_ms) / ms_per_s * 100)};
}

double p99_ms(const measured_array& now, const measured_array& before, const char* op) {
    const histogram all = histogram_of_op(histograms_of(now.status), op);
    return quantile_ns(all.since(histogram_of_op(histograms_of(before.status), op)), 0.99) / 1e6;
}

rates rates_of(const measured_array& now, const measured_array& before, double seconds) {
    rates out;
    if (now.device && before.device)
        out = rates_of(*now.device, *before.device, seconds);
    auto rate = [&](const char* name) {
        return std::max(0.0, counter(now, name) - counter(before, name)) / seconds;
    };
    out.reads = rate("reads");
    out.writes = rate("writes");
    out.read_mib = rate("read_sectors") / sectors_per_mib;
    out.write_mib = rate("write_sectors") / sectors_per_mib;
    out.read_p99_ms = p99_ms(now, before, "read");
    out.write_p99_ms = p99_ms(now, before, "write");
    return out;
}

void add_rates(line& to, const rates& r) {
    for (const double value : {r.reads, r.writes, r.read_mib, r.write_mib})
        to.right(short_number(value), rate_width);
    for (const double value : {r.read_ms, r.write_ms, r.read_p99_ms, r.write_p99_ms})
        to.right(ms_text(value), rate_width);
    to.right(r.busy < 0 ? "-" : fmt::format("{:.0f}%", r.busy), busy_width);
}

class view {
public:
    view(size_t columns, const text_style& style) : columns_(columns), style_(style) {}

    void headline(size_t arrays) {
        const std::time_t now = std::time(nullptr);
        out_.push_back(fresh()
                           .add(fmt::format("ringraid {:%H:%M:%S}, {} array{}; q ends",
                                            fmt::localtime(now), arrays, arrays == 1 ? "" : "s"))
                           .text());
        line names = fresh();
        names.add("array, member", name_width).add("state", state_width);
        for (const char* name : {"r/s", "w/s", "rMiB", "wMiB", "r ms", "w ms", "r p99", "w p99"})
            names.right(name, rate_width);
        out_.push_back(names.right("busy", busy_width).text());
    }

    void array(const measured_array& now, const measured_array& before, double seconds) {
        const std::string state = now.answers ? text_in(now.status, "state") : "unknown";
        line head = fresh();
        head.add(short_name(text_in(now.status, "name")), name_width - 1).add(" ", 1);
        head.add(state, state_width - 1, tone_of(state)).add(" ", 1);
        add_rates(head, rates_of(now, before, seconds));
        out_.push_back(head.text());
        if (!now.answers || !now.status.contains("members"))
            return;
        facts(now, before);
        if (const std::string job = job_line(now.status); !job.empty())
            out_.push_back(fresh().add("  " + job).text());
        for (size_t i = 0; i < now.status["members"].size(); i++)
            member(now, before, i, seconds);
    }

    [[nodiscard]] const std::vector<std::string>& lines() const { return out_; }

private:
    [[nodiscard]] line fresh() const { return {columns_, style_}; }

    // The ways that writes took and what was waited for, since the look before.
    void facts(const measured_array& now, const measured_array& before) {
        auto grown = [&](const char* name) {
            return std::max(0.0, counter(now, name) - counter(before, name));
        };
        const double full = grown("full_cells"), rcw = grown("rcw_cells"), rmw = grown("rmw_cells");
        const double cells = full + rcw + rmw + grown("recon_cells");
        const double direct = grown("direct_reads"), all_reads = direct + grown("rebuilt_reads");
        auto share = [](double part, double all) {
            return all > 0 ? fmt::format("{:.0f}%", part / all * 100) : std::string("-");
        };
        double in_flight = 0;
        for (const auto& q : now.status.value("queue_threads", nlohmann::json::array()))
            in_flight += q.value("inflight", 0);
        out_.push_back(
            fresh()
                .add(fmt::format("  in flight {:.0f}, full {}, rcw {}, rmw {}, "
                                 "direct {}, waits {:.0f}, punts {:.0f}",
                                 in_flight, share(full, cells), share(rcw, cells),
                                 share(rmw, cells), share(direct, all_reads),
                                 grown("lock_waits") + grown("slot_waits"), grown("punts")))
                .text());
    }

    void member(const measured_array& now, const measured_array& before, size_t i, double seconds) {
        const nlohmann::json& m = now.status["members"][i];
        const std::string device = text_in(m, "device");
        const std::string state = text_in(m, "state");
        line row = fresh();
        row.add(fmt::format("  {:<2} {}", m.value("role", 0),
                            device.empty() ? "-" : device.substr(device.rfind('/') + 1)),
                name_width - 1)
            .add(" ", 1)
            .add(state, state_width - 1, tone_of(state))
            .add(" ", 1);
        const bool both = i < now.members.size() && i < before.members.size() && now.members[i] &&
                          before.members[i];
        add_rates(row, both ? rates_of(*now.members[i], *before.members[i], seconds) : rates());
        out_.push_back(row.text());
    }

    size_t columns_;
    text_style style_;
    std::vector<std::string> out_;
};

using look = std::map<std::string, measured_array>;

look look_now(const std::string& array) {
    look out;
    auto all = measure_arrays(array);
    if (!all)
        return out;
    for (measured_array& one : *all) {
        const std::string uuid = text_in(one.status, "uuid");
        out.emplace(uuid, std::move(one));
    }
    return out;
}

std::vector<std::string> show(const look& now, const look& before, double seconds, size_t columns,
                              const text_style& style) {
    view out(columns, style);
    out.headline(now.size());
    for (const auto& [uuid, one] : now) {
        const auto was = before.find(uuid);
        out.array(one, was == before.end() ? one : was->second, seconds);
    }
    return out.lines();
}

double seconds_since(clock::time_point then) {
    return std::max(1e-3, std::chrono::duration<double>(clock::now() - then).count());
}

int once(const std::string& array, std::chrono::milliseconds interval) {
    const look before = look_now(array);
    const auto begun = clock::now();
    std::this_thread::sleep_for(interval);
    for (const std::string& text : show(look_now(array), before, seconds_since(begun), 80, {}))
        fmt::print("{}\n", text);
    return 0;
}

int live(const context& ctx, const std::string& array, std::chrono::milliseconds interval) {
    const text_style style = style_of_output();
    auto on = screen::open();
    if (!on)
        return print_error(ctx, on.error());
    look before = look_now(array), now = before;
    auto seen = clock::now();
    double seconds = 1;
    for (;;) {
        if (!on->draw(show(now, before, seconds, on->columns(), style)))
            return 1;
        char key = 0;
        const auto left =
            interval - std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - seen);
        switch (on->wait(std::max(left, std::chrono::milliseconds(0)), key)) {
            case screen::event::end:
                return 0;
            case screen::event::key:
                if (key == 'q' || key == 'Q')
                    return 0;
                break;
            case screen::event::resize:
                break;
            case screen::event::timeout:
                seconds = seconds_since(seen);
                seen = clock::now();
                before = std::exchange(now, look_now(array));
        }
    }
}

}  // namespace

void add_top(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto seconds = std::make_shared<double>(2);
    auto just_once = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("top", "arrays and their members at work, live");
    command->add_option("array", *array, "name, uuid or block device (default: all that run)");
    command->add_option("--interval", *seconds, "seconds between two looks (default 2)")
        ->check(CLI::Range(0.1, 3600.0));
    command->add_flag("--once", *just_once, "print it once, as where there is no terminal");
    command->callback([array, seconds, just_once, &ctx] {
        ctx.run = [array, seconds, just_once, &ctx] {
            const std::chrono::milliseconds interval(static_cast<int64_t>(*seconds * ms_per_s));
            return *just_once || ::isatty(STDOUT_FILENO) != 1 ? once(*array, interval)
                                                              : live(ctx, *array, interval);
        };
    });
}

}  // namespace rr::cli
