// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/export.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace rr::store {
namespace {

nlohmann::json key_json(const manifest& m, const key_entry& k) {
    return {{"id", k.id},
            {"name", k.name},
            {"type", k.dynamic ? "bytes" : type_name(m.type(k))},
            {"type_id", k.type_id},
            {"hash", fmt::format("{:016x}", k.hash)},
            {"size", k.size},
            {"align", k.dynamic ? 1 : type_align(m.type(k))},
            {"sync", k.sync},
            {"persist", k.persist},
            {"home", k.home},
            {"dynamic", k.dynamic},
            {"ranged", k.ranged},
            {"min", k.min},
            {"max", k.max},
            {"sem", k.sem},
            {"default", to_hex(k.initial)}};
}

struct imported {
    manifest m;
    std::map<uint16_t, bytes> values;
};

// The library cuts numbers that do not fit; here they are damage.
template <typename T>
T number_at(const nlohmann::json& from, const char* name) {
    const nlohmann::json& j = from.at(name);
    if (!j.is_number_integer() || (j.is_number_unsigned() ? !std::in_range<T>(j.get<uint64_t>())
                                                          : !std::in_range<T>(j.get<int64_t>())))
        throw std::out_of_range(fmt::format("{} is not a number that fits", name));
    return j.get<T>();
}

// The library throws on what is not there or of another type.
Result<imported> parse(const nlohmann::json& from) try {
    imported out;
    if (from.at("kind") != "ringraid-store" || from.at("schema") != export_schema)
        return with_hint(fail(EPROTONOSUPPORT, "the file is not an export of this version"),
                         "export again with the ringraid that made it");
    auto types = from_hex(from.at("types").get<std::string>());
    if (!types)
        return forward_error(types.error());
    auto set = type_set::parse(*types);
    if (!set)
        return forward_error(set.error());
    out.m.types = *set;
    out.m.program = from.at("program").get<std::string>();
    out.m.version = number_at<uint32_t>(from, "version");
    for (const nlohmann::json& j : from.at("keys")) {
        key_entry k;
        k.id = number_at<uint16_t>(j, "id");
        k.name = j.at("name").get<std::string>();
        k.type_id = number_at<uint32_t>(j, "type_id");
        k.hash = std::stoull(j.at("hash").get<std::string>(), nullptr, 16);
        k.size = number_at<uint32_t>(j, "size");
        k.sync = number_at<uint32_t>(j, "sync");
        k.persist = number_at<uint32_t>(j, "persist");
        k.home = number_at<uint32_t>(j, "home");
        k.dynamic = j.at("dynamic").get<bool>();
        k.ranged = j.at("ranged").get<bool>();
        k.min = number_at<int64_t>(j, "min");
        k.max = number_at<int64_t>(j, "max");
        k.sem = number_at<uint32_t>(j, "sem");
        auto initial = from_hex(j.at("default").get<std::string>());
        if (!initial)
            return forward_error(initial.error());
        k.initial = *initial;
        if (j.contains("raw")) {
            auto raw = from_hex(j.at("raw").get<std::string>());
            if (!raw)
                return forward_error(raw.error());
            if (raw->size() != k.size)
                return with_hint(fail(EMSGSIZE, "key {} has {} bytes, its value {}", k.name, k.size,
                                      raw->size()),
                                 "export again, or mend the file");
            out.values[k.id] = *raw;
        }
        out.m.keys.push_back(std::move(k));
    }
    if (Status ok = check_manifest(out.m); !ok)
        return forward_error(ok.error());
    return out;
} catch (const std::exception& e) {
    return with_hint(fail(EBADMSG, "the export is damaged: {}", e.what()),
                     "export again, or mend the file");
}

}  // namespace

nlohmann::json diff_json(const std::vector<key_diff>& keys) {
    nlohmann::json out = nlohmann::json::array();
    for (const key_diff& d : keys)
        out.push_back({{"id", d.id},
                       {"name", d.name},
                       {"change", d.kind},
                       {"notes", d.notes},
                       {"blocked", d.blocked}});
    return out;
}

