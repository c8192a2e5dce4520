// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/kept_state.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "service/upgrade.h"

namespace rr {
namespace {

// @into takes over what it has in common with @from.
void merge(nlohmann::json& into, const nlohmann::json& from) {
    if (into.is_object() && from.is_object()) {
        for (auto& [name, value] : into.items()) {
            if (from.contains(name))
                merge(value, from[name]);
        }
    } else if (into.is_array() && from.is_array()) {
        for (size_t i = 0; i < std::min(into.size(), from.size()); i++)
            merge(into[i], from[i]);
    } else {
        into = from;
    }
}

void sum_up(const nlohmann::json& value, const std::string& name, nlohmann::json& sums) {
    if (value.is_object()) {
        for (const auto& [member, inner] : value.items())
            sum_up(inner, member, sums);
    } else if (value.is_array()) {
        for (const nlohmann::json& element : value)
            sum_up(element, name, sums);
    } else if (value.is_number_integer()) {
        sums[name] = sums.value(name, uint64_t{0}) + value.get<uint64_t>();
    }
}

}  // namespace

Result<kept_state> kept_state::make(const array_paths& paths) {
    std::error_code ignored;
    std::filesystem::remove(paths.store_pin, ignored);
    auto declared = store::manifest_of_object(builtin_object());
    if (!declared)
        return forward_error(declared.error());
    auto made = store::store::create(*declared, paths.store_pin);
    if (!made)
        return forward_error(made.error());
    kept_state out(paths, std::move(*made));
    out.forget_programs();
    return out;
}

Result<kept_state> kept_state::adopt(const array_paths& paths, int arena_fd) {
    auto opened = store::store::open(paths.store_pin);
    Status usable = opened ? Status{} : Status(forward_error(opened.error()));
    if (usable) {
        kept_state out(paths, std::move(*opened));
        store::bpf_host pins(paths.store_pin);
        auto found = store::recover(out.store_, pins);
        if (found && found->state != store::whole::settled)
            log_info("the KV store: {}", found->sentence);
        auto saved = out.active_program();
        // An older daemon's program may not know what this one would tell it.
        const bool fits = saved && check_shared_types(*saved);
        usable = !found ? Status(forward_error(found.error()))
                 : fits ? Status{}
                        : out.move_to_builtin(arena_fd);
        if (usable)
            return out;
    }
    log_error("the KV store is made anew, counters start at zero: {}", describe(usable.error()));
    return make(paths);
}

Result<kept_state> kept_state::look(const array_paths& paths) {
    auto opened = store::store::open(paths.store_pin);
    if (!opened)
        return forward_error(opened.error());
    kept_state out(paths, std::move(*opened));
    if (kv_state_phase(out.store_.at().state()) != KV_IDLE)
        return with_hint(fail(EBUSY, "a program is on probation"),
                         "ringraid upgrade --commit, or --rollback");
    auto program = out.active_program();
    if (!program)
        return forward_error(program.error());
    if (Status fits = check_shared_types(*program); !fits)
        return with_hint(
            fail(EPROTO, "the program that runs is of another build: {}", fits.error().what),
            "ringraid upgrade gives the array this one's first");
    return out;
}

Status kept_state::move_to_builtin(int arena_fd) {
    auto declared = store::manifest_of_object(builtin_object());
    if (!declared)
        return forward_error(declared.error());
    idle_host host(paths_.store_pin, store_.at(), arena_fd);
    if (kv_state_phase(store_.at().state()) == KV_PROBATION) {
        if (Status ok = store::commit(store_, host); !ok)
            return ok;
    }
    if (holds(*declared)) {
        // The same values: without its file, the generation's program is the built-in one.
        const kv_header& h = store_.at().header();
        std::error_code failed;
        std::filesystem::remove(paths_.program(h.bank[store_.at().active()].generation), failed);
        log_info("the dead daemon's program is of another build; the built-in one is taken");
        return failed ? Status(fail(failed.value(), "cannot remove it")) : Status{};
    }
    // What does not fit is lost; a new store would lose the rest as well.
    store::rollout_options how;
    how.words.insert("*");
    auto done = store::apply(store_, *declared, host, how);
    if (!done)
        return forward_error(done.error());
    log_info("the KV store was moved from version {} to {}", done->from_version, done->to_version);
    return store::commit(store_, host);
}

Result<store::bytes> kept_state::program_of(uint32_t bank) const {
    const store::area& area = store_.at();
    const uint32_t generation = area.header().bank[bank].generation;
    auto placed = area.read_manifest(bank);
    if (!placed)
        return forward_error(placed.error());
    auto file = store::read_file(paths_.program(generation));
    const store::const_bytes builtin = builtin_object();
    store::bytes object = file ? *file : store::bytes(builtin.begin(), builtin.end());
    auto declared = store::manifest_of_object(object);
    if (!declared)
        return forward_error(declared.error());
    if (declared->hash() != placed->hash())
        return with_hint(
            fail(ENOENT, "the program of version {} is not there any more", placed->version),
            "upgrade to the version that you want");
    if (Status ok = store::bake_object(object, *placed, {bank, generation, area.size()}); !ok)
        return forward_error(ok.error());
    return object;
}

Result<store::bytes> kept_state::active_program() const {
    return program_of(store_.at().active());
}

Result<store::bytes> kept_state::previous_program() const {
    return program_of(1 - store_.at().active());
}

void kept_state::forget_programs() const {
    const kv_header& h = store_.at().header();
    std::error_code ignored;
    std::vector<std::filesystem::path> old;
    for (const auto& entry : std::filesystem::directory_iterator(paths_.directory, ignored)) {
        const std::filesystem::path& path = entry.path();
        if (path.filename().string().starts_with("program-") &&
            path != paths_.program(h.bank[0].generation) &&
            path != paths_.program(h.bank[1].generation))
            old.push_back(path);
    }
    for (const auto& path : old)
        std::filesystem::remove(path, ignored);
}

Status kept_state::publish(const std::string& name, const nlohmann::json& value) const {
    auto manifest = store_.describe();
    if (!manifest)
        return forward_error(manifest.error());
    const store::key_entry* key = manifest->find(name);
    if (key == nullptr || key->dynamic)
        return {};
    auto now = store_.get(key->id, store::access::racy);
    if (!now)
        return forward_error(now.error());
    nlohmann::json merged = store::to_json(manifest->type(*key), *now);
    merge(merged, value);
    if (Status ok = store::from_json(manifest->type(*key), merged, *now); !ok)
        return ok;
    return store_.put(key->id, *now);
}

// A roll-out may flip the banks meanwhile: then once more.
nlohmann::json kept_state::counters() const {
    for (;;) {
        const uint64_t before = store_.at().state();
        nlohmann::json sums = counters_now();
        if (store_.at().state() == before)
            return sums;
    }
}

nlohmann::json kept_state::counters_now() const {
    nlohmann::json sums = nlohmann::json::object();
    auto manifest = store_.describe();
    if (!manifest)
        return sums;
    for (const store::key_entry& key : manifest->keys) {
        const bool counts = key.name.starts_with("counters") || key.name.ends_with("punts");
        if (key.dynamic || !counts)
            continue;
        if (auto value = store_.get(key.id, store::access::racy))
            sum_up(store::to_json(manifest->type(key), *value), key.name, sums);
    }
    return sums;
}

bool kept_state::holds(const store::manifest& declared) const {
    auto now = store_.describe();
    return now && now->version == declared.version && now->hash() == declared.hash();
}

uint32_t kept_state::version() const {
    const store::area& area = store_.at();
    return area.header().bank[area.active()].version;
}

}  // namespace rr
