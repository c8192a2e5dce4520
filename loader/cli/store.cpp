// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// ringraid store: looks into a KV store and moves it from version to version.
//
// Works on any pinned store; whose program it is does not matter.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "store/bpf_host.h"
#include "store/export.h"

namespace rr::cli {
namespace {

using namespace rr::store;
using rr::store::access;

struct store_args {
    std::string pin;
    std::string object;
    std::string key;
    std::string value;
    std::string file;
    std::vector<std::string> links;
    std::vector<std::string> attach;
    std::vector<std::string> accept;
    bool pause = false;
    bool parked = false;
    bool steps = false;
    bool seq = false;
    bool atomic = false;
};

// For programs that are kept off the store by somebody else.
class parked_host : public bpf_host {
public:
    using bpf_host::bpf_host;
    bool parked = false;
    [[nodiscard]] bool parks() const override { return parked; }
};

int fail_with(const context& ctx, const Error& error) {
    return print_error(ctx, error);
}

nlohmann::json ok_json() {
    return {{"schema", export_schema}, {"ok", true}};
}

int done(const context& ctx, const std::string& sentence) {
    if (ctx.json) {
        nlohmann::json out = ok_json();
        out["result"] = sentence;
        print_json(out);
    } else {
        print_line(stdout, "{}", sentence);
    }
    return 0;
}

// Names in a store may hold any bytes.
std::string text_of(const nlohmann::json& value, int indent = -1) {
    return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

accepted words_of(const store_args& a) {
    return {a.accept.begin(), a.accept.end()};
}

rollout_options options_of(const store_args& a) {
    rollout_options how;
    how.words = words_of(a);
    if (a.steps)
        how.on_step = [](const std::string& name) { print_line(stderr, "{}", name); };
    return how;
}

// The journal outlives this directory: whole paths.
std::string whole_path(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
}

std::vector<link_spec> links_of(const store_args& a) {
    std::vector<link_spec> out;
    for (const auto* list : {&a.links, &a.attach})
        for (const std::string& text : *list) {
            const size_t equals = text.rfind('=');
            const bool named = equals != std::string::npos;
            out.push_back({whole_path(text.substr(0, equals)),
                           named ? text.substr(equals + 1) : std::string(), list == &a.attach});
        }
    return out;
}

// A key by its name or its number.
Result<uint16_t> key_of(const rr::store::store& in, const std::string& text) {
    if (auto found = in.find(text))
        return found;
    char* end = nullptr;
    const unsigned long id = std::strtoul(text.c_str(), &end, 10);
    if (!text.empty() && *end == '\0' && id < KV_KEYS_MAX)
        return static_cast<uint16_t>(id);
    return with_hint(fail(ENOENT, "there is no key {}", text), "ringraid store dump lists them");
}

int print_report(const context& ctx, const char* verb, const rollout_report& r, uint64_t load_ns) {
    const bool blocked = std::any_of(r.keys.begin(), r.keys.end(),
                                     [](const key_diff& d) { return !d.blocked.empty(); });
    if (ctx.json) {
        nlohmann::json out = ok_json();
        out.update(report_json(r));
        out["load_ns"] = load_ns;
        out["blocked"] = blocked;
        out["ok"] = !blocked;
        print_json(out);
        return blocked ? 1 : 0;
    }
    print_changes(diff_json(r.keys));
    if (blocked)
        return 1;
    for (const std::string& k : r.kept_old)
        print_line(stdout, "kept as it was before: {}", k);
    fmt::print("{} version {} to {}: {} values, {} bytes", verb, r.from_version, r.to_version,
               r.values, r.bytes);
    if (r.pause_ns != 0)
        fmt::print(", programs paused for {:.3f} ms", static_cast<double>(r.pause_ns) / 1e6);
    fmt::print("\n");
    return 0;
}

Result<manifest> object_manifest(const std::string& path, bytes& file) {
    auto read = read_file(path);
    if (!read)
        return forward_error(read.error());
    file = std::move(*read);
    return manifest_of_object(file);
}

int run_init(const context& ctx, const store_args& a) {
    bytes file;
    auto m = object_manifest(a.object, file);
    if (!m)
        return fail_with(ctx, m.error());
    auto made = rr::store::store::create(*m, a.pin);
    if (!made)
        return fail_with(ctx, made.error());
    return done(ctx, fmt::format("{}: version {} of {}, {} keys", a.pin, m->version, m->program,
                                 m->keys.size()));
}

int run_bake(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin, true);
    if (!in)
        return fail_with(ctx, in.error());
    auto file = read_file(a.object);
    if (!file)
        return fail_with(ctx, file.error());
    auto baked = bake_for(*in, *file);
    if (!baked)
        return fail_with(ctx, baked.error());
    std::ofstream out(a.file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(baked->data()),
              static_cast<std::streamsize>(baked->size()));
    out.close();
    if (!out)
        return fail_with(ctx, {EIO, fmt::format("cannot write {}", a.file), "choose another path"});
    return done(ctx, fmt::format("{}: load it with its map {} pinned at {}", a.file,
                                 KV_SECTION_AREA, a.pin));
}

nlohmann::json dump_key(const rr::store::store& in, const manifest& m, const key_entry& k) {
    nlohmann::json j = {{"id", k.id},
                        {"name", k.name},
                        {"type", k.dynamic ? "bytes" : type_name(m.type(k))},
                        {"hash", fmt::format("{:016x}", k.hash)},
                        {"size", k.size},
                        {"align", k.dynamic ? 1 : type_align(m.type(k))},
                        {"sync", sync_name(k.sync)},
                        {"persist", persist_name(k.persist)},
                        {"home", k.home == KV_HOME_TASK ? "task" : "array"},
                        {"default", value_json(m, k, k.initial)}};
    if (k.ranged)
        j["range"] = {k.min, k.max};
    for (const auto& [name, text] : {std::pair{"was", &k.was}, {"up", &k.up}, {"down", &k.down}})
        if (!text->empty())
            j[name] = *text;
    if (k.home == KV_HOME_TASK)
        return j;
    auto value = in.get(k.id);
    if (!value && value.error().err == EBUSY) {
        value = in.get(k.id, access::racy);
        j["racy"] = true;  // its owner may be writing it
    }
    if (value)
        j["value"] = value_json(m, k, *value);
    else
        j["error"] = describe(value.error());
    return j;
}

int run_dump(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin, !a.pause);
    if (!in)
        return fail_with(ctx, in.error());
    auto m = in->describe();
    if (!m)
        return fail_with(ctx, m.error());
    std::optional<rr::store::store::pause> paused;
    if (a.pause) {
        auto shut = in->shut_gate();
        if (!shut)
            return fail_with(ctx, shut.error());
        paused.emplace(std::move(*shut));
    }
    nlohmann::json keys = nlohmann::json::array();
    for (const key_entry& k : m->keys)
        keys.push_back(dump_key(*in, *m, k));
    paused.reset();
    const uint64_t state = in->at().state();
    nlohmann::json out = {{"schema", export_schema},
                          {"program", m->program},
                          {"version", m->version},
                          {"uuid", in->at().uuid()},
                          {"state", phase_name(kv_state_phase(state))},
                          {"generation", kv_state_generation(state)},
                          {"bank", kv_state_active(state)},
                          {"pages_used", in->pages_used()},
                          {"pages", in->at().pages()},
                          {"fragmentation_percent", fragmentation(*in)},
                          {"keys", keys}};
    if (ctx.json) {
        print_json(out);
        return 0;
    }
    print_line(stdout, "{} version {}, {}, {} of {} pages, {} % gaps", m->program, m->version,
               phase_name(kv_state_phase(state)), in->pages_used(), in->at().pages(),
               fragmentation(*in));
    for (const nlohmann::json& k : keys)
        print_line(stdout, "{:>5}  {:<20} {:<16} {:<6} {:<8} {}{}", k["id"].get<int>(),
                   k["name"].get<std::string>(), k["type"].get<std::string>(),
                   k["sync"].get<std::string>(), k["persist"].get<std::string>(),
                   k.contains("value")   ? text_of(k["value"])
                   : k.contains("error") ? k["error"].get<std::string>()
                                         : "(in each task)",
                   k.contains("racy") ? "  (may be torn)" : "");
    return 0;
}

int run_get(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin, !a.pause);
    if (!in)
        return fail_with(ctx, in.error());
    auto id = key_of(*in, a.key);
    if (!id)
        return fail_with(ctx, id.error());
    auto m = in->describe();
    if (!m)
        return fail_with(ctx, m.error());
    const key_entry* k = m->find(*id);
    std::optional<rr::store::store::pause> paused;
    if (a.pause) {
        auto shut = in->shut_gate();
        if (!shut)
            return fail_with(ctx, shut.error());
        paused.emplace(std::move(*shut));
    }
    auto value = in->get(*id);
    paused.reset();
    if (!value || k == nullptr)
        return fail_with(ctx, value ? Error{ENOENT, "the key is gone", ""} : value.error());
    const nlohmann::json j = value_json(*m, *k, *value);
    if (ctx.json) {
        nlohmann::json out = ok_json();
        out["id"] = *id;
        out["name"] = k->name;
        out["value"] = j;
        print_json(out);
    } else {
        print_line(stdout, "{}", j.is_string() ? j.get<std::string>() : text_of(j));
    }
    return 0;
}

