// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// `ringraid upgrade`, as the daemon does it: see upgrade.h for the swap itself.
//
// The new object is copied beside the array's state before anything changes,
// under the number of the generation that it will be: a daemon that dies
// after the flip leaves its successor the program that fits the store. An
// upgrade ends in a probation: for a while the new program's error stream is
// watched, then it is committed or taken back. The caller may ask to decide
// himself.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/io.h"
#include "base/log.h"
#include "service/array_service.h"
#include "service/report.h"
#include "service/upgrade.h"
#include "store/export.h"

namespace rr {
namespace {

constexpr auto look_every = std::chrono::milliseconds(20);
constexpr uint32_t probation_default_ms = 1000;
constexpr uint32_t probation_max_ms = 60 * 1000;

std::string text_of(const nlohmann::json& request, const char* key) {
    auto at = request.find(key);
    return at != request.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// The answer to a roll-out: keys that stay as they are go without saying.
nlohmann::json changes_of(const store::rollout_report& report) {
    nlohmann::json out = store::report_json(report);
    std::erase_if(out["keys"].get_ref<nlohmann::json::array_t&>(),
                  [](const nlohmann::json& key) { return key["change"] == "same"; });
    out.update({{"schema", json_schema}, {"ok", true}});
    return out;
}

}  // namespace

running_queues array_service::parked_parts() {
    running_queues parts;
    parts.array = array();
    parts.queues = &queues_;
    parts.setting.arena_fd = arena_->fd();
    parts.setting.store_fd = kept_->at().at().fd();
    for (auto& queue : queues_)
        parts.setting.ring_fds.push_back(queue->ring_fd());
    parts.setting.at = queues_[0]->offsets();
    parts.lock = &program_lock_;
    parts.running = &program_;
    parts.other = &other_program_;
    return parts;
}

Result<nlohmann::json> array_service::upgrade(const nlohmann::json& request) {
    if (!kept_ || !program_)
        return with_hint(fail(ENOTSUP, "the user engine has no program to exchange"),
                         "stop the array, and assemble it with the new ringraid");
    if (health_of(array()) == array_health::failed)
        return with_hint(fail(EIO, "two members failed"), "stop the array");
    const std::string what = text_of(request, "what");
    if (what == "commit")
        return commit_upgrade();
    if (what == "rollback")
        return roll_back();
    return apply_upgrade(request);
}

Result<nlohmann::json> array_service::apply_upgrade(const nlohmann::json& request) {
    auto object = store::read_file(text_of(request, "object"));
    if (!object)
        return forward_error(object.error());
    if (Status ok = check_shared_types(*object); !ok)
        return forward_error(ok.error());
    auto declared = store::manifest_of_object(*object);
    if (!declared)
        return forward_error(declared.error());
    store::rollout_options how;
    for (const nlohmann::json& word : request.value("accept", nlohmann::json::array()))
        if (word.is_string())
            how.words.insert(word.get<std::string>());

    store::store& in = kept_->at();
    queue_host host(places_->paths().store_pin, in.at(), parked_parts(), *object);
    if (text_of(request, "what") == "plan") {
        auto planned = store::plan(in, *declared, &host, how);
        return planned ? Result<nlohmann::json>(changes_of(*planned))
                       : forward_error(planned.error());
    }
    if (kv_state_phase(in.at().state()) != KV_IDLE)
        return with_hint(fail(EBUSY, "a version is on probation"),
                         "ringraid upgrade --commit, or --rollback");
    {
        // One that `ringraid store commit` let go behind our back.
        std::lock_guard hold(program_lock_);
        other_program_.reset();
    }
    const std::string copy = places_->paths().program(in.at().header().generations + 1);
    if (Status ok = write_file(copy, *object); !ok)
        return forward_error(ok.error());
    // The same values: only the code is another. It needs no word and has no way back.
    const bool same = kept_->holds(*declared);
    auto done = same ? store::compact(in, host, how) : store::apply(in, *declared, host, how);
    if (!done) {
        std::lock_guard hold(program_lock_);
        other_program_.reset();
        kept_->forget_programs();
        return forward_error(done.error());
    }
    log_info("upgraded from version {} to {}; requests waited {} us", done->from_version,
             done->to_version, done->pause_ns / 1000);
    nlohmann::json answer = changes_of(*done);
    answer["load_ns"] = host.load_ns();
    publish_array();
    publish_members();
    answer["probation"] = !same && request.value("hold", nlohmann::json()) == true;
    if (same) {
        std::lock_guard hold(program_lock_);
        other_program_.reset();
        kept_->forget_programs();
    }
    if (same || answer["probation"] == true)
        return answer;
    const nlohmann::json ms = request.value("probation_ms", nlohmann::json());
    if (Status ok =
            survive_probation(ms.is_number_unsigned() ? ms.get<uint32_t>() : probation_default_ms);
        !ok) {
        Error error = ok.error();
        auto back = roll_back();
        error.what += back ? "; it was rolled back" : "; " + describe(back.error());
        return forward_error(error);
    }
    auto committed = commit_upgrade();
    return committed ? Result<nlohmann::json>(answer) : committed;
}

// An access to a page that is not there is all that a verified program can do
// wrong to memory; it shows in its stream.
Status array_service::survive_probation(uint32_t ms) {
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(std::min(ms, probation_max_ms));
    do {
        {
            std::lock_guard hold(program_lock_);
            if (const std::string& report = program_->error_stream(); !report.empty())
                return fail(EFAULT, "the new program reported: {}", report);
        }
        std::this_thread::sleep_for(look_every);
    } while (std::chrono::steady_clock::now() < end);
    return {};
}

Result<nlohmann::json> array_service::roll_back() {
    if (kv_state_phase(kept_->at().at().state()) != KV_PROBATION)
        return with_hint(fail(EINVAL, "no version is on probation"),
                         "ringraid upgrade ARRAY OBJECT");
    running_queues parts = parked_parts();
    if (!other_program_) {
        // The daemon that upgraded is gone, and with it the old program.
        auto object = kept_->previous_program();
        if (!object)
            return forward_error(object.error());
        auto loaded = bpf_program_set::load(*object, parts.setting);
        if (!loaded)
            return forward_error(loaded.error());
        std::lock_guard hold(program_lock_);
        other_program_.emplace(std::move(*loaded));
    }
    queue_host host(places_->paths().store_pin, std::move(parts));
    auto done = store::rollback(kept_->at(), host, {});
    if (!done)
        return forward_error(done.error());
    {
        std::lock_guard hold(program_lock_);
        other_program_.reset();
    }
    kept_->forget_programs();
    publish_array();
    publish_members();
    log_info("rolled back to version {}; requests waited {} us", done->to_version,
             done->pause_ns / 1000);
    return changes_of(*done);
}

Result<nlohmann::json> array_service::commit_upgrade() {
    queue_host host(places_->paths().store_pin, parked_parts());
    if (Status ok = store::commit(kept_->at(), host); !ok)
        return forward_error(ok.error());
    {
        std::lock_guard hold(program_lock_);
        other_program_.reset();
    }
    kept_->forget_programs();
    return nlohmann::json{{"schema", json_schema}, {"ok", true}, {"version", kept_->version()}};
}

}  // namespace rr
