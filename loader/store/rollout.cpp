// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/rollout.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>

namespace rr::store {
namespace {

using values = std::map<uint16_t, bytes>;

void step(const rollout_options& how, const std::string& name) {
    if (how.on_step)
        how.on_step(name);
}

uint64_t now_ns() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

Status need_phase(const store& in, uint32_t wanted, const char* what) {
    const uint32_t phase = kv_state_phase(in.at().state());
    if (phase == wanted)
        return {};
    if (phase == KV_PROBATION)
        return with_hint(fail(EBUSY, "a new version is on probation"),
                         "ringraid store commit, or rollback");
    if (phase == KV_IDLE)
        return with_hint(fail(EINVAL, "there is nothing to {}: no version is on probation", what),
                         "apply one first");
    return with_hint(fail(EBUSY, "a roll-out was cut off ({})", phase_name(phase)),
                     "ringraid store recover ends it");
}

Result<values> read_all(const area& at, const manifest& m) {
    values out;
    for (const key_entry& k : m.keys) {
        if (k.home != KV_HOME_ARRAY)
            continue;
        bytes value(k.size);
        if (Status ok = read_value(at.bytes_at(k.offset), k.sync, value); !ok)
            return forward_error(ok.error());
        out[k.id] = std::move(value);
    }
    return out;
}

Error about(const key_diff& d, const Error& error) {
    Error out = error;
    out.what = fmt::format("key {}: {}", d.name, error.what);
    if (out.hint.empty())
        out.hint =
            fmt::format("give it a converter (KV_UP), or accept the loss: --accept {}", d.name);
    return out;
}

// One value of the new version. @base is what it is where the old one says nothing.
Result<bytes> convert_key(const manifest& from, const manifest& to, const key_diff& d,
                          const bytes& old, bytes base, program_host* host, direction way) {
    if (d.keep_default)
        return base;
    if (!d.converter.empty()) {
        if (host == nullptr) {
            // A plan without the program: as far as it can be told.
            return base;
        }
        if (Status ok = host->convert(d.converter, d.id, d.to->hash, way, old, base); !ok)
            return forward_error(about(d, ok.error()));
        return base;
    }
    if (d.to->type_id == 0 || d.from->hash == d.to->hash) {
        if (old.size() == base.size())
            return old;
        std::memcpy(base.data(), old.data(), std::min(old.size(), base.size()));
        return base;
    }
    if (Status ok = convert(from.type(*d.from), old, to.type(*d.to), base, d.lossy); !ok)
        return forward_error(about(d, ok.error()));
    return base;
}

// The new version's keys and the dynamic ones that move along, with places.
Result<manifest> target(const manifest& from, const manifest& to, uint32_t bank, uint32_t pages) {
    manifest out = to;
    for (const key_entry& k : from.keys)
        if (k.dynamic && to.find(k.id) == nullptr)
            out.keys.push_back(k);
    std::sort(out.keys.begin(), out.keys.end(),
              [](const key_entry& a, const key_entry& b) { return a.id < b.id; });
    if (Status ok = check_manifest(out); !ok)
        return forward_error(ok.error());
    if (Status ok = place(out, bank, pages); !ok)
        return forward_error(ok.error());
    return out;
}

Result<values> convert_all(const manifest& from, const values& old, const manifest& placed,
                           const manifest_diff& diff, program_host* host, direction way,
                           uint32_t generation) {
    values out;
    if (host != nullptr)
        host->come_from(generation);
    std::map<uint16_t, const key_diff*> known;
    for (const key_diff& d : diff.keys)
        if (d.to != nullptr)
            known[d.to->id] = &d;
    for (const key_entry& k : placed.keys) {
        if (k.home != KV_HOME_ARRAY)
            continue;
        const auto d = known.find(k.id);
        const auto value = old.find(k.id);
        if (d == known.end()) {
            if (value != old.end())  // not deleted since
                out[k.id] = value->second;
            continue;
        }
        if (d->second->from == nullptr || value == old.end()) {
            out[k.id] = k.initial;
            continue;
        }
        auto made = convert_key(from, placed, *d->second, value->second, k.initial, host, way);
        if (!made)
            return forward_error(made.error());
        if (Status ok = check_range(placed, k, *made); !ok)
            return forward_error(about(*d->second, ok.error()));
        out[k.id] = std::move(*made);
    }
    return out;
}

// An older version is reached by the newer one's converters.
direction way_to(const manifest& from, const manifest& to) {
    return to.version < from.version ? direction::down : direction::up;
}

rollout_report report_of(const manifest_diff& diff) {
    rollout_report out;
    out.from_version = diff.from_version;
    out.to_version = diff.to_version;
    out.keys = diff.keys;
    for (key_diff& d : out.keys)
        d.from = d.to = nullptr;
    return out;
}

// What no word can make an upgrade.
Status compare_program(const store& in, const manifest& from, const manifest& to, bool anew) {
    if (to.program != in.at().program())
        return with_hint(fail(EINVAL, "the store belongs to the program {}, not to {}",
                              in.at().program(), to.program),
                         "give the store of this program, or make one: ringraid store init");
    if (to.version == from.version && to.hash() != from.hash())
        return with_hint(fail(EINVAL,
                              "the program says version {} but its keys differ from version "
                              "{}'s in the store",
                              to.version, to.version),
                         "count the version up in KV_STORE()");
    if (to.version == from.version && !anew)
        return with_hint(fail(EALREADY, "the store has version {} already", to.version),
                         "use compact to load the same version anew");
    return {};
}

// What was written is what was meant: read back by the checks of an open.
Status verify_bank(const area& at, uint32_t bank, const manifest& placed, const values& meant) {
    auto back = at.read_manifest(bank);
    if (!back)
        return forward_error(back.error());
    auto read = read_all(at, *back);
    if (!read)
        return forward_error(read.error());
    if (*read != meant || back->hash() != placed.hash())
        return with_hint(fail(EIO, "the new bank does not hold what was written into it"),
                         "somebody else writes to the store; find out who");
    return {};
}

// The other way out of a pause: whatever happened, programs run again.
class resumer {
public:
    resumer(const area& at, program_host& host, uint32_t generation)
        : at_(at), host_(host), generation_(generation) {}
    ~resumer() { resume(); }
    resumer(const resumer&) = delete;
    resumer& operator=(const resumer&) = delete;