// JSON, or text that needs no quotes.
nlohmann::json parse_value(const std::string& text) {
    nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
    return j.is_discarded() ? nlohmann::json(text) : j;
}

int run_set(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    auto id = key_of(*in, a.key);
    if (!id)
        return fail_with(ctx, id.error());
    auto m = in->describe();
    if (!m)
        return fail_with(ctx, m.error());
    const key_entry* k = m->find(*id);
    if (k == nullptr)
        return fail_with(ctx, {ENOENT, fmt::format("there is no key {}", a.key),
                               "ringraid store make makes one"});
    std::optional<rr::store::store::pause> paused;
    if (a.pause) {
        auto shut = in->shut_gate();
        if (!shut)
            return fail_with(ctx, shut.error());
        paused.emplace(std::move(*shut));
    }
    const access who = a.parked ? access::owner : access::outside;
    // Members that are not named keep their values.
    auto now = in->get(*id, access::racy);
    if (!now)
        return fail_with(ctx, now.error());
    bytes value = *now;
    if (k->dynamic) {
        auto hex = from_hex(a.value);
        if (!hex)
            return fail_with(ctx, hex.error());
        value = *hex;
    } else if (Status ok = from_json(m->type(*k), parse_value(a.value), value); !ok) {
        return fail_with(ctx, ok.error());
    }
    if (Status ok = in->put(*id, value, who); !ok)
        return fail_with(ctx, ok.error());
    return done(ctx, fmt::format("{} = {}", k->name.empty() ? a.key : k->name,
                                 text_of(value_json(*m, *k, value))));
}

