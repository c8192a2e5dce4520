// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/first_line.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

constexpr auto poll_interval = std::chrono::milliseconds(200);

}  // namespace

device_watch::device_watch(std::vector<std::string> paths, std::chrono::seconds patience,
                           std::string sysfs)
    : paths_(std::move(paths)),
      sysfs_(std::move(sysfs)),
      end_(begin_ + patience),
      seen_(picture()) {}

bool device_watch::changed() {
    while (std::chrono::steady_clock::now() < end_) {
        std::string now = picture();
        if (now != seen_) {
            seen_ = std::move(now);
            return true;
        }
        std::this_thread::sleep_for(poll_interval);
    }
    return false;
}

std::string device_watch::picture() const {
    std::vector<std::string> lines;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(fs::path(sysfs_) / "class/block", failed)) {
        std::string line = entry.path().filename().string();
        for (const char* attribute : {"dev", "diskseq", "size", "ro"})
            line += ' ' + first_line(entry.path() / attribute);
        lines.push_back(std::move(line));
    }
    std::sort(lines.begin(), lines.end());
    std::string all;
    for (const std::string& line : lines)
        all += line + '\n';
    for (const std::string& path : paths_) {
        struct stat info{};
        const bool there = ::stat(path.c_str(), &info) == 0;
        all += path + ' ' + (there ? std::to_string(info.st_rdev) : "-") + '\n';
    }
    return all;
}

}  // namespace rr