    void run(uint32_t generation) { generation_ = generation; }
    uint64_t resume() {
        if (!done_) {
            at_.set_gate(generation_);
            host_.resume();
            done_ = true;
            ended_ = now_ns();
        }
        return ended_;
    }

private:
    const area& at_;
    program_host& host_;
    uint32_t generation_;
    bool done_ = false;
    uint64_t ended_ = 0;
};

Status pause_programs(const store& in, program_host& host) {
    const area& at = in.at();
    at.set_gate(0);
    if (host.parks())
        return host.park();
    if ((at.header().bank[at.active()].flags & KV_GATED) == 0)
        return with_hint(fail(ENOTSUP, "nothing keeps the running programs off the store"),
                         "declare KV_GATED and begin each program with KV_GATE()");
    return wait_for_programs();
}

Result<rollout_report> apply_locked(store& in, const manifest& to, program_host& host,
                                    const rollout_options& how, bool same_version) {
    const area& at = in.at();
    if (Status ok = need_phase(in, KV_IDLE, "apply"); !ok)
        return forward_error(ok.error());
    auto from = in.describe();
    if (!from)
        return forward_error(from.error());
    if (Status ok = compare_program(in, *from, to, same_version); !ok)
        return forward_error(ok.error());
    const direction way = way_to(*from, to);
    const manifest_diff diff = diff_manifests(*from, to, how.words, way);
    if (Status ok = diff.verdict(); !ok)
        return forward_error(ok.error());

    const uint32_t old_bank = at.active();
    const uint32_t new_bank = 1 - old_bank;
    const uint32_t old_generation = kv_state_generation(at.state());
    const uint32_t generation = at.header().generations + 1;
    auto placed = target(*from, to, new_bank, at.pages());
    if (!placed)
        return forward_error(placed.error());

    step(how, "load");
    if (Status ok = host.load(*from, *placed, {new_bank, generation, at.size()}); !ok)
        return forward_error(ok.error());

    rollout_report report = report_of(diff);
    report.generation = generation;
    step(how, "journal");
    at.header().links = 0;
    at.header().generations = generation;
    at.set_state(KV_APPLY_CONVERT, old_bank, old_generation);
    Status failed;
    {
        resumer programs(at, host, old_generation);
        uint64_t started = now_ns();
        failed = [&]() -> Status {
            step(how, "attach");
            if (Status ok = host.attach(at); !ok)
                return ok;
            // All that does not depend on values is written before the pause.
            step(how, "bank");
            if (Status ok = at.write_bank(new_bank, *placed, generation); !ok)
                return ok;
            step(how, "pause");
            started = now_ns();
            if (Status ok = pause_programs(in, host); !ok)
                return ok;
            step(how, "convert");
            manifest still = *from;
            std::erase_if(still.keys, [&](const key_entry& k) {
                return k.dynamic && (at.word(old_bank, k.id) & KV_META_LIVE) == 0;
            });
            auto old = read_all(at, still);
            if (!old)
                return forward_error(old.error());
            auto fresh = convert_all(still, *old, *placed, diff, &host, way, old_generation);
            if (!fresh)
                return forward_error(fresh.error());
            for (const key_entry& k : placed->keys) {
                const auto value = fresh->find(k.id);
                if (k.home != KV_HOME_ARRAY)
                    continue;
                if (value == fresh->end()) {  // deleted between the plan and the pause
                    __atomic_store_n(&at.bank(new_bank).dir[k.id], 0, __ATOMIC_SEQ_CST);
                    continue;
                }
                step(how, fmt::format("value {}", k.id));
                if (Status ok = write_value(at.bytes_at(k.offset), k.sync, value->second); !ok)
                    return ok;
                report.values++;
                report.bytes += value->second.size();
            }
            step(how, "verify");
            if (Status ok = verify_bank(at, new_bank, *placed, *fresh); !ok)
                return ok;
            step(how, "swap");
            at.set_state(KV_APPLY_SWAP, old_bank, old_generation);
            if (Status ok = host.swap(at, true); !ok)
                return ok;
            step(how, "flip");
            at.set_state(KV_PROBATION, new_bank, generation);
            return {};
        }();
        if (!failed)
            (void)host.swap(at, false);
        else
            programs.run(generation);
        step(how, "resume");
        report.pause_ns = programs.resume() - started;
    }
    if (!failed) {
        (void)host.finish(at, false);
        at.wipe_bank(new_bank);
        at.set_state(KV_IDLE, old_bank, old_generation);
        return forward_error(failed.error());
    }
    step(how, "done");
    return report;
}

// The dynamic keys of the old bank become those of the new one.
Status carry_dynamic(const store& in, const manifest& fresh, const values& written,
                     uint32_t old_bank) {
    const area& at = in.at();
    auto old = at.read_manifest(old_bank);
    if (!old)
        return forward_error(old.error());
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (const key_entry& k : old->keys) {
        if (k.dynamic) {
            __atomic_store_n(&at.bank(old_bank).dir[k.id], 0, __ATOMIC_SEQ_CST);
            continue;
        }
        if (k.home == KV_HOME_ARRAY)
            taken.emplace_back(k.offset, k.offset + uint64_t{kv_slot_bytes(k.size, k.sync)});
        if (k.default_at != 0)
            taken.emplace_back(k.default_at, k.default_at + uint64_t{kv_copy_bytes(k.size)});
    }
    std::sort(taken.begin(), taken.end());
    for (const key_entry& k : fresh.keys) {
        if (!k.dynamic || (old->find(k.id) != nullptr && !old->find(k.id)->dynamic))
            continue;
        const uint64_t need = kv_slot_bytes(k.size, k.sync);
        uint64_t place_at = kv_data_start(old_bank, at.pages());
        size_t i = 0;
        for (; i < taken.size() && taken[i].first < place_at + need; i++)
            place_at = std::max(place_at, taken[i].second);
        if (!at.in_bank(old_bank, place_at, need))
            return with_hint(fail(ENOSPC, "the old version has no room for key {}", k.id),
                             "delete keys that were made since, and roll back again");
        taken.insert(taken.begin() + static_cast<std::ptrdiff_t>(i), {place_at, place_at + need});
        std::memset(at.bytes_at(place_at), 0, need);
        if (Status ok = write_value(at.bytes_at(place_at), k.sync, written.at(k.id)); !ok)
            return ok;
        kv_entry& e = at.bank(old_bank).entry[k.id];
        std::memset(&e, 0, sizeof(e));
        e.flags = KV_ENTRY_DYNAMIC;
        std::memcpy(e.name, k.name.data(), std::min(k.name.size(), sizeof(e.name) - 1));
        if (Status ok = at.enter_name(old_bank, k.id, k.name); !ok)
            return ok;
        __atomic_store_n(&at.bank(old_bank).dir[k.id],
                         kv_meta(static_cast<uint32_t>(place_at), k.size, k.sync, KV_HOME_ARRAY),
                         __ATOMIC_SEQ_CST);
    }
    return {};
}

Status carry_back(store& in, program_host& host, const rollout_options& how, uint32_t old_bank,
                  rollout_report& report) {
    const area& at = in.at();
    auto fresh = in.describe();
    auto old = at.read_manifest(old_bank);
    if (!fresh)
        return forward_error(fresh.error());
    if (!old)
        return forward_error(old.error());
    auto written = read_all(at, *fresh);
    auto kept = read_all(at, *old);
    if (!written)
        return forward_error(written.error());
    if (!kept)
        return forward_error(kept.error());
    const manifest_diff diff = diff_manifests(*fresh, *old, {}, direction::down);
    report = report_of(diff);
    // Nothing is asked on the way back: what does not fit stays as it was.
    for (key_diff& d : report.keys)
        d.blocked.clear();
    host.come_from(kv_state_generation(at.state()));
    for (const key_diff& d : diff.keys) {
        if (d.to == nullptr || d.to->home != KV_HOME_ARRAY || d.to->dynamic)
            continue;
        step(how, fmt::format("value {}", d.id));
        if (d.from == nullptr || d.from->home != KV_HOME_ARRAY)
            continue;  // the new version had no such key: it stays
        // Whether a number fits is seen by the number; what it means is not.
        if (!d.blocked.empty() && (d.kind == "redefined" || d.keep_default)) {
            report.kept_old.push_back(fmt::format("{}: {}", d.name, d.blocked));
            continue;
        }
        if (d.to->persist == KV_PERSIST_RESET)
            continue;
        auto made =
            convert_key(*fresh, *old, d, written->at(d.id), kept->at(d.id), &host, direction::down);
        if (made)
            if (Status ok = check_range(*old, *d.to, *made); !ok)
                made = forward_error(ok.error());
        if (!made) {
            report.kept_old.push_back(fmt::format("{}: {}", d.name, made.error().what));
            continue;
        }
        if (Status ok = write_value(at.bytes_at(d.to->offset), d.to->sync, *made); !ok)
            return ok;
        report.values++;
        report.bytes += made->size();
    }
    step(how, "dynamic");
    if (Status ok = carry_dynamic(in, *fresh, *written, old_bank); !ok)
        return ok;
    step(how, "verify");
    auto again = at.read_manifest(old_bank);
    return again ? Status() : Status(forward_error(again.error()));
}

Status end_rollback(store& in, program_host& host) {
    const area& at = in.at();
    const uint32_t bank = at.active();
    if (Status ok = host.finish(at, false); !ok)
        return ok;
    at.wipe_bank(1 - bank);
    at.set_state(KV_IDLE, bank, kv_state_generation(at.state()));
    return {};
}

Status end_commit(store& in, program_host& host) {
    const area& at = in.at();
    if (Status ok = host.finish(at, true); !ok)
        return ok;
    at.wipe_bank(1 - at.active());
    at.set_state(KV_IDLE, at.active(), kv_state_generation(at.state()));
    return {};
}

}  // namespace

const char* phase_name(uint32_t phase) {
    static constexpr const char* names[] = {"idle",         "converting",      "swapping",
                                            "on probation", "converting back", "swapping back",
                                            "going back",   "committing"};
    return phase <= KV_COMMIT ? names[phase] : "unknown";
}

Result<rollout_report> plan(const store& in, const manifest& to, program_host* host,
                            const rollout_options& how) {
    const area& at = in.at();
    auto from = in.describe();
    if (!from)
        return forward_error(from.error());
    if (Status ok = compare_program(in, *from, to, false); !ok)
        return forward_error(ok.error());
    const direction way = way_to(*from, to);
    const manifest_diff diff = diff_manifests(*from, to, how.words, way);
    rollout_report report = report_of(diff);
    if (diff.blocked())
        return report;
    auto placed = target(*from, to, 1 - at.active(), at.pages());
    if (!placed)
        return forward_error(placed.error());
    if (host != nullptr)
        if (Status ok = host->load(*from, *placed,
                                   {1 - at.active(), at.header().generations + 1, at.size()});
            !ok)
            return forward_error(ok.error());
    auto old = read_all(at, *from);
    if (!old)
        return forward_error(old.error());
    auto fresh =
        convert_all(*from, *old, *placed, diff, host, way, kv_state_generation(at.state()));
    if (!fresh)
        return forward_error(fresh.error());
    report.values = static_cast<uint32_t>(fresh->size());
    for (const auto& [id, value] : *fresh)
        report.bytes += value.size();
    return report;
}

Result<rollout_report> apply(store& in, const manifest& to, program_host& host,
                             const rollout_options& how) {
    auto lock = store_lock::take(in.at());
    if (!lock)
        return forward_error(lock.error());
    return apply_locked(in, to, host, how, false);
}

Result<rollout_report> compact(store& in, program_host& host, const rollout_options& how) {
    auto lock = store_lock::take(in.at());
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = need_phase(in, KV_IDLE, "compact"); !ok)
        return forward_error(ok.error());
    auto same = in.describe();
    if (!same)
        return forward_error(same.error());
    auto done = apply_locked(in, *same, host, how, true);
    if (!done)
        return done;
    step(how, "commit");
    const area& at = in.at();
    at.set_state(KV_COMMIT, at.active(), kv_state_generation(at.state()));
    if (Status ok = end_commit(in, host); !ok)
        return forward_error(ok.error());
    return done;
}

