// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What others ask of the daemon: answered in the control socket's thread, which
// waits for nothing. What the table of life.h does not allow now is refused.
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/process.h"
#include "base/version.h"
#include "members/spelling.h"
#include "service/array_service.h"
#include "service/report.h"
#include "service/socket.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

// As rr_host_fail(), but never as the second failure, even when a queue meets
// the first one at this moment: false then.
bool take_out(rr_array* array, uint32_t role) {
    uint64_t seen = __atomic_load_n(&array->state, __ATOMIC_SEQ_CST);
    const auto before = array->members[role].error;
    for (;;) {
        // What is being rebuilt is in use.
        if ((seen >> role & 1) != 0 && (seen & RR_STATE_REBUILD) != 0) {
            rr_host_fail(array, role, -ENODEV);
            return true;
        }
        if ((seen & RR_STATE_MISSING) != 0) {
            const bool out = (seen >> role & 1) != 0;
            if (!out)
                array->members[role].error = before;
            return out;
        }
        // Before the state, which makes others look at it.
        array->members[role].error = ENODEV;
        uint64_t next =
            ((seen & ~RR_STATE_REPLACE) | 1ULL << role) + (1ULL << RR_STATE_EPOCH_SHIFT);
        if (__atomic_compare_exchange_n(&array->state, &seen, next, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return true;
    }
}

// The failures that were known at this epoch are in the superblocks.
bool is_durable(const rr_array* array) {
    const uint64_t state = __atomic_load_n(&array->state, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&array->durable_epoch, __ATOMIC_SEQ_CST) ==
           static_cast<uint32_t>(state >> RR_STATE_EPOCH_SHIFT);
}

std::optional<life_event> event_of(const std::string& command, bool force) {
    if (command == "status")
        return life_event::status;
    if (command == "fail")
        return life_event::fail;
    // All that parks the queues.
    if (command == "upgrade" || command == "handover" || command == "add" || command == "remove" ||
        command == "replace" || command == "bitmap" || command == "consistency")
        return life_event::upgrade;
    if (command == "job" || command == "latency" || command == "re-add")
        return life_event::fail;
    if (command == "stop")
        return force ? life_event::stop_force : life_event::stop;
    return std::nullopt;
}

}  // namespace

// Whatever comes on the socket is looked at without trust in its types: the JSON
// library throws on a wrong one.
std::optional<std::string> array_service::handle(const std::string& line, Fd& client) {
    nlohmann::json request = nlohmann::json::parse(line, nullptr, false);
    auto field = [&request](const char* key) {
        return request.is_object() && request.contains(key) ? request[key] : nlohmann::json();
    };
    auto text = [&field](const char* key) {
        const nlohmann::json value = field(key);
        return value.is_string() ? value.get<std::string>() : std::string();
    };
    const std::string command = text("command");
    const auto event = event_of(command, field("force") == true);
    if (!event)
        return to_line(error_json({EINVAL, "no such command", ""}));
    const life_rule& rule = life_rule_for(life_, *event);
    if (rule.outcome == life_outcome::refused)
        return to_line(error_json({EBUSY, rule.what, "ringraid status shows what it is doing"}));
    if (event == life_event::status)
        return to_line(status());
    if (command == "job")
        return job_order(request);
    if (command == "latency")
        return latency_order(field("on") == true);
    if (command == "re-add")
        return readd_order(field("on") == true);
    if (event == life_event::fail)
        return fail_member(text("member"), client);
    if (event == life_event::upgrade) {
        take_order(request, client);
        return std::nullopt;
    }
    // However long the members take to be flushed: it is waited for.
    (void)write_line(client.get(), to_line({{"schema", json_schema}, {"progress", "stopping"}}));
    take_order({{"command", "stop"}, {"force", field("force") == true}}, client);
    return std::nullopt;
}

// Answered when the failure is durable: a survivor may take its time for that.
std::optional<std::string> array_service::fail_member(const std::string& spelled, Fd& client) {
    std::lock_guard hold(parts_lock_);
    if (life_ != life_state::serving && life_ != life_state::parked)
        return to_line(error_json({EBUSY, "nothing is served at this moment", ""}));
    const auto role = find_member(members_, spelled);
    const auto& replacement = members_.replacement;
    if (!role && replacement && find_device({&replacement->device}, spelled)) {
        rr_host_fail(array(), members_.replacement_index(), -ENODEV);
        durability_->look();
        return to_line({{"schema", json_schema}, {"ok", true}, {"role", replacement->role}});
    }
    if (!role)
        return to_line(error_json({ENOENT, fmt::format("{} is not a member", spelled),
                                   "ringraid status shows the members"}));
    if (!take_out(array(), *role))
        return to_line(error_json(
            {EBUSY, "another member is out already", "failing this one would lose the array"}));
    if (is_durable(array()))
        return to_line({{"schema", json_schema}, {"ok", true}, {"role", *role}});
    (void)write_line(client.get(),
                     to_line({{"schema", json_schema},
                              {"progress", "writing the failure to the other members"}}));
    failing_.push_back({*role, std::move(client)});
    durability_->look();
    return std::nullopt;
}

void array_service::answer_failed() {
    std::lock_guard hold(parts_lock_);
    if (!is_durable(array()))
        return;
    const bool broken = health_of(array()) == array_health::failed;
    for (failing& f : std::exchange(failing_, {})) {
        (void)write_line(
            f.client.get(),
            broken ? to_line(error_json({EIO, "another member failed meanwhile: the array is lost",
                                         "ringraid status"}))
                   : to_line({{"schema", json_schema}, {"ok", true}, {"role", f.role}}));
    }
}

nlohmann::json array_service::member_status() const {
    nlohmann::json out = nlohmann::json::array();
    uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (size_t role = 0; role < members_.devices.size(); role++) {
        const auto& device = members_.devices[role];
        bool missing = (state >> role & 1) != 0;
        const bool rebuilt = missing && (state & RR_STATE_REBUILD) != 0;
        // The second one that failed is in no mask: it has only its error.
        bool second = (state & RR_STATE_BROKEN) != 0 && array()->members[role].error != 0;
        nlohmann::json one = {{"role", role},
                              {"device", device ? nlohmann::json(device->path) : nullptr},
                              {"state", rebuilt               ? "rebuilding"
                                        : !missing && !second ? "active"
                                        : device              ? "failed"
                                                              : "missing"}};
        if (device) {
            one["identity"] = device->identity.text;
            one["corrected_read_sectors"] = corrected_reads(static_cast<uint32_t>(role));
        }
        if (members_.replacement && members_.replacement->role == role)
            one["replacement"] = {{"device", members_.replacement->device.path},
                                  {"identity", members_.replacement->device.identity.text}};
        if ((missing || second) && !rebuilt && array()->members[role].error != 0)
            one["error"] = std::strerror(array()->members[role].error);
        out.push_back(one);
    }
    return out;
}

// Members that the array waits for (judge.h).
nlohmann::json array_service::roles_away() const {
    nlohmann::json out = nlohmann::json::array();
    member_judge* judge = durability_ ? durability_->judge() : nullptr;
    if (judge == nullptr || !judge->waits())
        return out;
    for (uint32_t role = 0; role < members_.devices.size(); role++) {
        if ((judge->away() >> role & 1) != 0)
            out.push_back(role);
    }
    return out;
}

// As the next superblock of the member has it.
uint32_t array_service::corrected_reads(uint32_t role) const {
    const auto& member = members_.plan.members[role];
    const array_jobs* jobs = durability_ ? durability_->jobs() : nullptr;
    return (member ? member->superblock.corrected_reads : 0) +
           (jobs != nullptr ? jobs->corrected(role) : 0);
}

nlohmann::json array_service::spare_status() const {
    nlohmann::json out = nlohmann::json::array();
    for (const spare_device& spare : members_.spares)
        out.push_back({{"device", spare.device.path}, {"identity", spare.device.identity.text}});
    return out;
}

// check, repair, pause, resume, cancel and rates: all at once.
std::string array_service::job_order(const nlohmann::json& request) {
    std::lock_guard hold(parts_lock_);
    const bool whole = life_ == life_state::serving || life_ == life_state::parked;
    array_jobs* jobs = whole && durability_ ? durability_->jobs() : nullptr;
    if (jobs == nullptr)
        return to_line(error_json({EBUSY, "nothing is served at this moment", ""}));
    auto number = [&request](const char* key) -> uint64_t {
        auto at = request.find(key);
        return at != request.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
    };
    auto at = request.find("what");
    const std::string what =
        at != request.end() && at->is_string() ? at->get<std::string>() : std::string();
    Status done = fail(EINVAL, "no such order");
    if (what == "check" || what == "repair")
        done = jobs->begin_check(what == "repair", number("from"), number("to"));
    else if (what == "pause")
        done = jobs->pause();
    else if (what == "resume")
        done = jobs->resume();
    else if (what == "cancel")
        done = jobs->cancel();
    else if (what == "rates")
        done = jobs->set_rates({number("min_kib"), number("max_kib")});
    return done ? to_line({{"schema", json_schema}, {"ok", true}})
                : to_line(error_json(done.error()));
}

// From now on requests that come are timed, or not.
std::string array_service::latency_order(bool on) {
    std::lock_guard hold(parts_lock_);
    if (life_ != life_state::serving && life_ != life_state::parked)
        return to_line(error_json({EBUSY, "nothing is served at this moment", ""}));
    __atomic_store_n(&array()->latency_on, on ? 1 : 0, __ATOMIC_SEQ_CST);
    return to_line({{"schema", json_schema}, {"ok", true}});
}

// Never waits: who asks while parts come and go is told the step only.
nlohmann::json array_service::status() const {
    std::lock_guard hold(parts_lock_);
    const bool whole = life_ == life_state::serving || life_ == life_state::parked;
    return whole ? full_status() : brief_status();
}

nlohmann::json array_service::brief_status() const {
    const life_state life = life_;
    return {{"schema", json_schema},
            {"ok", true},
            {"name", name_},
            {"uuid", md::to_string(set_uuid_)},
            {"state", to_string(life)},
            {"life", to_string(life)},
            {"step", step_.load()},
            {"pid", ::getpid()},
            {"version", version},
            {"block_device", life == life_state::device_gone ? "" : block_path_}};
}

// For commands and people while there is no daemon to ask.
nlohmann::json array_service::state_file() const {
    nlohmann::json state = {{"schema", json_schema},
                            {"name", name_},
                            {"uuid", md::to_string(set_uuid_)},
                            {"engine", engine_name(host_)},
                            {"pid", ::getpid()},
                            {"started", started_at(::getpid())},
                            {"socket", places_->paths().socket},
                            {"devices", nlohmann::json::array()}};
    if (device_) {
        state["device"] = device_->number();
        state["block_device"] = block_path_;
    }
    for (const auto& device : members_.devices) {
        if (device)
            state["devices"].push_back(device->path);
    }
    for (const spare_device& spare : members_.spares)
        state["devices"].push_back(spare.device.path);
    if (members_.replacement)
        state["devices"].push_back(members_.replacement->device.path);
    return state;
}

nlohmann::json array_service::full_status() const {
    rr_array* a = array();
    nlohmann::json threads = nlohmann::json::array();
    for (uint32_t i = 0; i < queues_.size(); i++) {
        const volatile rr_queue* q = rr_host_queue(a, i);
        threads.push_back({{"tid", queues_[i]->tid()},
                           {"inflight", rr_u32{q->inflight}},
                           {"fetches", rr_u32{q->fetches}},
                           {"free_slots", rr_u16{q->free_slots}},
                           {"last_error", rr_s32{q->last_error}}});
    }
    std::lock_guard hold(program_lock_);
    nlohmann::json counters = kept_ ? kept_->counters() : counters_of(a);
    // Since the queues were made: they are in no store.
    uint64_t kept_cells = 0, borrowed_cells = 0, gathered = 0, zeroed = 0;
    for (uint32_t i = 0; i < a->queues; i++) {
        kept_cells += __atomic_load_n(&rr_host_queue(a, i)->kept_cells, __ATOMIC_RELAXED);
        borrowed_cells += __atomic_load_n(&rr_host_queue(a, i)->borrowed_cells, __ATOMIC_RELAXED);
        gathered += __atomic_load_n(&rr_host_queue(a, i)->gathered, __ATOMIC_RELAXED);
        zeroed += __atomic_load_n(&rr_host_queue(a, i)->zeroed_cells, __ATOMIC_RELAXED);
    }
    counters["kept_cells"] = kept_cells;
    counters["borrowed_cells"] = borrowed_cells;
    counters["gathered_writes"] = gathered;
    counters["zeroed_cells"] = zeroed;
    const log_writer::totals logged = log_ ? log_->counted() : log_writer::totals{};
    counters["log_units"] = logged.units;
    counters["log_entries"] = logged.entries;
    if (!program_ || !program_->counts_punts()) {
        counters.erase("punts");
        counters.erase("flush_punts");
    }
    // Before the state, which a job that ends makes whole first: never degraded, and no job.
    const nlohmann::json job =
        durability_->jobs() != nullptr ? durability_->jobs()->status() : nlohmann::json::object();
    return {{"schema", json_schema},
            {"ok", true},
            {"name", members_.plan.name},
            {"uuid", md::to_string(members_.plan.set_uuid)},
            {"block_device", block_path_},
            {"engine", engine_name(host_)},
            {"passthrough", options_.passthrough},
            {"state", to_string(health_of(a))},
            {"life", to_string(life_.load())},
            {"pid", ::getpid()},
            {"version", version},
            {"queue_threads", threads},
            {"xor", xor_name(rr_host_queue(a, 0)->fused != 0)},
            {"program_id", program_ ? program_->program_id() : 0},
            {"program_version", kept_ ? kept_->version() : 0},
            {"probation", other_program_.has_value()},
            {"store", kept_ ? places_->paths().store_pin : ""},
            {"verifier", program_ ? program_->verifier() : ""},
            {"program_errors", program_ ? program_->error_stream() : ""},
            {"layout", layout_name(a->geometry.layout)},
            {"chunk_bytes", 1U << (a->geometry.chunk_shift + RR_SECTOR_SHIFT)},
            {"cell_bytes", 1U << a->cell_shift},
            {"size_bytes", a->array_sectors << RR_SECTOR_SHIFT},
            {"queues", a->queues},
            {"depth", a->depth},
            {"slots", a->slots},
            {"arena_bytes", a->bytes},
            {"events", __atomic_load_n(&life_record()->events, __ATOMIC_SEQ_CST)},
            {"clean", durability_ && durability_->is_clean()},
            {"consistency", md::to_string(policy())},
            {"consistency_wanted", log_wanted_ ? nlohmann::json("ppl") : nlohmann::json()},
            {"bitmap", bitmap_ ? bitmap_->status() : nlohmann::json()},
            {"fence", fence_ ? fence_->status() : nlohmann::json()},
            {"log_recovery", log_recovery_},
            {"waiting_for", roles_away()},
            {"re_add", readd_.load()},
            {"epoch", a->state >> RR_STATE_EPOCH_SHIFT},
            {"durable_epoch", a->durable_epoch},
            {"members", member_status()},
            {"spares", spare_status()},
            {"job", job},
            {"latency", latency_of(a)},
            {"counters", counters}};
}

// Copies for onlookers: what goes wrong with them is not the array's trouble.
void array_service::publish_array() {
    if (!kept_)
        return;
    const rr_array* a = array();
    Status told =
        kept_->publish("array", {{"name", members_.plan.name.substr(0, 31)},
                                 {"uuid", md::to_string(members_.plan.set_uuid)},
                                 {"members", a->geometry.members},
                                 {"layout", a->geometry.layout},
                                 {"chunk_bytes", 1U << (a->geometry.chunk_shift + RR_SECTOR_SHIFT)},
                                 {"queues", a->queues},
                                 {"depth", a->depth},
                                 {"size_bytes", a->array_sectors << RR_SECTOR_SHIFT},
                                 {"member_bytes", a->member_sectors << RR_SECTOR_SHIFT}});
    if (!told)
        log_error("the KV store: {}", describe(told.error()));
}

void array_service::publish_members() {
    if (!kept_)
        return;
    nlohmann::json list = nlohmann::json::array();
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (size_t role = 0; role < members_.devices.size(); role++) {
        const rr_member& m = array()->members[role];
        const bool out = rr_state_is_out(state, static_cast<uint32_t>(role)) != 0;
        list.push_back({{"state", !out                     ? "rr_active"
                                  : members_.devices[role] ? "rr_failed"
                                                           : "rr_missing"},
                        {"error", m.error},
                        {"data_offset_bytes", m.data_offset << RR_SECTOR_SHIFT}});
    }
    const uint64_t events = __atomic_load_n(&life_record()->events, __ATOMIC_SEQ_CST);
    Status told = kept_->publish("members", {{"events", events}, {"member", std::move(list)}});
    if (!told)
        log_error("the KV store: {}", describe(told.error()));
}

}  // namespace rr