nlohmann::json report_json(const rollout_report& report) {
    return {{"from_version", report.from_version},
            {"to_version", report.to_version},
            {"generation", report.generation},
            {"keys", diff_json(report.keys)},
            {"kept_old", report.kept_old},
            {"values", report.values},
            {"bytes", report.bytes},
            {"pause_ns", report.pause_ns}};
}

std::string to_hex(const_bytes data) {
    std::string out;
    for (uint8_t b : data)
        out += fmt::format("{:02x}", b);
    return out;
}

Result<bytes> from_hex(const std::string& text) {
    bytes out;
    auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return with_hint(fail(EINVAL, "{} is not hexadecimal", text.substr(i, 2)),
                             "write bytes as two digits each");
        out.push_back(static_cast<uint8_t>(high << 4 | low));
    }
    if (text.size() % 2 != 0)
        return with_hint(fail(EINVAL, "hexadecimal bytes have two digits each"), "write 0 as 00");
    return out;
}

nlohmann::json value_json(const manifest& m, const key_entry& key, const_bytes value) {
    return key.dynamic ? nlohmann::json(to_hex(value)) : to_json(m.type(key), value);
}

Result<nlohmann::json> export_store(const store& in, access who) {
    auto m = in.describe();
    if (!m)
        return forward_error(m.error());
    nlohmann::json out = {{"schema", export_schema},        {"kind", "ringraid-store"},
                          {"program", m->program},          {"version", m->version},
                          {"uuid", in.at().uuid()},         {"types", to_hex(m->types.raw())},
                          {"keys", nlohmann::json::array()}};
    for (const key_entry& k : m->keys) {
        nlohmann::json j = key_json(*m, k);
        if (k.home == KV_HOME_ARRAY) {
            auto value = in.get(k.id, who);
            if (!value)
                return forward_error(value.error());
            j["raw"] = to_hex(*value);
            j["value"] = value_json(*m, k, *value);
        }
        out["keys"].push_back(std::move(j));
    }
    return out;
}