Result<rollout_report> rollback(store& in, program_host& host, const rollout_options& how) {
    const area& at = in.at();
    auto lock = store_lock::take(at);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = need_phase(in, KV_PROBATION, "roll back"); !ok)
        return forward_error(ok.error());
    const uint32_t new_bank = at.active();
    const uint32_t old_bank = 1 - new_bank;
    const uint32_t generation = kv_state_generation(at.state());
    const uint32_t old_generation = at.header().bank[old_bank].generation;
    rollout_report report;
    uint64_t started = 0;
    uint64_t ended = 0;
    Status failed;
    {
        step(how, "journal");
        at.set_state(KV_ROLLBACK_CONVERT, new_bank, generation);
        resumer programs(at, host, generation);
        failed = [&]() -> Status {
            step(how, "pause");
            started = now_ns();
            if (Status ok = pause_programs(in, host); !ok)
                return ok;
            step(how, "convert");
            if (Status ok = carry_back(in, host, how, old_bank, report); !ok)
                return ok;
            step(how, "swap");
            at.set_state(KV_ROLLBACK_SWAP, new_bank, generation);
            if (Status ok = host.swap(at, false); !ok)
                return ok;
            step(how, "flip");
            at.set_state(KV_ROLLBACK_CLEAN, old_bank, old_generation);
            return {};
        }();
        if (failed) {
            programs.run(old_generation);
        } else {
            (void)host.swap(at, true);
            at.set_state(KV_PROBATION, new_bank, generation);
        }
        step(how, "resume");
        ended = programs.resume();
    }
    if (!failed)
        return forward_error(failed.error());
    report.pause_ns = ended - started;
    report.generation = old_generation;
    step(how, "clean");
    if (Status ok = end_rollback(in, host); !ok)
        return forward_error(ok.error());
    step(how, "done");
    return report;
}

