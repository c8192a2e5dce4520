// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/superblock_report.h"

#include <algorithm>

#include "md/whitelist.h"
#include "ringraid/abi.h"
#include "service/report.h"

namespace rr {
namespace {

constexpr uint32_t bad_block_entry_bytes = 8;

std::string role_text(const md::md_superblock& sb) {
    switch (const uint16_t role = sb.role()) {
        case md::role_spare:
            return "spare";
        case md::role_faulty:
            return "faulty";
        case md::role_journal:
            return "journal";
        default:
            return fmt::format("{} device {}",
                               sb.has(md::feature_replacement) ? "replacement" : "active", role);
    }
}

// A letter for each position: A active, . missing, R being replaced.
std::string array_state(const md::md_superblock& sb) {
    std::string text;
    for (uint32_t role = 0; role < std::min<uint32_t>(sb.raid_disks, md::max_dev_limit); role++) {
        const auto devices = std::ranges::count(sb.dev_roles, static_cast<uint16_t>(role));
        text += devices == 0 ? '.' : devices == 1 ? 'A' : devices == 2 ? 'R' : '?';
    }
    return text;
}

// What is kept beside the data, and how far an unfinished work of md's or ours is.
void add_places(nlohmann::json& out, const md::md_superblock& sb) {
    if (sb.has(md::feature_recovery_offset))
        out["recovery_offset_sectors"] = sb.recovery_offset;
    if (!sb.clean())
        out["resync_offset_sectors"] = sb.resync_offset;
    if (sb.has(md::feature_bitmap))
        out["bitmap_offset_sectors"] = sb.log_place;
    else if ((sb.feature_map & md::ppl_features) != 0)
        out["ppl"] = {{"offset_sectors", static_cast<int16_t>(sb.log_place & 0xffff)},
                      {"sectors", static_cast<uint32_t>(sb.log_place) >> 16}};
    if (sb.bblog_sectors != 0 && sb.bblog_offset != 0)
        out["bad_block_log"] = {
            {"offset_sectors", sb.bblog_offset},
            {"entries", uint32_t{sb.bblog_sectors} * 512 / bad_block_entry_bytes},
            {"bad_blocks", sb.has(md::feature_bad_blocks)}};
}

void add_if(report_lines& lines, const nlohmann::json& m, const char* key) {
    if (m.contains(key))
        lines.emplace_back(key, m[key].is_string() ? m[key].get<std::string>() : m[key].dump());
}

void add_sectors(report_lines& lines, const nlohmann::json& m, const char* name, const char* key) {
    if (m.contains(key))
        lines.emplace_back(name, m[key].dump() + " sectors");
}

}  // namespace

nlohmann::json describe_superblock(const md::md_superblock& sb) {
    auto terms = md::check_servable(sb);
    nlohmann::json out = {{"uuid", md::to_string(sb.set_uuid)},
                          {"name", sb.set_name},
                          {"device_uuid", md::to_string(sb.device_uuid)},
                          {"device_number", sb.dev_number},
                          {"level", sb.level},
                          {"layout", layout_name(sb.layout)},
                          {"chunk_bytes", uint64_t{sb.chunk_sectors} << RR_SECTOR_SHIFT},
                          {"members", sb.raid_disks},
                          {"member_bytes", sb.size << RR_SECTOR_SHIFT},
                          {"data_offset_bytes", sb.data_offset << RR_SECTOR_SHIFT},
                          {"events", sb.events},
                          {"clean", sb.clean()},
                          {"consistency", md::to_string(md::consistency_of(sb))},
                          {"role", role_text(sb)},
                          {"array_state", array_state(sb)},
                          {"corrected_read_sectors", sb.corrected_reads},
                          {"feature_map", sb.feature_map},
                          {"servable", terms.has_value()}};
    add_places(out, sb);
    if (!terms)
        out["reason"] = terms.error().what;
    return out;
}

void describe_ppl(nlohmann::json& described, const Result<std::optional<md::ppl_unit>>& log) {
    if (!described.contains("ppl"))
        return;
    nlohmann::json& out = described["ppl"];
    if (!log) {
        out["refused"] = log.error().what;
        return;
    }
    out["unit"] = nullptr;
    if (!*log)
        return;
    nlohmann::json entries = nlohmann::json::array();
    for (const md::ppl_entry& entry : (*log)->entries)
        entries.push_back({{"data_sector", entry.data_sector},
                           {"data_bytes", entry.data_bytes},
                           {"partial_parity_bytes", entry.pp_bytes},
                           {"torn", entry.torn}});
    out["unit"] = {{"sector", (*log)->place},
                   {"generation", (*log)->generation},
                   {"entries", std::move(entries)}};
}

namespace {

void add_ppl(report_lines& lines, const nlohmann::json& ppl) {
    lines.emplace_back("PPL", fmt::format("{} sectors at offset {} sectors from superblock",
                                          ppl["sectors"].dump(), ppl["offset_sectors"].dump()));
    if (ppl.contains("refused"))
        lines.emplace_back("PPL Unit", "refused: " + ppl["refused"].get<std::string>());
    if (!ppl.contains("unit"))
        return;
    const nlohmann::json& unit = ppl["unit"];
    if (unit.is_null()) {
        lines.emplace_back("PPL Unit", "none that holds");
        return;
    }
    lines.emplace_back("PPL Unit", fmt::format("generation {}, {} entries, at sector {} of the log",
                                               unit["generation"].dump(), unit["entries"].size(),
                                               unit["sector"].dump()));
    for (const nlohmann::json& entry : unit["entries"])
        lines.emplace_back("PPL Entry",
                           fmt::format("{} bytes from sector {} of the array on, {} "
                                       "bytes of partial parity{}",
                                       entry["data_bytes"].dump(), entry["data_sector"].dump(),
                                       entry["partial_parity_bytes"].dump(),
                                       entry["torn"] == true ? ", torn" : ""));
}

}  // namespace

report_lines superblock_lines(const nlohmann::json& m) {
    report_lines lines;
    for (const char* key :
         {"name", "uuid", "device_uuid", "role", "array_state", "members", "layout", "chunk_bytes",
          "member_bytes", "data_offset_bytes", "events", "clean"})
        add_if(lines, m, key);
    add_sectors(lines, m, "Recovery Offset", "recovery_offset_sectors");
    add_sectors(lines, m, "Resync Offset", "resync_offset_sectors");
    if (m.contains("bitmap_offset_sectors"))
        lines.emplace_back("Internal Bitmap",
                           m["bitmap_offset_sectors"].dump() + " sectors from superblock");
    if (m.contains("ppl"))
        add_ppl(lines, m["ppl"]);
    if (m.contains("bad_block_log")) {
        const nlohmann::json& log = m["bad_block_log"];
        lines.emplace_back("Bad Block Log",
                           fmt::format("{} entries available at offset {} sectors{}",
                                       log["entries"].dump(), log["offset_sectors"].dump(),
                                       log["bad_blocks"] == true ? " - bad blocks present." : ""));
    }
    add_sectors(lines, m, "Corrected Reads", "corrected_read_sectors");
    add_if(lines, m, "servable");
    add_if(lines, m, "reason");
    return lines;
}

}  // namespace rr
