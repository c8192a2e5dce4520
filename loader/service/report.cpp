// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/report.h"

#include <cerrno>

#include <array>
#include <cstddef>
#include <iterator>

extern "C" {
#include "engine/host.h"
}
#include "engine/words.h"

namespace rr {
namespace {

// In the order of struct rr_counters.
constexpr const char* counter_names[] = {
    "reads",        "writes",       "flushes",      "read_sectors",   "write_sectors",
    "direct_reads", "slot_reads",   "slot_writes",  "member_flushes", "full_cells",
    "rcw_cells",    "rmw_cells",    "recon_cells",  "payload_cells",  "rebuilt_reads",
    "repaired",     "read_errors",  "write_errors", "retries",        "lock_waits",
    "slot_waits",   "region_waits", "held_acks",    "replans",        "wakes",
    "ticks",        "steps",        "cqes",         "sqes",           "submits",
    "xor_bytes",    "copied_bytes"};
static_assert(sizeof(rr_counters) == std::size(counter_names) * sizeof(rr_u64),
              "every counter has a name");

// In the order of enum rr_way.
struct way_name {
    const char* op;
    const char* path;
};
constexpr way_name way_names[] = {{"read", "direct"}, {"read", "rebuilt"}, {"write", "full"},
                                  {"write", "rcw"},   {"write", "rmw"},    {"write", "degraded"},
                                  {"flush", "none"},  {"refused", "none"}};
static_assert(std::size(way_names) == RR_WAYS, "every way has a name");

}  // namespace

std::string text_in(const nlohmann::json& of, const char* key) {
    const auto at = of.find(key);
    return at != of.end() && at->is_string() ? at->get<std::string>() : std::string();
}

nlohmann::json error_json(const Error& error) {
    return {{"schema", json_schema},
            {"ok", false},
            {"errno", error.err},
            {"error", error.what},
            {"hint", error.hint}};
}

Error error_of(const nlohmann::json& answer) {
    if (!answer.is_object())
        return {EPROTO, "the daemon's answer is no JSON object", ""};
    // Types are checked: the other side may be anybody.
    auto text = [&answer](const char* key) {
        auto at = answer.find(key);
        return at != answer.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    auto number = answer.find("errno");
    int err = number != answer.end() && number->is_number_integer() ? number->get<int>() : EPROTO;
    return {err, text("error"), text("hint")};
}

array_health health_of(const rr_array* array) {
    uint64_t state = __atomic_load_n(&array->state, __ATOMIC_SEQ_CST);
    if ((state & RR_STATE_BROKEN) != 0)
        return array_health::failed;
    return (state & RR_STATE_MISSING) != 0 ? array_health::degraded : array_health::healthy;
}

const char* to_string(array_health health) {
    switch (health) {
        case array_health::healthy:
            return "healthy";
        case array_health::degraded:
            return "degraded";
        case array_health::failed:
            return "failed";
        case array_health::unknown:
            break;
    }
    return "unknown";
}

const char* engine_name(engine_host host) {
    return host == engine_host::bpf ? "bpf" : "user";
}

const char* layout_name(uint32_t layout) {
    static constexpr const char* names[] = {"left-asymmetric", "right-asymmetric", "left-symmetric",
                                            "right-symmetric"};
    return layout < std::size(names) ? names[layout] : "unknown";
}

nlohmann::json latency_of(rr_array* array) {
    nlohmann::json ways = nlohmann::json::array();
    const auto* of_queues = reinterpret_cast<const rr_latencies*>(
        reinterpret_cast<const std::byte*>(array) + array->latency_offset);
    for (size_t way = 0; way < RR_WAYS; way++) {
        std::array<rr_u64, RR_LATENCY_BUCKETS> counts{};
        rr_u64 total_ns = 0, all = 0;
        for (uint32_t q = 0; q < array->queues; q++) {
            const rr_latency& l = of_queues[q].way[way];
            total_ns += load(l.total_ns);
            for (size_t i = 0; i < counts.size(); i++)
                counts[i] += load(l.count[i]);
        }
        for (const rr_u64 n : counts)
            all += n;
        ways.push_back({{"op", way_names[way].op},
                        {"path", way_names[way].path},
                        {"count", all},
                        {"total_ns", total_ns},
                        {"buckets", counts}});
    }
    nlohmann::json bounds = nlohmann::json::array();
    for (uint32_t i = 0; i + 1 < RR_LATENCY_BUCKETS; i++)
        bounds.push_back(uint64_t{1} << (RR_LATENCY_SHIFT + i));
    return {{"on", load(array->latency_on) != 0}, {"bounds_ns", bounds}, {"ways", ways}};
}

nlohmann::json counters_of(rr_array* array) {
    std::array<rr_u64, std::size(counter_names)> sum{};
    for (uint32_t q = 0; q < array->queues; q++) {
        const auto* words =
            reinterpret_cast<const volatile rr_u64*>(&rr_host_queue(array, q)->count);
        for (size_t i = 0; i < sum.size(); i++)
            sum[i] += words[i];
    }
    nlohmann::json out;
    for (size_t i = 0; i < sum.size(); i++)
        out[counter_names[i]] = sum[i];
    return out;
}

}  // namespace rr
