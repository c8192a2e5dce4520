// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/nvme.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "base/first_line.h"

namespace rr {
namespace {

constexpr const char* whole_hint = "leave out --passthrough, or give whole NVMe namespaces";

// nvme0n1 is served by ng0n1: the driver names both at once.
std::string char_name(const std::string& block_name) {
    constexpr std::string_view prefix = "nvme";
    return block_name.starts_with(prefix) ? "ng" + block_name.substr(prefix.size()) : "";
}

Result<Fd> open_char(const std::string& path, const std::string& number) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        return fail(errno, "cannot open {}", path);
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0 || !S_ISCHR(info.st_mode) ||
        number != fmt::format("{}:{}", major(info.st_rdev), minor(info.st_rdev)))
        return fail(ENXIO, "{} is not the device that sysfs says it is", path);
    return fd;
}

}  // namespace

Result<nvme_namespace> open_nvme(const member_device& member, const std::string& sysfs,
                                 const std::string& dev) {
    namespace fs = std::filesystem;
    std::error_code ec;
    const fs::path block = fs::canonical(
        fmt::format("{}/dev/block/{}:{}", sysfs, major(member.device), minor(member.device)), ec);
    if (!ec && fs::exists(block / "partition", ec))
        return with_hint(fail(ENOTSUP, "{} is a partition: NVMe commands know none", member.path),
                         whole_hint);
    const std::string name = char_name(block.filename());
    const fs::path generic = fs::path(sysfs) / "class/nvme-generic" / name;
    if (ec || name.empty() || !fs::exists(generic / "dev", ec))
        return with_hint(fail(ENOTSUP, "{} is no NVMe namespace", member.path), whole_hint);
    // While no path is there a head refuses commands, and the block layer waits.
    if (fs::canonical(block / "device", ec).filename().string().starts_with("nvme-subsys"))
        return with_hint(fail(ENOTSUP, "{} is a multipath device", member.path),
                         "leave out --passthrough: the block layer waits for paths");
    if (const std::string bytes = first_line(block / "metadata_bytes");
        !bytes.empty() && bytes != "0")
        return with_hint(
            fail(ENOTSUP, "the blocks of {} carry {} bytes of metadata", member.path, bytes),
            "leave out --passthrough, or format it without (nvme format)");
    auto fd = open_char(fmt::format("{}/{}", dev, name), first_line(generic / "dev"));
    if (!fd)
        return forward_error(fd.error());
    const int theirs = ::ioctl(fd->get(), NVME_IOCTL_ID);
    const int ours = ::ioctl(member.fd.get(), NVME_IOCTL_ID);
    if (ours <= 0 || ours != theirs ||
        fs::canonical(block / "device", ec) != fs::canonical(generic / "device", ec) || ec)
        return fail(ENXIO, "{}/{} and {} are not one namespace", dev, name, member.path);
    return nvme_namespace{std::move(*fd), static_cast<uint32_t>(ours)};
}

}  // namespace rr