Status commit(store& in, program_host& host, const rollout_options& how) {
    const area& at = in.at();
    auto lock = store_lock::take(at);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = need_phase(in, KV_PROBATION, "commit"); !ok)
        return ok;
    step(how, "journal");
    at.set_state(KV_COMMIT, at.active(), kv_state_generation(at.state()));
    step(how, "clean");
    if (Status ok = end_commit(in, host); !ok)
        return ok;
    step(how, "done");
    return {};
}

Result<recovery> recover(store& in, program_host& host) {
    const area& at = in.at();
    auto lock = store_lock::take(at);
    if (!lock)
        return forward_error(lock.error());
    const uint64_t state = at.state();
    const uint32_t bank = kv_state_active(state);
    const uint32_t generation = kv_state_generation(state);
    const uint32_t phase = kv_state_phase(state);
    // The bank that the state word names is the one that must be whole.
    auto here = in.describe();
    if (!here)
        return forward_error(here.error());
    recovery out;
    uint32_t broken = break_dead_locks(at, *here, bank);
    switch (phase) {
        case KV_APPLY_CONVERT:
        case KV_APPLY_SWAP:
            if (Status ok = host.swap(at, false); !ok)
                return forward_error(ok.error());
            at.set_gate(generation);
            if (Status ok = host.finish(at, false); !ok)
                return forward_error(ok.error());
            at.wipe_bank(1 - bank);
            at.set_state(KV_IDLE, bank, generation);
            out = {whole::old_state,
                   fmt::format("an apply was cut off before it took effect: version {} "
                               "is active, whole, as it was",
                               here->version)};
            break;
        case KV_ROLLBACK_CONVERT:
        case KV_ROLLBACK_SWAP:
            if (Status ok = host.swap(at, true); !ok)
                return forward_error(ok.error());
            at.set_gate(generation);
            at.set_state(KV_PROBATION, bank, generation);
            out = {whole::new_state,
                   fmt::format("a rollback was cut off before it took effect: version "
                               "{} is active, whole, on probation",
                               here->version)};
            break;
        case KV_ROLLBACK_CLEAN:
            at.set_gate(generation);
            if (Status ok = end_rollback(in, host); !ok)
                return forward_error(ok.error());
            out = {whole::old_state,
                   fmt::format("a rollback was complete: version {} is active", here->version)};
            break;
        case KV_COMMIT:
            at.set_gate(generation);
            if (Status ok = end_commit(in, host); !ok)
                return forward_error(ok.error());
            out = {whole::new_state,
                   fmt::format("a commit was finished: version {} is active", here->version)};
            break;
        case KV_PROBATION:
            at.set_gate(generation);
            out = {whole::new_state,
                   fmt::format("version {} is active, on probation", here->version)};
            break;
        default:
            at.set_gate(generation);
            out = {whole::settled,
                   fmt::format("nothing was cut off: version {} is active", here->version)};
            break;
    }
    if (broken != 0)
        out.sentence += fmt::format("; {} values were freed from a writer that died", broken);
    return out;
}

