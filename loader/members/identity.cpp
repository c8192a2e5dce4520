// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/identity.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

#include <fmt/format.h>

namespace rr {
namespace {

// Vital product data page 0x80 is binary: a header, then the serial.
constexpr size_t vpd_header_bytes = 4;

// An attribute of the disk, and what its value is called in the identity. The
// kernel's WWIDs name their own kind ("naa.", "eui.", "t10.").
struct source {
    const char* attribute;
    const char* prefix;
};
constexpr std::array<source, 6> sources{{{"/wwid", ""},
                                         {"/device/wwid", ""},
                                         {"/device/uid", "dasd."},
                                         {"/device/cid", "mmc."},
                                         {"/dm/uuid", "dm."},
                                         {"/md/uuid", "md."}}};

std::string read_attribute(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    if (file)
        bytes << file.rdbuf();
    return bytes.str();
}

bool is_graphic(char c) {
    return c > ' ' && c <= '~';
}

// Printable, and runs of anything else as one underscore, as udev has it. The
// padding at both ends is not part of the value.
std::string printable(std::string_view raw) {
    std::string out;
    bool gap = false;
    for (const char c : raw) {
        if (!is_graphic(c)) {
            gap = true;
            continue;
        }
        if (gap && !out.empty())
            out += '_';
        gap = false;
        out += c;
    }
    return out;
}

// Makers who have no number to give leave it blank or zero.
bool says_nothing(std::string_view value) {
    for (const std::string_view kind : {"naa.", "eui.", "uuid.", "t10."}) {
        if (value.starts_with(kind))
            value.remove_prefix(kind.size());
    }
    return value.find_first_not_of("0-_.:") == std::string_view::npos;
}

std::string serial_of(const std::string& node) {
    for (const char* attribute : {"/serial", "/device/serial"}) {
        std::string serial = printable(read_attribute(node + attribute));
        if (!says_nothing(serial))
            return serial;
    }
    const std::string page = read_attribute(node + "/device/vpd_pg80");
    if (page.size() <= vpd_header_bytes)
        return "";
    std::string serial = printable(std::string_view(page).substr(vpd_header_bytes));
    return says_nothing(serial) ? "" : serial;
}

// What the whole disk at @node says of itself; empty: nothing.
std::string disk_text(const std::string& node) {
    for (const source& from : sources) {
        const std::string value = printable(read_attribute(node + from.attribute));
        if (!says_nothing(value))
            return from.prefix + value;
    }
    const std::string serial = serial_of(node);
    if (serial.empty())
        return "";
    std::string text = "serial.";
    for (const char* attribute : {"/device/vendor", "/device/model"}) {
        const std::string value = printable(read_attribute(node + attribute));
        if (!value.empty())
            text += value + ".";
    }
    return text + serial;
}

// What tells a partition of @node from its disk's others; empty for a whole disk.
std::string part_text(const std::string& node) {
    if (::access((node + "/partition").c_str(), F_OK) != 0)
        return "";
    std::istringstream words(read_attribute(node + "/uevent"));
    constexpr std::string_view key = "PARTUUID=";
    for (std::string line; std::getline(words, line);) {
        if (line.starts_with(key) && !says_nothing(line.substr(key.size())))
            return ":part-" + printable(line.substr(key.size()));
    }
    return ":start-" + printable(read_attribute(node + "/start"));
}

uint64_t number_in(const std::string& text) {
    uint64_t value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// FNV-1a. It tells long identities of one maker apart; nobody is kept out by it.
uint64_t hash_of(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text)
        hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return hash;
}

std::string shortened(std::string text) {
    if (text.size() <= identity_bytes_max)
        return text;
    const std::string end = fmt::format("~{:016x}", hash_of(text));
    text.resize(identity_bytes_max - end.size());
    return text + end;
}

}  // namespace

device_identity identify_device(dev_t device, const std::string& sysfs) {
    const std::string node = fmt::format("{}/dev/block/{}:{}", sysfs, major(device), minor(device));
    const std::string part = part_text(node);
    // The link leads to the partition's directory, which is inside of its disk's.
    const std::string disk = part.empty() ? node : node + "/..";
    device_identity out;
    out.device = device;
    out.diskseq = number_in(read_attribute(disk + "/diskseq"));
    const std::string told = disk_text(disk);
    out.strong = !told.empty();
    out.text = out.strong ? shortened(told + part)
                          : fmt::format("{}:{}#{}", major(device), minor(device), out.diskseq);
    return out;
}

device_identity identify_file(dev_t file_system, ino_t inode) {
    return {fmt::format("file.{}:{}#{}", major(file_system), minor(file_system), inode), false,
            file_system, inode};
}

bool same_disk(const device_identity& one, const device_identity& other) {
    if (one.strong != other.strong)
        return false;
    return one.strong ? one.text == other.text
                      : one.device == other.device && one.diskseq == other.diskseq;
}

}  // namespace rr
