// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/export.h"

#include <cerrno>
#include <map>

namespace rr::store {
namespace {

nlohmann::json key_json(const manifest& m, const key_entry& k) {
    return {{"id", k.id},
            {"name", k.name},
            {"type", k.dynamic ? "bytes" : type_name(m.type(k))},
            {"type_id", k.type_id},
            {"hash", fmt::format("{:016x}", k.hash)},
            {"size", k.size},
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
    out.m.version = from.at("version").get<uint32_t>();
    for (const nlohmann::json& j : from.at("keys")) {
        key_entry k;
        k.id = j.at("id").get<uint16_t>();
        k.name = j.at("name").get<std::string>();
        k.type_id = j.at("type_id").get<uint32_t>();
        k.hash = std::stoull(j.at("hash").get<std::string>(), nullptr, 16);
        k.size = j.at("size").get<uint32_t>();
        k.sync = j.at("sync").get<uint32_t>();
        k.persist = j.at("persist").get<uint32_t>();
        k.home = j.at("home").get<uint32_t>();
        k.dynamic = j.at("dynamic").get<bool>();
        k.ranged = j.at("ranged").get<bool>();
        k.min = j.at("min").get<int64_t>();
        k.max = j.at("max").get<int64_t>();
        k.sem = j.at("sem").get<uint32_t>();
        auto initial = from_hex(j.at("default").get<std::string>());
        if (!initial)
            return forward_error(initial.error());
        k.initial = *initial;
        if (j.contains("raw")) {
            auto raw = from_hex(j.at("raw").get<std::string>());
            if (!raw)
                return forward_error(raw.error());
            if (raw->size() != k.size)
                return fail(EMSGSIZE, "key {} has {} bytes, its value {}", k.name, k.size,
                            raw->size());
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
            return fail(EINVAL, "{} is not hexadecimal", text.substr(i, 2));
        out.push_back(static_cast<uint8_t>(high << 4 | low));
    }
    if (text.size() % 2 != 0)
        return fail(EINVAL, "hexadecimal bytes have two digits each");
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

Result<rollout_report> import_store(const store& in, const nlohmann::json& from,
                                    const accepted& words, access who) {
    auto source = parse(from);
    if (!source)
        return forward_error(source.error());
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
    rollout_report report;
    report.from_version = source->m.version;
    report.to_version = here->version;
    std::map<uint16_t, bytes> fresh;
    for (const key_diff& d : diff.keys) {
        key_diff listed = d;
        listed.from = listed.to = nullptr;
        report.keys.push_back(listed);
        if (d.to == nullptr || d.from == nullptr || d.to->home != KV_HOME_ARRAY || d.keep_default)
            continue;
        const auto value = source->values.find(d.from->id);
        if (value == source->values.end())
            continue;
        if (!d.converter.empty())
            return with_hint(fail(ENOTSUP, "key {} needs the converter {}()", d.name, d.converter),
                             "import into the exported version, then apply the newer one");
        bytes made = d.to->initial;
        if (Status ok =
                convert(source->m.type(*d.from), value->second, here->type(*d.to), made, d.lossy);
            !ok)
            return forward_error(ok.error());
        if (Status ok = check_range(*here, *d.to, made); !ok)
            return forward_error(ok.error());
        fresh[d.to->id] = std::move(made);
    }
    for (const auto& [id, value] : fresh) {
        if (Status ok = in.put(id, value, who); !ok)
            return forward_error(ok.error());
        report.values++;
        report.bytes += value.size();
    }
    for (const key_entry& k : source->m.keys) {
        if (!k.dynamic || declared.find(k.id) != nullptr)
            continue;
        const key_entry* same = here->find(k.id);
        if (same != nullptr && (same->size != k.size || same->name != k.name))
            if (Status ok = in.remove(k.id); !ok)
                return forward_error(ok.error());
        const Status ok = same != nullptr && same->size == k.size && same->name == k.name
                              ? in.put(k.id, source->values[k.id], who)
                              : in.make(k.id, k.name, k.sync, source->values[k.id]);
        if (!ok)
            return forward_error(ok.error());
        report.values++;
        report.bytes += k.size;
    }
    return report;
}

}  // namespace rr::store
