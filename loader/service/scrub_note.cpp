// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/scrub_note.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/io.h"
#include "base/log.h"
#include "base/private_directory.h"
#include "service/places.h"
#include "service/report.h"

namespace rr {
namespace {

// Numbers of anybody's file.
class numbers {
public:
    explicit numbers(const nlohmann::json& json) : json_(json) {}

    uint64_t of(const char* key) {
        auto at = json_.find(key);
        if (at != json_.end() && at->is_number_unsigned())
            return at->get<uint64_t>();
        whole_ = false;
        return 0;
    }
    std::vector<uint64_t> list(const char* key, size_t most) {
        std::vector<uint64_t> out;
        auto at = json_.find(key);
        whole_ = whole_ && at != json_.end() && at->is_array() && at->size() <= most;
        if (!whole_)
            return out;
        for (const nlohmann::json& one : *at) {
            whole_ = whole_ && one.is_number_unsigned();
            out.push_back(whole_ ? one.get<uint64_t>() : 0);
        }
        return out;
    }
    [[nodiscard]] bool whole() const { return whole_; }

private:
    const nlohmann::json& json_;
    bool whole_ = true;
};

bool says(const nlohmann::json& json, const char* key, const std::string& text) {
    auto at = json.find(key);
    return at != json.end() && at->is_string() && at->get<std::string>() == text;
}

// A power cut leaves the old one or the new one.
Status write_durably(const std::string& path, const std::string& text) {
    if (Status ok = make_private_directory(std::filesystem::path(path).parent_path()); !ok)
        return ok;
    const std::string next = path + ".new";
    Status written = write_file(next, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    const Fd file(written ? ::open(next.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1);
    if (written)
        written = file ? sync_data(file.get()) : Status(fail(errno, "cannot open {}", next));
    if (written && ::rename(next.c_str(), path.c_str()) != 0)
        written = fail(errno, "cannot write {}", path);
    if (!written)
        ::unlink(next.c_str());
    return written;
}

Status remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
        return fail(errno, "cannot remove {}", path);
    return {};
}

}  // namespace

nlohmann::json to_json(const scrub_note& note, const md::uuid& set_uuid) {
    return {{"schema", json_schema},
            {"uuid", md::to_string(set_uuid)},
            {"kind", note.kind == RR_JOB_REPAIR ? "repair" : "check"},
            {"from_sector", note.from},
            {"reached_sector", note.reached},
            {"to_sector", note.to},
            {"wrong_rows", note.wrong_rows},
            {"wrong", note.wrong},
            {"unreadable_cells", note.unreadable_cells},
            {"mended_cells", note.mended}};
}

std::optional<scrub_note> note_of(const nlohmann::json& json, const md::uuid& set_uuid) {
    const bool repair = says(json, "kind", "repair");
    if (!json.is_object() || !says(json, "uuid", md::to_string(set_uuid)) ||
        !(repair || says(json, "kind", "check")))
        return std::nullopt;
    numbers in(json);
    scrub_note note;
    note.kind = repair ? RR_JOB_REPAIR : RR_JOB_CHECK;
    note.from = in.of("from_sector");
    note.reached = in.of("reached_sector");
    note.to = in.of("to_sector");
    note.wrong_rows = in.of("wrong_rows");
    note.unreadable_cells = in.of("unreadable_cells");
    note.wrong = in.list("wrong", RR_JOB_NOTES);
    const std::vector<uint64_t> mended = in.list("mended_cells", note.mended.size());
    std::ranges::copy(mended, note.mended.begin());
    const bool sound = in.whole() && in.of("schema") == json_schema && note.from <= note.reached &&
                       note.reached < note.to && note.wrong.size() <= note.wrong_rows &&
                       (note.wrong.size() == note.wrong_rows || note.wrong.size() == RR_JOB_NOTES);
    return sound ? std::optional(note) : std::nullopt;
}

scrub_notes::scrub_notes(std::string path, const md::uuid& set_uuid)
    : path_(std::move(path)), set_uuid_(set_uuid) {}

std::optional<scrub_note> scrub_notes::read() const {
    if (!check_private_directory(std::filesystem::path(path_).parent_path()))
        return std::nullopt;
    auto json = read_json(path_);
    return json ? note_of(*json, set_uuid_) : std::nullopt;
}

void scrub_notes::keep(const std::optional<scrub_note>& note) {
    const std::string text = note ? to_line(to_json(*note, set_uuid_)) + '\n' : "";
    (void)scribe_.post([path = path_, text, lost = lost_] {
        Status kept = text.empty() ? remove_file(path) : write_durably(path, text);
        if (!lost->exchange(!kept) && !kept)
            log_error("how far a check is cannot be kept: {}", describe(kept.error()));
    });
}

}  // namespace rr