Status verify(const store& in) {
    const area& at = in.at();
    auto m = in.describe();
    if (!m)
        return forward_error(m.error());
    for (const key_entry& k : m->keys) {
        if (k.home != KV_HOME_ARRAY)
            continue;
        bytes value(k.size);
        if (Status ok = read_value(at.bytes_at(k.offset), k.sync, value); !ok)
            return ok;
        if (Status ok = check_range(*m, k, value); !ok)
            return ok;
        if (!k.name.empty()) {
            auto found = in.find(k.name);
            if (!found || *found != k.id)
                return with_hint(fail(EBADMSG, "key {} is not found by its name", k.name),
                                 "the store is damaged: export it, make it anew, import");
        }
    }
    if (kv_state_phase(at.state()) == KV_PROBATION)
        if (auto old = at.read_manifest(1 - at.active()); !old)
            return forward_error(old.error());
    const uint32_t phase = kv_state_phase(at.state());
    if (phase != KV_IDLE && phase != KV_PROBATION)
        return with_hint(fail(EBUSY, "a roll-out was cut off ({})", phase_name(phase)),
                         "ringraid store recover ends it");
    return {};
}

uint32_t fragmentation(const store& in) {
    const area& at = in.at();
    uint64_t used = 0;
    uint64_t end = 0;
    const uint32_t bank = at.active();
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++) {
        const uint64_t meta = at.word(bank, id);
        if ((meta & KV_META_LIVE) == 0 || kv_meta_home(meta) != KV_HOME_ARRAY)
            continue;
        const uint32_t slot = kv_slot_bytes(kv_meta_size(meta), kv_meta_sync(meta));
        used += slot;
        end = std::max(end, kv_meta_offset(meta) + uint64_t{slot});
        if (const uint32_t dflt = at.bank(bank).entry[id].default_at; dflt != 0) {
            used += kv_copy_bytes(kv_meta_size(meta));
            end = std::max(end, dflt + uint64_t{kv_copy_bytes(kv_meta_size(meta))});
        }
    }
    const uint64_t start = kv_data_start(bank, at.pages());
    return end <= start || used >= end - start
               ? 0
               : static_cast<uint32_t>(100 - used * 100 / (end - start));
}

}  // namespace rr::store
