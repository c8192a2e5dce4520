// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/member.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <blkid/blkid.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/io.h"
#include "base/log.h"

namespace rr {
namespace {

constexpr int signatures_most = 64;

using probe_handle = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

tl::unexpected<Error> read_only_error(const std::string& path) {
    return with_hint(fail(EROFS, "{} is read-only", path),
                     fmt::format("make it writable (blockdev --setrw {}, or a switch on the disk "
                                 "itself), then start again",
                                 path));
}

Result<Fd> open_path(const std::string& path, const open_options& options) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return fail(errno, "cannot find {}", path);
    const bool regular = S_ISREG(info.st_mode);
    if (!S_ISBLK(info.st_mode) && !(regular && options.allow_regular_file))
        return with_hint(fail(ENOTBLK, "{} is not a block device", path),
                         "a file can be made one with losetup");
    const int access = options.read_only ? O_RDONLY : O_RDWR | (regular ? 0 : O_EXCL);
    Fd fd(::open(path.c_str(), access | O_DIRECT | O_CLOEXEC));
    // Not every file system knows O_DIRECT; every block device does.
    if (!fd && errno == EINVAL && regular)
        fd.reset(::open(path.c_str(), access | O_CLOEXEC));
    if (!fd && errno == EROFS)
        return read_only_error(path);
    if (!fd && errno == EBUSY)
        return with_hint(fail(EBUSY, "{} is in use", path),
                         "look for its owner with lsblk; stop md with mdadm --stop");
    if (!fd)
        return fail(errno, "cannot open {}", path);
    return fd;
}

// Most drivers open a read-only device for writing, and fail the writes.
Status refuse_read_only(const member_device& member) {
    int read_only = 0;
    if (::ioctl(member.fd.get(), BLKROGET, &read_only) == 0 && read_only != 0)
        return read_only_error(member.path);
    return {};
}

// Kinds of disk that take no write in place.
Status refuse_kind(const member_device& member) {
    if (!member.limits.zone_model.empty())
        return with_hint(
            fail(ENOTSUP, "{} is a zoned device ({})", member.path, member.limits.zone_model),
            "its blocks cannot be written in place; a conventional "
            "disk, or dm-zoned above this "
            "one, can be a member");
    return {};
}

Status read_block_size(member_device& member) {
    uint64_t bytes = 0;
    int block = 0;
    if (::ioctl(member.fd.get(), BLKGETSIZE64, &bytes) != 0)
        return fail(errno, "cannot get the size of {}", member.path);
    if (::ioctl(member.fd.get(), BLKSSZGET, &block) != 0)
        return fail(errno, "cannot get the block size of {}", member.path);
    if (block < 512 || static_cast<size_t>(block) > io_alignment)
        return fail(ENOTSUP, "{} has logical blocks of {} bytes, not 512 to {}", member.path, block,
                    io_alignment);
    member.sectors = bytes / 512;
    member.logical_block_bytes = static_cast<uint32_t>(block);
    return {};
}

std::string kernel_name_of(dev_t device) {
    std::error_code gone;
    return std::filesystem::read_symlink(
               fmt::format("/sys/dev/block/{}:{}", major(device), minor(device)), gone)
        .filename();
}

// What was opened decides, not what the path named before.
Status identify(member_device& member, const open_options& options) {
    struct stat info{};
    if (::fstat(member.fd.get(), &info) != 0)
        return fail(errno, "cannot identify {}", member.path);
    if (S_ISREG(info.st_mode) && options.allow_regular_file) {
        member.device = info.st_dev;
        member.inode = info.st_ino;
        member.sectors = static_cast<uint64_t>(info.st_size) / 512;
        member.identity = identify_file(info.st_dev, info.st_ino);
        return {};
    }
    if (!S_ISBLK(info.st_mode))
        return fail(ENOTBLK, "{} is not a block device", member.path);
    member.device = info.st_rdev;
    member.limits = read_queue_limits(info.st_rdev);
    member.identity = identify_device(info.st_rdev);
    member.kernel_name = kernel_name_of(info.st_rdev);
    for (Status ok : options.read_only
                         ? std::vector<Status>{}
                         : std::vector{refuse_read_only(member), refuse_kind(member)}) {
        if (!ok)
            return ok;
    }
    return read_block_size(member);
}

Status refuse_signature(const member_device& member) {
    auto found = probe_signature(member.path);
    if (!found)
        return forward_error(found.error());
    if (*found)
        return with_hint(fail(EEXIST, "{} holds: {}", member.path, **found),
                         "if it is not needed, erase it with wipefs --all, or force");
    return {};
}

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line))
        return std::nullopt;
    return line;
}

std::optional<uint64_t> read_number(const std::string& path) {
    const auto text = read_text(path);
    if (!text || text->empty() || text->find_first_not_of("0123456789") != std::string::npos ||
        text->size() > 19)
        return std::nullopt;
    return std::stoull(*text);
}

std::string lookup(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 ? value : "";
}

