// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/name_link.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "service/paths.h"

namespace rr {
namespace {

// Where the link leads: udev's are relative, ours are not. Empty: there is none.
std::string target_of(const std::filesystem::path& link, std::error_code& failed) {
    const std::filesystem::path target = std::filesystem::read_symlink(link, failed);
    return failed ? "" : (link.parent_path() / target).lexically_normal().string();
}

}  // namespace

void make_name_link(const std::string& set_name, const ublk_device& device,
                    const std::vector<std::string>& others) {
    namespace fs = std::filesystem;
    const fs::path link = link_path(set_name);
    std::error_code failed;
    if (!link.has_filename())
        return;  // md allows arrays without a name
    if (fs::create_directory(link.parent_path(), failed))
        (void)::chmod(link.parent_path().c_str(), 0755);
    const std::string target = target_of(link, failed);
    if (target == device.block_path())
        return;
    if (!target.empty() && std::ranges::find(others, target) != others.end()) {
        log_error("{} belongs to {}: use {} for this array", link.string(), target,
                  device.block_path());
        return;
    }
    if (failed && fs::exists(fs::symlink_status(link, failed))) {
        log_error("{} is there and no link: use {} for this array", link.string(),
                  device.block_path());
        return;
    }
    // In one step: whoever looks meanwhile finds the old one or the new one.
    const fs::path next = link.string() + ".new";
    fs::remove(next, failed);
    fs::create_symlink(device.block_path(), next, failed);
    if (!failed)
        fs::rename(next, link, failed);
    if (failed)
        log_error("cannot make the link {}: {}", link.string(), failed.message());
}

void remove_name_link(const std::string& set_name, const std::string& block_path) {
    const std::filesystem::path link = link_path(set_name);
    std::error_code ignored;
    if (link.has_filename() && target_of(link, ignored) == block_path)
        std::filesystem::remove(link, ignored);
}

void remove_dangling_link(const std::string& set_name) {
    namespace fs = std::filesystem;
    const fs::path link = link_path(set_name);
    std::error_code failed;
    if (link.has_filename() && fs::is_symlink(fs::symlink_status(link, failed)) &&
        !fs::exists(link, failed) && !failed)
        fs::remove(link, failed);
}

void remove_older_links(const std::string& set_name, const std::string& block_path) {
    namespace fs = std::filesystem;
    std::error_code failed;
    std::vector<fs::path> stale;
    for (const auto& entry : fs::directory_iterator(link_directory, failed)) {
        if (entry.path() != link_path(set_name) && target_of(entry.path(), failed) == block_path)
            stale.push_back(entry.path());
    }
    for (const fs::path& link : stale) {
        log_info("{} led to a device that is gone, and is removed", link.string());
        fs::remove(link, failed);
    }
}

}  // namespace rr