namespace {

// What an import will do, all of it checked.
struct import_plan {
    rollout_report report;
    std::map<uint16_t, bytes> fresh;        // keys that the program declares
    std::vector<const key_entry*> dynamic;  // keys made at run time
};

Status plan_values(const imported& source, const manifest& here, const manifest_diff& diff,
                   import_plan& out) {
    for (const key_diff& d : diff.keys) {
        out.report.keys.push_back(d);
        out.report.keys.back().from = out.report.keys.back().to = nullptr;
        if (d.to == nullptr || d.from == nullptr || d.to->home != KV_HOME_ARRAY || d.keep_default)
            continue;
        const auto value = source.values.find(d.from->id);
        if (value == source.values.end())
            continue;
        if (!d.converter.empty())
            return with_hint(fail(ENOTSUP, "key {} needs the converter {}()", d.name, d.converter),
                             "import into the exported version, then apply the newer one");
        bytes made = d.to->initial;
        if (Status ok =
                convert(source.m.type(*d.from), value->second, here.type(*d.to), made, d.lossy);
            !ok)
            return ok;
        if (Status ok = check_range(here, *d.to, made); !ok)
            return ok;
        out.fresh[d.to->id] = std::move(made);
    }
    return {};
}

bool takes_value(const key_entry& there, const key_entry& k) {
    return there.dynamic && there.size == k.size && there.name == k.name && there.sync == k.sync;
}

Status plan_dynamic(const imported& source, const manifest& here, import_plan& out) {
    for (const key_entry& k : source.m.keys) {
        const key_entry* there = here.find(k.id);
        if (!k.dynamic || source.values.count(k.id) == 0 || (there != nullptr && !there->dynamic))
            continue;
        if (there != nullptr && !takes_value(*there, k))
            return with_hint(fail(EEXIST, "key {} was made in the store as another one", k.id),
                             fmt::format("delete it first: ringraid store delete STORE {}", k.id));
        const key_entry* called = here.find(k.name);
        if (there == nullptr && called != nullptr)
            return with_hint(
                fail(EEXIST, "a key is called {}, with the number {}", k.name, called->id),
                "delete it first");
        out.dynamic.push_back(&k);
    }
    return {};
}

// Nobody is refused halfway: keys with an owner are only written in a pause.
Status check_owners(const store& in, const manifest& here, const import_plan& plan, access who) {
    if (who == access::owner || in.at().paused())
        return {};
    for (const key_entry& k : here.keys) {
        const bool wanted = plan.fresh.count(k.id) != 0 ||
                            std::any_of(plan.dynamic.begin(), plan.dynamic.end(),
                                        [&](const key_entry* d) { return d->id == k.id; });
        if (wanted && k.sync == KV_SYNC_OWNER)
            return with_hint(fail(EBUSY, "key {} is written by its owner only", k.name),
                             "pause the program (--pause)");
    }
    return {};
}

// Keys that do not fit are the last thing that can fail: before any value is
// written, and those that were made are taken back.
Status make_keys(const store& in, const manifest& here, const imported& source,
                 const import_plan& plan) {
    std::vector<uint16_t> made;
    for (const key_entry* k : plan.dynamic) {
        if (here.find(k->id) != nullptr)
            continue;
        if (Status ok = in.make(k->id, k->name, k->sync, source.values.at(k->id)); !ok) {
            for (const uint16_t id : made)
                (void)in.remove(id);
            return ok;
        }
        made.push_back(k->id);
    }
    return {};
}

Result<rollout_report> write_values(const store& in, const manifest& here, const imported& source,
                                    import_plan& plan, access who) {
    if (Status ok = make_keys(in, here, source, plan); !ok)
        return forward_error(ok.error());
    for (const key_entry* k : plan.dynamic)
        if (here.find(k->id) != nullptr)
            plan.fresh[k->id] = source.values.at(k->id);
        else
            plan.report.bytes += k->size;
    plan.report.values = static_cast<uint32_t>(plan.fresh.size() + plan.dynamic.size());
    for (const key_entry* k : plan.dynamic)
        plan.report.values -= here.find(k->id) != nullptr ? 1 : 0;
    for (const auto& [id, value] : plan.fresh) {
        if (Status ok = in.put(id, value, who); !ok)
            return forward_error(ok.error());
        plan.report.bytes += value.size();
    }
    return std::move(plan.report);
}

}  // namespace

Result<rollout_report> import_store(const store& in, const nlohmann::json& from,
                                    const accepted& words, access who) {
    auto source = parse(from);
    if (!source)
        return forward_error(source.error());
    auto lock = store_lock::take(in.at());
    if (!lock)
        return forward_error(lock.error());
    auto here = in.describe();
    if (!here)
        return forward_error(here.error());
    if (source->m.program != here->program)
        return with_hint(fail(EINVAL, "the export is of the program {}, the store of {}",
                              source->m.program, here->program),
                         "import it into a store of its program");
    manifest declared = *here;
    std::erase_if(declared.keys, [](const key_entry& k) { return k.dynamic; });
    const manifest_diff diff = diff_manifests(source->m, declared, words);
    if (Status ok = diff.verdict(); !ok)
        return forward_error(ok.error());
    import_plan plan;
    plan.report.from_version = source->m.version;
    plan.report.to_version = here->version;
    if (Status ok = plan_values(*source, *here, diff, plan); !ok)
        return forward_error(ok.error());
    if (Status ok = plan_dynamic(*source, *here, plan); !ok)
        return forward_error(ok.error());
    if (Status ok = check_owners(in, *here, plan, who); !ok)
        return forward_error(ok.error());
    return write_values(in, *here, *source, plan, who);
}

}  // namespace rr::store