int run_make(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    auto value = from_hex(a.value);
    if (!value)
        return fail_with(ctx, value.error());
    auto id = in->free_id();
    if (!id)
        return fail_with(ctx, id.error());
    const uint32_t sync = a.seq ? KV_SYNC_SEQ : a.atomic ? KV_SYNC_ATOMIC : KV_SYNC_OWNER;
    if (Status ok = in->make(*id, a.key, sync, *value); !ok)
        return fail_with(ctx, ok.error());
    return done(ctx, fmt::format("{} is key {}", a.key, *id));
}

int run_delete(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    auto id = key_of(*in, a.key);
    if (!id)
        return fail_with(ctx, id.error());
    if (Status ok = in->remove(*id); !ok)
        return fail_with(ctx, ok.error());
    return done(ctx, fmt::format("key {} is gone", *id));
}

int run_diff(const context& ctx, const store_args& a) {
    bytes file;
    auto to = object_manifest(a.object, file);
    if (!to)
        return fail_with(ctx, to.error());
    // Between two objects, or from a store to an object.
    bytes other;
    auto from = object_manifest(a.pin, other);
    if (!from) {
        auto in = rr::store::store::open(a.pin, true);
        if (!in)
            return fail_with(ctx, in.error());
        from = in->describe();
        if (!from)
            return fail_with(ctx, from.error());
    }
    const manifest_diff diff = diff_manifests(*from, *to, words_of(a));
    if (ctx.json) {
        nlohmann::json out = ok_json();
        out["from_version"] = diff.from_version;
        out["to_version"] = diff.to_version;
        out["blocked"] = diff.blocked();
        out["keys"] = diff_json(diff.keys);
        print_json(out);
    } else {
        print_changes(diff_json(diff.keys));
    }
    return diff.blocked() ? 1 : 0;
}

