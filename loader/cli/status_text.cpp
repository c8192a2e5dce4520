// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/status_text.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "members/health.h"
#include "service/paths.h"
#include "service/report.h"

namespace rr::cli {
namespace {

constexpr int label_width = 12;
constexpr int bar_width = 20;

nlohmann::json job_of(const nlohmann::json& status, const char* key) {
    const nlohmann::json job = status.value("job", nlohmann::json::object());
    return job.is_object() ? job.value(key, nlohmann::json()) : nlohmann::json();
}

class page {
public:
    explicit page(const text_style& style) : style_(style) {}
    void line(const std::string& text) { text_ += text + '\n'; }
    // @value is printable already: it may be painted.
    void row(const std::string& label, const std::string& value) {
        line(fmt::format("{:>{}} : {}", printable(label), label_width, value));
    }
    void plain(const std::string& label, const std::string& value) { row(label, printable(value)); }
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const text_style& style() const { return style_; }

private:
    text_style style_;
    std::string text_;
};

void add_headline(page& to, const nlohmann::json& s) {
    const std::string state = text_in(s, "state");
    std::string line =
        printable(text_in(s, "block_device") + "  " + short_name(text_in(s, "name"))) + "  " +
        paint(state, tone_of(state), to.style());
    if (s.contains("members")) {
        const std::string letters = member_letters(s);
        line += fmt::format("  [{}/{}] {}", s["members"].size(), std::ranges::count(letters, 'U'),
                            letters);
    }
    to.line(line);
}

// What a crash costs.
std::string consistency_words(const std::string& policy) {
    return policy == "ppl"      ? "partial parity log"
           : policy == "bitmap" ? "write-intent bitmap"
                                : "a resync of everything after a crash";
}

void add_shape(page& to, const nlohmann::json& s) {
    to.plain("size", human_bytes(s.value("size_bytes", uint64_t{0})));
    to.plain("layout", fmt::format("{}, {} chunks", text_in(s, "layout"),
                                   human_bytes(s.value("chunk_bytes", uint64_t{0}))));
    to.plain("engine", fmt::format("{}, {} queues of {}, pid {}{}", text_in(s, "engine"),
                                   s.value("queues", 0), s.value("depth", 0), s.value("pid", 0),
                                   s.value("passthrough", false) ? ", NVMe passthrough" : ""));
    to.plain("xor", text_in(s, "xor"));
    to.plain("events", fmt::format("{}, superblocks {}", s.value("events", uint64_t{0}),
                                   s.value("clean", false) ? "clean" : "dirty"));
    if (s.contains("consistency"))
        to.plain("consistency", fmt::format("{}{}", consistency_words(text_in(s, "consistency")),
                                            text_in(s, "consistency_wanted").empty()
                                                ? ""
                                                : "; a partial parity log when parity is right"));
    if (const nlohmann::json bitmap = s.value("bitmap", nlohmann::json()); bitmap.is_object())
        to.plain("bitmap", fmt::format("{} bits of {}, {} set", bitmap.value("bits", uint64_t{0}),
                                       human_bytes(bitmap.value("chunk_bytes", uint64_t{0})),
                                       bitmap.value("set_bits", uint64_t{0})));
}

// Whose the members are, and which of them are not.
void add_fence(page& to, const nlohmann::json& s) {
    const nlohmann::json fence = s.value("fence", nlohmann::json());
    if (!fence.is_object())
        return;
    const std::string key = text_in(fence, "key");
    to.plain("reserved", fmt::format("for this host, key {}", key));
    for (const auto& m : fence.value("members", nlohmann::json::array())) {
        const std::string holder = text_in(m, "holder");
        if (holder != key)
            to.plain("reserved", fmt::format("{} {}", text_in(m, "device"),
                                             holder.empty() ? "does not answer, or is not"
                                                            : "for key " + holder));
    }
}

void add_members(page& to, const nlohmann::json& s) {
    size_t widest = 0;
    auto device_of = [](const nlohmann::json& m) {
        const std::string device = text_in(m, "device");
        return device.empty() ? std::string("-") : printable(device);
    };
    for (const auto& m : s["members"])
        widest = std::max(widest, device_of(m).size());
    for (const auto& m : s["members"]) {
        const std::string state = text_in(m, "state");
        std::string more = m.contains("error") ? " (" + text_in(m, "error") + ")" : "";
        if (const auto sectors = m.value("corrected_read_sectors", uint64_t{0}); sectors != 0)
            more += fmt::format(", {} sectors were unreadable and rewritten", sectors);
        to.row(fmt::format("member {}", m.value("role", 0)),
               fmt::format("{:<{}}  ", device_of(m), widest) +
                   paint(state, tone_of(state), to.style()) + printable(more));
        if (const auto health =
                state == "failed" ? read_health(text_in(m, "device")) : std::nullopt)
            to.plain("its disk", health->text());
    }
    for (const auto& spare : s.value("spares", nlohmann::json::array()))
        to.plain("spare", text_in(spare, "device"));
}

void add_jobs(page& to, const nlohmann::json& s) {
    if (const std::string job = job_line(s); !job.empty())
        to.plain("job", job);
    if (const nlohmann::json waiting = job_of(s, "waiting"); waiting.is_object())
        to.plain("job", text_in(waiting, "kind") +
                            ", interrupted, goes on when the array is whole and idle");
    const nlohmann::json last = job_of(s, "last");
    if (!last.is_object())
        return;
    const auto wrong = last.value("mismatch_sectors", uint64_t{0});
    to.row("last " + text_in(last, "kind"),
           paint(fmt::format("{}, {} sectors did not match", text_in(last, "how"), wrong),
                 wrong != 0 ? tone::bad : tone::plain, to.style()));
}

}  // namespace

text_style style_of_output() {
    const char* none = ::getenv("NO_COLOR");
    const char* term = ::getenv("TERM");
    const bool dumb = term == nullptr || std::string_view(term) == "dumb";
    return {::isatty(STDOUT_FILENO) == 1 && (none == nullptr || *none == 0) && !dumb};
}

tone tone_of(const std::string& state) {
    if (state == "healthy" || state == "active")
        return tone::good;
    if (state == "degraded" || state == "rebuilding" || state == "starting")
        return tone::warning;
    if (state == "failed" || state == "missing" || state == "unknown")
        return tone::bad;
    return tone::plain;
}

std::string paint(const std::string& text, tone how, const text_style& style) {
    const std::string safe = printable(text);
    if (!style.colour || how == tone::plain)
        return safe;
    const char* code = how == tone::good      ? "32"
                       : how == tone::warning ? "33"
                       : how == tone::bad     ? "1;31"
                                              : "2";
    return fmt::format("\033[{}m{}\033[0m", code, safe);
}

std::string member_letters(const nlohmann::json& status) {
    std::string out = "[";
    for (const auto& m : status.value("members", nlohmann::json::array())) {
        const std::string state = text_in(m, "state");
        out += state == "active" ? 'U' : state == "rebuilding" ? 'r' : '_';
    }
    return out + ']';
}

std::string bar(double percent, int width) {
    const int full = std::clamp(static_cast<int>(percent) * width / 100, 0, width);
    return fmt::format("[{:=>{}}>{:.>{}}]", "", full, "", width - full);
}

// As /proc/mdstat has it.
std::string job_line(const nlohmann::json& status) {
    const nlohmann::json now = job_of(status, "now");
    if (!now.is_object())
        return "";
    const double percent = now.value("percent", 0.0);
    std::string more;
    if (now.contains("finish_seconds")) {
        const auto left = now.value("finish_seconds", uint64_t{0});
        more = fmt::format(", finish in {}:{:02}", left / 60, left % 60);
    }
    if (const auto wrong = now.value("mismatch_sectors", uint64_t{0}); wrong != 0)
        more += fmt::format(", {} sectors do not match", wrong);
    return fmt::format("{} {} {} {:.1f} %, {} KiB/s{}", text_in(now, "kind"), text_in(now, "state"),
                       bar(percent, bar_width), percent, now.value("kib_per_second", uint64_t{0}),
                       more);
}

std::string status_text(const nlohmann::json& s, const text_style& style) {
    page out(style);
    add_headline(out, s);
    out.plain("name", text_in(s, "name"));
    out.plain("uuid", text_in(s, "uuid"));
    const std::string state = text_in(s, "state");
    const bool waits = !s.value("waiting_for", nlohmann::json::array()).empty();
    out.row("state", paint(waits ? state + ", waiting for members" : state,
                           waits ? tone::warning : tone_of(state), style));
    if (!s.contains("members")) {
        if (!text_in(s, "step").empty())
            out.plain("step", text_in(s, "step"));
        return out.text();
    }
    add_shape(out, s);
    add_members(out, s);
    add_fence(out, s);
    add_jobs(out, s);
    return out.text();
}

}  // namespace rr::cli
