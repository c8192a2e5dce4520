// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/io.h"
#include "base/private_directory.h"
#include "base/process.h"
#include "service/places.h"

namespace rr {
namespace {

constexpr const char* finished = ".json";
constexpr const char* unfinished = ".json.new";

nlohmann::json to_json(const export_record& record) {
    return {{"spec", to_json(record.spec)},
            {"block_device", record.block_device},
            {"hosts", record.hosts},
            {"pid", record.process.pid},
            {"started", record.process.started},
            {"whole", record.whole},
            {"boot", boot_id()}};
}

std::optional<export_record> of_json(const nlohmann::json& from) {
    export_record out;
    try {
        auto spec = export_of_json(from.at("spec"));
        if (!spec || from.at("boot") != boot_id())
            return std::nullopt;
        out.spec = std::move(*spec);
        from.at("block_device").get_to(out.block_device);
        from.at("hosts").get_to(out.hosts);
        from.at("pid").get_to(out.process.pid);
        from.at("started").get_to(out.process.started);
        from.at("whole").get_to(out.whole);
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
    return out;
}

// Nobody else writes while the lock is held: who began these was killed.
void remove_unfinished(const std::string& directory) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
        if (entry.path().string().ends_with(unfinished))
            std::filesystem::remove(entry.path(), none);
    }
}

}  // namespace

std::string export_records::path(const std::string& name) const {
    return fmt::format("{}/{}{}", directory_, name, finished);
}

std::string export_records::pid_file(const std::string& name) const {
    return fmt::format("{}/{}.pid", directory_, name);
}

Result<Fd> export_records::lock() const {
    if (Status ok = make_private_directory(directory_); !ok)
        return forward_error(ok.error());
    const std::string name = directory_ + "/lock";
    Fd out(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out)
        return fail(errno, "cannot open {}", name);
    while (::flock(out.get(), LOCK_EX) != 0) {
        if (errno != EINTR)
            return fail(errno, "cannot lock {}", name);
    }
    remove_unfinished(directory_);
    return out;
}

Status export_records::write(const export_record& record) const {
    const std::string to = path(record.spec.name);
    const std::string fresh = fmt::format("{}/{}{}", directory_, record.spec.name, unfinished);
    const std::string text = to_line(to_json(record), 2) + '\n';
    Status ok = write_file(fresh, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    if (ok && ::rename(fresh.c_str(), to.c_str()) != 0)
        ok = fail(errno, "cannot write {}", to);
    return ok;
}

std::optional<export_record> export_records::read(const std::string& name) const {
    auto json = read_json(path(name));
    auto out = json ? of_json(*json) : std::nullopt;
    return out && out->spec.name == name ? out : std::nullopt;
}

std::vector<export_record> export_records::all() const {
    std::vector<export_record> out;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
        if (entry.path().extension() != finished)
            continue;
        if (auto one = read(entry.path().stem().string()))
            out.push_back(std::move(*one));
    }
    std::ranges::sort(out, {}, [](const export_record& r) { return r.spec.name; });
    return out;
}

void export_records::remove(const std::string& name) const {
    ::unlink(pid_file(name).c_str());
    ::unlink(path(name).c_str());
}

}  // namespace rr