// What was found, for a person to recognise.
std::string describe_signature(blkid_probe probe) {
    const std::string type = lookup(probe, "TYPE"), table = lookup(probe, "PTTYPE");
    const std::string label = lookup(probe, "LABEL");
    std::string text = type;
    if (lookup(probe, "USAGE") == "filesystem")
        text += " file system";
    if (!label.empty())
        text += " '" + label + "'";
    if (!table.empty())
        text += (text.empty() ? "" : ", ") + table + " partition table";
    return text.empty() ? "an unnamed signature" : text;
}

}  // namespace

void drop_page_cache(int fd, const std::string& path) {
    if (::ioctl(fd, BLKFLSBUF) != 0)
        log_error("the page cache of {} may be old: {}", path, std::strerror(errno));
}

queue_limits read_queue_limits(dev_t device, const std::string& sysfs) {
    const std::string node = fmt::format("{}/dev/block/{}:{}", sysfs, major(device), minor(device));
    const bool partition = ::access((node + "/partition").c_str(), F_OK) == 0;
    const std::string queue = node + (partition ? "/../queue/" : "/queue/");
    queue_limits limits;
    if (const auto kib = read_number(queue + "max_sectors_kb"))
        limits.max_io_bytes = *kib * 1024;
    limits.max_segments = read_number(queue + "max_segments");
    limits.max_segment_bytes = read_number(queue + "max_segment_size");
    limits.dma_alignment = read_number(queue + "dma_alignment");
    limits.virt_boundary_mask = read_number(queue + "virt_boundary_mask");
    limits.physical_block_bytes = read_number(queue + "physical_block_size");
    limits.write_zeroes_bytes = read_number(queue + "write_zeroes_max_bytes");
    limits.unmapped_zeroes_bytes = read_number(queue + "write_zeroes_unmap_max_hw_bytes");
    limits.volatile_cache = read_text(queue + "write_cache") != "write through";
    limits.rotational = read_number(queue + "rotational") == 1U;
    limits.zone_model = read_text(queue + "zoned").value_or("none");
    if (limits.zone_model == "none")
        limits.zone_model.clear();
    return limits;
}

// Through a descriptor of its own: libblkid reads at offsets and lengths that
// O_DIRECT refuses.
Result<std::optional<std::string>> probe_signature(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return fail(errno, "cannot open {} to look for signatures", path);
    const probe_handle probe(blkid_new_probe(), blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0)
        return fail(EIO, "cannot look for signatures on {}", path);
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(),
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe.get(), 1);
    switch (blkid_do_safeprobe(probe.get())) {
        case 0:
            return describe_signature(probe.get());
        case 1:
            return std::nullopt;
        case -2:
            return "several signatures that contradict each other";
        default:
            return fail(EIO, "cannot look for signatures on {}", path);
    }
}

Status wipe_signatures(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        return fail(errno, "cannot open {} to erase signatures", path);
    const probe_handle probe(blkid_new_probe(), blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0)
        return fail(EIO, "cannot look for signatures on {}", path);
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
    blkid_probe_enable_partitions(probe.get(), 1);
    blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
    // Each one that is erased lets the prober look again from where it was.
    int found = 0;
    for (int i = 0; i < signatures_most && (found = blkid_do_probe(probe.get())) == 0; i++) {
        if (blkid_do_wipe(probe.get(), 0) != 0)
            return fail(EIO, "cannot erase a signature on {}", path);
    }
    if (found != 1)
        return fail(EIO, "cannot erase all signatures on {}", path);
    return sync_data(fd.get());
}

Result<member_device> open_member(const std::string& path, const open_options& options) {
    auto fd = open_path(path, options);
    if (!fd)
        return forward_error(fd.error());
    member_device member;
    member.path = path;
    member.fd = std::move(*fd);
    if (auto known = identify(member, options); !known)
        return forward_error(known.error());
    if (member.sectors < options.min_sectors)
        return fail(ENOSPC, "{} has {} sectors, {} are needed", path, member.sectors,
                    options.min_sectors);
    if (options.for_create && !options.force) {
        if (auto empty = refuse_signature(member); !empty)
            return forward_error(empty.error());
    }
    return member;
}

const member_device* same_device(const std::vector<member_device>& members,
                                 const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return nullptr;
    const bool block = S_ISBLK(info.st_mode);
    for (const member_device& other : members) {
        if (other.device == (block ? info.st_rdev : info.st_dev) &&
            other.inode == (block ? 0 : info.st_ino))
            return &other;
    }
    return nullptr;
}

Result<std::vector<member_device>> open_members(const std::vector<std::string>& paths,
                                                const open_options& options) {
    std::vector<member_device> members;
    for (const auto& path : paths) {
        // Before O_EXCL would answer "in use", by ourselves.
        if (const member_device* other = same_device(members, path))
            return fail(EEXIST, "{} and {} are the same device", other->path, path);
        auto member = open_member(path, options);
        if (!member)
            return forward_error(member.error());
        if (!members.empty() && members[0].logical_block_bytes != member->logical_block_bytes)
            return fail(EINVAL, "{} has logical blocks of {} bytes, {} of {}", members[0].path,
                        members[0].logical_block_bytes, path, member->logical_block_bytes);
        members.push_back(std::move(*member));
    }
    return members;
}

}  // namespace rr
