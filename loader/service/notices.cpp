// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/notices.h"

#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/io.h"
#include "base/text.h"
#include "members/health.h"
#include "service/paths.h"
#include "service/places.h"
#include "service/report.h"

namespace rr {
namespace {

// mdadm's, and what it has no name for.
constexpr std::array mailed = {"Fail",          "FailSpare",         "DegradedArray",
                               "SparesMissing", "DaemonDied",        "DiskWarning",
                               "Fenced",        "WaitingForMembers", "TestMessage"};

uint64_t number_in(const nlohmann::json& of, const char* key) {
    auto at = of.find(key);
    return at != of.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

// Of a mail's head: no line ends in it, and it is ASCII.
std::string in_head(const std::string& text) {
    std::string out = printable(text);
    std::ranges::replace_if(out, [](unsigned char c) { return c >= 0x80; }, '?');
    return out;
}

std::string hint_of(const notice& what) {
    if (what.component.empty())
        return "";
    const bool nvme = what.component.find("nvme") != std::string::npos;
    std::string out = printable(fmt::format(
        "{} {} says how the disk is.\n", nvme ? "nvme smart-log" : "smartctl -a", what.component));
    if (const auto health = read_health(what.component))
        out += health->text() + '\n';
    return out;
}

}  // namespace

std::optional<notice> notice_of(const nlohmann::json& event) {
    if (!event.is_object() || text_in(event, "event").empty())
        return std::nullopt;
    notice out{text_in(event, "event"),  text_in(event, "name"), text_in(event, "block_device"),
               text_in(event, "device"), text_in(event, "time"), nlohmann::json::object()};
    for (const auto& [key, value] : event.items()) {
        constexpr std::array known = {"schema", "event", "name", "block_device",
                                      "device", "time",  "uuid"};
        if (std::ranges::find(known, key) == known.end())
            out.more[key] = value;
    }
    return out;
}

bool notice::needs_mail() const {
    return std::ranges::find(mailed, event) != mailed.end() ||
           number_in(more, "mismatch_sectors") != 0;
}

int notice::priority() const {
    if (event == "Fail" || event == "FailSpare" || event == "DaemonDied")
        return LOG_CRIT;
    return needs_mail() ? LOG_WARNING : LOG_INFO;
}

std::string notice::text() const {
    std::string out = fmt::format("{} event on {} ({})", event, short_name(name),
                                  block_device.empty() ? "-" : block_device);
    if (!component.empty())
        out += ", device " + component;
    for (const auto& [key, value] : more.items())
        out += fmt::format(", {} {}", key,
                           value.is_string() ? value.get<std::string>() : to_line(value));
    return printable(out);
}

std::string mail_of(const notice& what, const std::string& to, const std::string& from,
                    const std::string& host, const std::string& status) {
    std::string out = fmt::format(
        "From: ringraid monitoring <{}>\nTo: {}\nSubject: {} event on {}:{}\n"
        "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n",
        in_head(from), in_head(to), in_head(what.event), in_head(short_name(what.name)),
        in_head(host));
    out +=
        fmt::format("This is an automatically generated mail message from ringraid, on {}.\n\n{}\n",
                    printable(host), what.text());
    if (!what.time.empty())
        out += "It was " + printable(what.time) + ".\n";
    out += hint_of(what);
    if (!status.empty())
        out += "\n" + status;
    return out;
}

int64_t seconds_of(const std::string& time) {
    tm parts{};
    const char* end = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    return end == nullptr ? 0 : ::timegm(&parts);
}

told_notes::told_notes(std::string path) : path_(std::move(path)) {
    std::ifstream file(path_, std::ios::binary);
    const nlohmann::json all = nlohmann::json::parse(
        std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
    if (!all.is_object() || !all.contains("arrays") || !all["arrays"].is_object())
        return;
    for (const auto& [uuid, one] : all["arrays"].items()) {
        if (one.is_object())
            arrays_[uuid] = {
                {number_in(one, "device"), number_in(one, "inode"), number_in(one, "offset")},
                static_cast<int64_t>(number_in(one, "mailed")),
                number_in(one, "dead"),
                number_in(one, "spares_missing") != 0,
                number_in(one, "warned")};
    }
}

Status told_notes::save() const {
    nlohmann::json all = {{"schema", json_schema}, {"arrays", nlohmann::json::object()}};
    for (const auto& [uuid, one] : arrays_)
        all["arrays"][uuid] = {
            {"device", one.place.device}, {"inode", one.place.inode},
            {"offset", one.place.offset}, {"mailed", one.mailed},
            {"dead", one.dead},           {"spares_missing", one.spares_missing ? 1U : 0U},
            {"warned", one.warned}};
    const std::string line = to_line(all) + '\n';
    const auto* bytes = reinterpret_cast<const uint8_t*>(line.data());
    const std::string fresh = path_ + ".new";
    if (Status ok = write_file(fresh, std::span(bytes, line.size())); !ok)
        return ok;
    if (::rename(fresh.c_str(), path_.c_str()) != 0)
        return fail(errno, "cannot rename {}", fresh);
    return {};
}

}  // namespace rr