int run_plan(const context& ctx, const store_args& a, bool really) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    bytes file;
    auto to = object_manifest(a.object, file);
    if (!to)
        return fail_with(ctx, to.error());
    parked_host host(whole_path(a.pin), file, links_of(a), in->at());
    host.parked = a.parked;
    auto report =
        really ? apply(*in, *to, host, options_of(a)) : plan(*in, *to, &host, options_of(a));
    if (!report)
        return fail_with(ctx, report.error());
    return print_report(ctx, really ? "applied" : "would apply", *report, host.load_ns());
}

int run_compact(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    auto m = in->describe();
    if (!m)
        return fail_with(ctx, m.error());
    const bool declared =
        std::any_of(m->keys.begin(), m->keys.end(), [](const key_entry& k) { return !k.dynamic; });
    if (declared && a.object.empty())
        return fail_with(ctx, {EINVAL, "the program's keys move, so it must be loaded anew",
                               "give its object file and its links"});
    bytes file;
    if (!a.object.empty()) {
        auto same = object_manifest(a.object, file);
        if (!same)
            return fail_with(ctx, same.error());
        if (same->hash() != m->hash())
            return fail_with(
                ctx, {EINVAL, "the object is of another version than the store", "use apply"});
    }
    parked_host host(whole_path(a.pin), file, links_of(a), in->at());
    host.parked = a.parked;
    auto report = compact(*in, host, options_of(a));
    if (!report)
        return fail_with(ctx, report.error());
    return print_report(ctx, "compacted", *report, host.load_ns());
}

int run_rollback(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    parked_host host(whole_path(a.pin));
    host.parked = a.parked;
    auto report = rollback(*in, host, options_of(a));
    if (!report)
        return fail_with(ctx, report.error());
    return print_report(ctx, "rolled back", *report, 0);
}

int run_commit(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    bpf_host host(whole_path(a.pin));
    if (Status ok = commit(*in, host, options_of(a)); !ok)
        return fail_with(ctx, ok.error());
    return done(ctx, "committed");
}

int run_recover(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    bpf_host host(whole_path(a.pin));
    auto found = recover(*in, host);
    if (!found)
        return fail_with(ctx, found.error());
    if (ctx.json) {
        nlohmann::json out = ok_json();
        out["state"] = found->state == whole::old_state   ? "old"
                       : found->state == whole::new_state ? "new"
                                                          : "settled";
        out["result"] = found->sentence;
        print_json(out);
        return 0;
    }
    return done(ctx, found->sentence);
}

int run_verify(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin, true);
    if (!in)
        return fail_with(ctx, in.error());
    if (Status ok = verify(*in); !ok)
        return fail_with(ctx, ok.error());
    return done(ctx, "the store holds together");
}

int run_export(const context& ctx, const store_args& a) {
    auto in = rr::store::store::open(a.pin, !a.pause);
    if (!in)
        return fail_with(ctx, in.error());
    std::optional<rr::store::store::pause> paused;
    if (a.pause) {
        auto shut = in->shut_gate();
        if (!shut)
            return fail_with(ctx, shut.error());
        paused.emplace(std::move(*shut));
    }
    auto out = export_store(*in, a.parked ? access::owner : access::outside);
    paused.reset();
    if (!out)
        return fail_with(ctx, out.error());
    if (a.file.empty()) {
        print_json(*out);
        return 0;
    }
    std::ofstream to(a.file, std::ios::trunc);
    to << text_of(*out, 2) << "\n";
    to.close();
    if (!to)
        return fail_with(ctx, {EIO, fmt::format("cannot write {}", a.file), "choose another path"});
    return done(ctx, fmt::format("{} keys in {}", (*out)["keys"].size(), a.file));
}

int run_import(const context& ctx, const store_args& a) {
    auto file = read_file(a.file);
    if (!file)
        return fail_with(ctx, file.error());
    const nlohmann::json from = nlohmann::json::parse(file->begin(), file->end(), nullptr, false);
    if (from.is_discarded())
        return fail_with(ctx, {EBADMSG, fmt::format("{} is not JSON", a.file), "give an export"});
    auto in = rr::store::store::open(a.pin);
    if (!in)
        return fail_with(ctx, in.error());
    std::optional<rr::store::store::pause> paused;
    if (a.pause) {
        auto shut = in->shut_gate();
        if (!shut)
            return fail_with(ctx, shut.error());
        paused.emplace(std::move(*shut));
    }
    auto report = import_store(*in, from, words_of(a), a.parked ? access::owner : access::outside);
    paused.reset();
    if (!report)
        return fail_with(ctx, report.error());
    return print_report(ctx, "imported", *report, 0);
}

}  // namespace

