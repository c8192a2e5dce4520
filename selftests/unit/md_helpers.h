// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the metadata tests share: the vectors, mdadm's own words, and files
// that stand for members.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "md/superblock.h"
#include "md/update.h"

namespace rr::test {

using block = std::array<uint8_t, md::sb_bytes>;
using examined = std::map<std::string, std::string>;  // mdadm's fields by name

struct vector_member {
    block bytes{};
    examined says;
};

// The lines "  Name : value" of `mdadm --examine`.
inline void add_field(examined& fields, const std::string& line) {
    const auto colon = line.find(" : ");
    const auto start = line.find_first_not_of(' ');
    if (colon != std::string::npos && start < colon)
        fields[line.substr(start, colon - start)] = line.substr(colon + 3);
}

inline void add_hex(block& bytes, size_t& at, const std::string& line) {
    for (size_t i = 0; i + 1 < line.size(); i += 2)
        bytes.at(at++) = static_cast<uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16));
}

// Members of selftests/vectors/NAME.vec, in order of device.
inline std::vector<vector_member> load_vector(const std::string& name) {
    const auto tree = std::filesystem::path(__FILE__).parent_path().parent_path();
    std::ifstream file(tree / "vectors" / (name + ".vec"));
    EXPECT_TRUE(file) << name;
    std::vector<vector_member> members;
    bool hex = false;
    size_t at = 0;
    for (std::string line; std::getline(file, line);) {
        if (line == "superblock") {
            members.emplace_back();
            hex = true;
            at = 0;
        } else if (line == "examine") {
            hex = false;
        } else if (hex) {
            add_hex(members.back().bytes, at, line);
        } else {
            add_field(members.back().says, line);
        }
    }
    EXPECT_FALSE(members.empty()) << name;
    return members;
}

inline const std::vector<std::string> all_vectors{
    "ls4",    "rs3bitmap", "la5",         "ra3",        "ppl4",  "dirty4", "ppldirty4", "failed4",
    "spare4", "rebuilt4",  "rebuilding4", "reshaping4", "raid6", "raid1",  "journal3"};

// Directory of one test, gone with it.
class scratch_dir {
public:
    scratch_dir() {
        std::string pattern = std::filesystem::temp_directory_path() / "ringraid-test-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~scratch_dir() { std::filesystem::remove_all(path_); }
    scratch_dir(const scratch_dir&) = delete;
    scratch_dir& operator=(const scratch_dir&) = delete;

    // A sparse file of @sectors.
    [[nodiscard]] std::string file(const std::string& name, uint64_t sectors) const {
        std::string path = path_ / name;
        std::ofstream{path};
        std::filesystem::resize_file(path, sectors * 512);
        return path;
    }

private:
    std::filesystem::path path_;
};

inline Fd open_file(const std::string& path, int flags = O_RDWR) {
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
    EXPECT_TRUE(fd) << path;
    return fd;
}

// `mdadm --examine @path` as fields; the test fails when mdadm refuses it.
inline examined examine(const std::string& path) {
    const std::string command =
        "PATH=$PATH:/usr/sbin:/sbin TZ=UTC LC_ALL=C mdadm --examine '" + path + "' 2>&1";
    examined fields;
    FILE* output = ::popen(command.c_str(), "r");
    std::string text;
    for (std::array<char, 512> line{}; std::fgets(line.data(), line.size(), output) != nullptr;) {
        text += line.data();
        std::string one = line.data();
        one.erase(one.find_last_not_of('\n') + 1);
        add_field(fields, one);
    }
    EXPECT_EQ(::pclose(output), 0) << command << '\n' << text;
    return fields;
}

inline md::new_array four_members(uint64_t sectors = 131072) {
    md::new_array spec;
    spec.host = "host";
    spec.name = "test";
    spec.member_sectors.assign(4, sectors);
    spec.clean = true;
    return spec;
}

// Superblocks of a new array that must be possible.
inline std::vector<md::md_superblock> must_make(const md::new_array& spec) {
    auto made = md::make_new(spec);
    if (!made)
        ADD_FAILURE() << describe(made.error());
    return made.value();
}

// What array_metadata starts from, on the members of a new array.
inline md::array_metadata::state state_of(const md::new_array& spec) {
    md::array_metadata::state initial;
    for (const md::md_superblock& sb : must_make(spec))
        initial.members.emplace_back(sb);
    return initial;
}

inline void store_csum(block& bytes, uint32_t max_dev) {
    const uint32_t sum = md::sb_csum(bytes, max_dev);
    for (size_t i = 0; i < 4; i++)
        bytes.at(216 + i) = static_cast<uint8_t>(sum >> (8 * i));
}

}  // namespace rr::test
