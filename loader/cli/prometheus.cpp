// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/prometheus.h"

#include <fmt/format.h>

#include <array>
#include <functional>
#include <map>
#include <utility>

#include "base/text.h"
#include "service/latency.h"
#include "service/paths.h"
#include "service/report.h"

namespace rr::cli {
namespace {

using labels = std::vector<std::pair<const char*, std::string>>;

double number_in(const nlohmann::json& of, const char* key) {
    auto at = of.find(key);
    return at == of.end()     ? 0
           : at->is_boolean() ? (at->get<bool>() ? 1 : 0)
           : at->is_number()  ? at->get<double>()
                              : 0;
}

nlohmann::json object_in(const nlohmann::json& of, const char* key) {
    auto at = of.find(key);
    return at != of.end() && at->is_object() ? *at : nlohmann::json::object();
}

// Samples of one metric of one array.
class sink {
public:
    sink(std::string& out, const char* name, const nlohmann::json& status)
        : out_(&out), name_(name) {
        const std::string device = text_in(status, "block_device");
        common_ = {{"array", short_name(text_in(status, "name"))},
                   {"device", device.substr(device.rfind('/') + 1)}};
    }
    // @suffix: of the name, where a metric has several samples for one thing.
    void add(double value, const labels& more = {}, const char* suffix = "") {
        std::string all;
        for (const labels& some : {common_, more}) {
            for (const auto& [key, text] : some)
                all += fmt::format("{}{}=\"{}\"", all.empty() ? "" : ",", key, label_value(text));
        }
        *out_ += fmt::format("{}{}{{{}}} {}\n", name_, suffix, all, value);
    }

private:
    std::string* out_;
    const char* name_;
    labels common_;
};

struct metric {
    const char* name;
    const char* type;
    const char* help;
    std::function<void(sink&, const measured_array&)> samples;
};

constexpr const char* gauge = "gauge";
constexpr const char* counter = "counter";

// A gauge that is a field of the status.
metric field(const char* name, const char* help, const char* key, double scale = 1) {
    return {name, gauge, help, [key, scale](sink& to, const measured_array& a) {
                if (a.status.contains(key))
                    to.add(number_in(a.status, key) * scale);
            }};
}

// The engine's counters; what the kernel cannot count is not there.
metric counted(const char* name, const char* help, const char* key, double scale = 1) {
    return {name, counter, help, [key, scale](sink& to, const measured_array& a) {
                const nlohmann::json all = object_in(a.status, "counters");
                if (all.contains(key))
                    to.add(number_in(all, key) * scale);
            }};
}

nlohmann::json job_of(const measured_array& a, const char* key) {
    return object_in(object_in(a.status, "job"), key);
}

metric of_job(const char* name, const char* help, const char* key, double scale = 1) {
    return {name, gauge, help, [key, scale](sink& to, const measured_array& a) {
                const nlohmann::json now = job_of(a, "now");
                if (now.contains(key))
                    to.add(number_in(now, key) * scale, {{"job", text_in(now, "kind")}});
            }};
}

metric of_bitmap(const char* name, const char* help, const char* key) {
    return {name, gauge, help, [key](sink& to, const measured_array& a) {
                const nlohmann::json bitmap = object_in(a.status, "bitmap");
                if (bitmap.contains(key))
                    to.add(number_in(bitmap, key));
            }};
}

// As node_md_disks has them: failed, spare, active, sync.
void add_disks(sink& to, const measured_array& a) {
    std::map<std::string, int> count = {{"active", 0}, {"failed", 0}, {"spare", 0}, {"sync", 0}};
    if (!a.status.contains("members"))
        return;
    for (const auto& m : a.status["members"]) {
        const std::string state = text_in(m, "state");
        count[state == "active" ? "active" : state == "rebuilding" ? "sync" : "failed"]++;
    }
    count["spare"] = static_cast<int>(a.status.value("spares", nlohmann::json::array()).size());
    for (const auto& [state, n] : count)
        to.add(n, {{"state", state}});
}

// As node_md_state has them.
void add_state(sink& to, const measured_array& a) {
    const nlohmann::json now = job_of(a, "now");
    const std::string kind = text_in(now, "kind");
    const bool runs = text_in(now, "state") == "running";
    const std::string is = !a.answers || text_in(a.status, "state") == "failed" ? "inactive"
                           : runs && kind == "rebuild"                          ? "recovering"
                           : runs && kind == "resync"                           ? "resync"
                           : runs                                               ? "check"
                                                                                : "active";
    for (const char* state : {"active", "inactive", "recovering", "resync", "check"})
        to.add(is == state ? 1 : 0, {{"state", state}});
}

void add_synced(sink& to, const measured_array& a) {
    if (!a.status.contains("size_bytes"))
        return;
    const double blocks = number_in(a.status, "size_bytes") / 1024;
    const nlohmann::json now = job_of(a, "now");
    to.add(now.contains("percent") ? static_cast<double>(static_cast<uint64_t>(
                                         blocks * number_in(now, "percent") / 100))
                                   : blocks);
}

void add_mismatches(sink& to, const measured_array& a) {
    for (const char* which : {"now", "last"}) {
        const nlohmann::json job = job_of(a, which);
        if (!job.contains("mismatch_sectors"))
            continue;
        to.add(number_in(job, "mismatch_sectors"));
        return;
    }
    to.add(0);
}

using of_stat = uint64_t block_stat::*;
constexpr std::array<std::pair<const char*, std::array<of_stat, 3>>, 2> directions = {
    {{"read", {&block_stat::reads, &block_stat::read_sectors, &block_stat::read_ms}},
     {"write", {&block_stat::writes, &block_stat::write_sectors, &block_stat::write_ms}}}};

// What of block_stat, and its unit: number, sectors, milliseconds.
metric of_device(const char* name, const char* help, size_t what, double scale) {
    return {name, counter, help, [what, scale](sink& to, const measured_array& a) {
                for (const auto& [op, fields] : directions) {
                    if (a.device)
                        to.add(static_cast<double>((*a.device).*fields[what]) * scale,
                               {{"op", op}});
                }
            }};
}

labels member_labels(const nlohmann::json& m) {
    return {{"role", fmt::format("{}", m.value("role", 0))}, {"member", text_in(m, "device")}};
}

template <typename F>
metric of_members(const char* name, const char* type, const char* help, F value) {
    return {name, type, help, [value](sink& to, const measured_array& a) {
                const nlohmann::json members = a.status.value("members", nlohmann::json::array());
                for (size_t i = 0; i < members.size(); i++) {
                    for (auto& [number, more] :
                         value(members[i], i < a.members.size() ? a.members[i] : std::nullopt)) {
                        labels all = member_labels(members[i]);
                        all.insert(all.end(), more.begin(), more.end());
                        to.add(number, all);
                    }
                }
            }};
}

using valued = std::vector<std::pair<double, labels>>;

metric of_member_io(const char* name, const char* help, size_t what, double scale) {
    return of_members(name, counter, help,
                      [what, scale](const nlohmann::json&, const std::optional<block_stat>& stat) {
                          valued out;
                          for (const auto& [op, fields] : directions) {
                              if (stat)
                                  out.push_back({static_cast<double>((*stat).*fields[what]) * scale,
                                                 {{"op", op}}});
                          }
                          return out;
                      });
}

void add_queues(sink& to, const measured_array& a) {
    if (!a.status.contains("queue_threads"))
        return;
    double all = 0;
    for (const auto& q : a.status["queue_threads"])
        all += number_in(q, "inflight");
    to.add(all);
}

void add_info(sink& to, const measured_array& a) {
    to.add(1, {{"uuid", text_in(a.status, "uuid")},
               {"engine", text_in(a.status, "engine")},
               {"layout", text_in(a.status, "layout")},
               {"xor", text_in(a.status, "xor")}});
}

// While requests are timed, and of what was.
void add_latency(sink& to, const measured_array& a) {
    constexpr double ns_per_s = 1e9;
    const bool on = number_in(object_in(a.status, "latency"), "on") != 0;
    for (const histogram& way : histograms_of(a.status)) {
        if (way.count() == 0 && (!on || way.op == "refused"))
            continue;
        const labels which = {{"op", way.op}, {"path", way.path}};
        uint64_t below = 0;
        for (size_t i = 0; i < way.buckets.size(); i++) {
            below += way.buckets[i];
            labels all = which;
            all.emplace_back(
                "le", i < way.bounds_ns.size()
                          ? fmt::format("{:.10g}", static_cast<double>(way.bounds_ns[i]) / ns_per_s)
                          : "+Inf");
            to.add(static_cast<double>(below), all, "_bucket");
        }
        to.add(static_cast<double>(way.total_ns) / ns_per_s, which, "_sum");
        to.add(static_cast<double>(below), which, "_count");
    }
}

// In md's shape.
std::vector<metric> md_metrics() {
    return {
        {"ringraid_up", gauge, "Whether the daemon answers.",
         [](sink& to, const measured_array& a) { to.add(a.answers ? 1 : 0); }},
        {"ringraid_info", gauge, "What the array is.", add_info},
        {"ringraid_disks", gauge, "Number of active, failed, spare and rebuilt (sync) disks.",
         add_disks},
        {"ringraid_disks_required", gauge, "Number of members of the array.",
         [](sink& to, const measured_array& a) {
             if (a.status.contains("members"))
                 to.add(static_cast<double>(a.status["members"].size()));
         }},
        {"ringraid_state", gauge, "Indicates the state of the array.", add_state},
        {"ringraid_degraded", gauge, "Whether a member is out.",
         [](sink& to, const measured_array& a) {
             to.add(a.answers && text_in(a.status, "state") != "healthy" ? 1 : 0);
         }},
        field("ringraid_blocks", "Size of the array in blocks of 1 KiB.", "size_bytes", 1.0 / 1024),
        {"ringraid_blocks_synced", gauge, "Blocks of 1 KiB that the running job has passed.",
         add_synced},
        of_job("ringraid_job_percent", "How far the job is.", "percent"),
        of_job("ringraid_job_speed_bytes", "Bytes a second of each member that the job does.",
               "kib_per_second", 1024),
        of_job("ringraid_job_finish_seconds", "When the job is over, at this speed.",
               "finish_seconds"),
        {"ringraid_mismatch_sectors", gauge, "What the check that runs, or the last one, found.",
         add_mismatches},
    };
}

std::vector<metric> own_metrics() {
    return {
        field("ringraid_superblocks_clean", "Whether a power cut now costs no resync.", "clean"),
        field("ringraid_superblock_events", "The superblocks' event counter.", "events"),
        field("ringraid_arena_bytes", "Locked memory of the array.", "arena_bytes"),
        of_bitmap("ringraid_bitmap_chunks", "Chunks that the write-intent bitmap knows.", "bits"),
        of_bitmap("ringraid_bitmap_chunks_set", "Chunks that a crash would make a resync of.",
                  "set_bits"),
        {"ringraid_requests_in_flight", gauge, "Requests of clients in work.", add_queues},
        of_device("ringraid_device_requests_total", "Requests that were completed.", 0, 1),
        of_device("ringraid_device_bytes_total", "Bytes of those requests.", 1, 512),
        of_device("ringraid_device_seconds_total", "Time that those requests took, added up.", 2,
                  1e-3),
        {"ringraid_request_duration_seconds", "histogram",
         "How long requests took, by what was done for them.", add_latency},
        {"ringraid_latency_enabled", gauge, "Whether requests are timed.",
         [](sink& to, const measured_array& a) {
             if (a.status.contains("latency"))
                 to.add(number_in(object_in(a.status, "latency"), "on"));
         }},
        of_members("ringraid_member_active", gauge, "Whether the member is in use.",
                   [](const nlohmann::json& m, const std::optional<block_stat>&) {
                       return valued{{text_in(m, "state") == "active" ? 1.0 : 0.0, {}}};
                   }),
        of_members("ringraid_member_error", gauge, "Why a member is out.",
                   [](const nlohmann::json& m, const std::optional<block_stat>&) {
                       const std::string error = text_in(m, "error");
                       return error.empty() ? valued{} : valued{{1.0, {{"error", error}}}};
                   }),
        of_members("ringraid_member_corrected_read_sectors_total", counter,
                   "Sectors that could not be read and were rewritten.",
                   [](const nlohmann::json& m, const std::optional<block_stat>&) {
                       return valued{{number_in(m, "corrected_read_sectors"), {}}};
                   }),
        of_member_io("ringraid_member_requests_total", "Requests to the member.", 0, 1),
        of_member_io("ringraid_member_bytes_total", "Bytes of those requests.", 1, 512),
        of_member_io("ringraid_member_seconds_total", "Time that those took, added up.", 2, 1e-3),
    };
}

std::vector<metric> engine_metrics() {
    return {
        counted("ringraid_reads_total", "Reads of clients.", "reads"),
        counted("ringraid_writes_total", "Writes of clients.", "writes"),
        counted("ringraid_flushes_total", "Flushes of clients.", "flushes"),
        counted("ringraid_read_bytes_total", "Bytes that clients read.", "read_sectors", 512),
        counted("ringraid_written_bytes_total", "Bytes that clients wrote.", "write_sectors", 512),
        counted("ringraid_direct_reads_total", "Reads of members into clients' pages.",
                "direct_reads"),
        counted("ringraid_slot_reads_total", "Reads of members into the arena.", "slot_reads"),
        counted("ringraid_slot_writes_total", "Writes of members.", "slot_writes"),
        counted("ringraid_member_flushes_total", "Flushes of members that queues asked for.",
                "member_flushes"),
        counted("ringraid_kept_cells_total", "Cells of which a part was still in memory.",
                "kept_cells"),
        counted("ringraid_borrowed_cells_total",
                "Cells of which another slot had a part in memory.", "borrowed_cells"),
        counted("ringraid_gathered_writes_total", "Writes that another one's operation carried.",
                "gathered_writes"),
        counted("ringraid_zeroed_cells_total", "Cells that members made zeros of by themselves.",
                "zeroed_cells"),
        counted("ringraid_log_units_total", "Units written to partial parity logs.", "log_units"),
        counted("ringraid_log_entries_total", "Entries of these units.", "log_entries"),
        counted("ringraid_full_cells_total", "Cells written whole.", "full_cells"),
        counted("ringraid_rcw_cells_total", "Cells whose other data was read for parity.",
                "rcw_cells"),
        counted("ringraid_rmw_cells_total", "Cells whose old data and parity were read.",
                "rmw_cells"),
        counted("ringraid_recon_cells_total", "Cells written with a member out.", "recon_cells"),
        counted("ringraid_payload_cells_total", "Cells whose payload went uncopied.",
                "payload_cells"),
        counted("ringraid_rebuilt_reads_total", "Reads that parity answered.", "rebuilt_reads"),
        counted("ringraid_repaired_total", "Bad blocks that were rewritten.", "repaired"),
        counted("ringraid_read_errors_total", "Errors of members' reads.", "read_errors"),
        counted("ringraid_write_errors_total", "Errors of members' writes.", "write_errors"),
        counted("ringraid_retries_total", "I/Os of members that were repeated.", "retries"),
        counted("ringraid_lock_waits_total", "Requests that waited for a row.", "lock_waits"),
        counted("ringraid_slot_waits_total", "Requests that waited for a slot.", "slot_waits"),
        counted("ringraid_region_waits_total", "Writes that waited for the bitmap.",
                "region_waits"),
        counted("ringraid_held_acks_total", "Answers held until a failure was recorded.",
                "held_acks"),
        counted("ringraid_replans_total", "Cells that were planned anew.", "replans"),
        counted("ringraid_wakes_total", "Messages between queues.", "wakes"),
        counted("ringraid_ticks_total", "Timeouts of queues.", "ticks"),
        counted("ringraid_steps_total", "Times that the program ran.", "steps"),
        counted("ringraid_cqes_total", "Completions that it took.", "cqes"),
        counted("ringraid_sqes_total", "I/Os that it submitted.", "sqes"),
        counted("ringraid_submits_total", "Times that it submitted.", "submits"),
        counted("ringraid_xor_bytes_total", "Bytes of parity computed.", "xor_bytes"),
        counted("ringraid_copied_bytes_total", "Bytes copied.", "copied_bytes"),
        counted("ringraid_punts_total", "I/Os that io_uring gave to a worker.", "punts"),
        counted("ringraid_flush_punts_total", "Flushes of members, by a worker each.",
                "flush_punts"),
    };
}

}  // namespace

std::string label_value(const std::string& text) {
    std::string out;
    for (char c : printable(text)) {
        if (c == '\\' || c == '"')
            out += '\\';
        out += c;
    }
    return out;
}

std::string prometheus_text(const std::vector<measured_array>& arrays) {
    std::string out;
    for (const auto& group : {md_metrics(), own_metrics(), engine_metrics()}) {
        for (const metric& one : group) {
            std::string samples;
            for (const measured_array& a : arrays) {
                sink to(samples, one.name, a.status);
                one.samples(to, a);
            }
            if (!samples.empty())
                out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{3}", one.name, one.type,
                                   one.help, samples);
        }
    }
    return out;
}

}  // namespace rr::cli