void add_store(CLI::App& app, context& ctx) {
    CLI::App* top = app.add_subcommand("store", "state that outlives BPF programs");
    top->require_subcommand(1);
    top->fallthrough();
    auto args = std::make_shared<store_args>();
    auto command = [&](const char* name, const char* what, auto run) {
        CLI::App* c = top->add_subcommand(name, what);
        c->fallthrough();
        c->add_option("STORE", args->pin, "the store's pin, in a bpffs")->required();
        c->callback([&ctx, args, run] { ctx.run = [&ctx, args, run] { return run(ctx, *args); }; });
        return c;
    };
    auto object = [&](CLI::App* c) {
        return c->add_option("OBJECT", args->object, "a BPF object file");
    };
    auto key = [&](CLI::App* c) { c->add_option("KEY", args->key, "name or number")->required(); };
    auto pause = [&](CLI::App* c) {
        c->add_flag("--pause", args->pause, "shut the gate meanwhile: programs skip their work");
    };
    auto parked = [&](CLI::App* c) {
        c->add_flag("--parked", args->parked, "I say that no program uses the store now");
    };
    auto accept = [&](CLI::App* c) {
        c->add_option("--accept", args->accept, "lose what of this key must be lost; * for all");
    };
    auto roll = [&](CLI::App* c) {
        c->add_option("--link", args->links,
                      "a pinned link that gets the new program: PIN[=PROGRAM]");
        c->add_option("--attach", args->attach, "a new link for a new program: PIN=PROGRAM");
        c->add_flag("--steps", args->steps, "say what is being done");
        parked(c);
        accept(c);
    };

    object(command("init", "make a store for a program", run_init))->required();
    CLI::App* bake = command("bake", "resolve an object's keys, for other loaders", run_bake);
    object(bake)->required();
    bake->add_option("-o,--output", args->file, "the object to write")->required();
    pause(command("dump", "all keys and values", run_dump));
    CLI::App* get = command("get", "one value", run_get);
    key(get);
    pause(get);
    CLI::App* set = command("set", "change a value (JSON, by its type)", run_set);
    key(set);
    set->add_option("VALUE", args->value, "JSON; hexadecimal bytes for a key made at run time")
        ->required();
    pause(set);
    parked(set);
    CLI::App* make = command("make", "make a key at run time", run_make);
    key(make);
    make->add_option("BYTES", args->value, "hexadecimal")->required();
    make->add_flag("--seq", args->seq, "shared by several writers");
    make->add_flag("--atomic", args->atomic, "one word, shared");
    key(command("delete", "delete a key that was made at run time", run_delete));
    CLI::App* diff = command("diff", "what a version of the program would change", run_diff);
    object(diff)->required();
    accept(diff);
    CLI::App* dry =
        command("plan", "try an apply on a copy",
                [](const context& c, const store_args& a) { return run_plan(c, a, false); });
    object(dry)->required();
    roll(dry);
    CLI::App* real =
        command("apply", "move to a new version of the program",
                [](const context& c, const store_args& a) { return run_plan(c, a, true); });
    object(real)->required();
    roll(real);
    CLI::App* pack = command("compact", "close the gaps", run_compact);
    object(pack);
    roll(pack);
    roll(command("rollback", "go back to the version before", run_rollback));
    command("commit", "keep the new version", run_commit);
    command("recover", "end what was cut off, and say what holds", run_recover);
    command("verify", "check that the store holds together", run_verify);
    CLI::App* out = command("export", "write all of it as JSON", run_export);
    out->add_option("FILE", args->file, "standard output by default");
    pause(out);
    parked(out);
    CLI::App* into = command("import", "read an export, of this or another version", run_import);
    into->add_option("FILE", args->file, "an export")->required();
    pause(into);
    parked(into);
    accept(into);
}

}  // namespace rr::cli
