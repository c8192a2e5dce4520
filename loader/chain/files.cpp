// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

namespace rr::chained {
namespace {

constexpr uint8_t nvme_identify = 6;
constexpr uint32_t nvme_page_shift = 12;  // the smallest that a controller may have

Status identify(int fd, uint32_t nsid, uint32_t what, std::array<uint8_t, 4096>& page) {
    nvme_passthru_cmd c{};
    c.opcode = nvme_identify;
    c.nsid = nsid;
    c.addr = reinterpret_cast<uint64_t>(page.data());
    c.data_len = static_cast<uint32_t>(page.size());
    c.cdw10 = what;
    const int r = ::ioctl(fd, NVME_IOCTL_ADMIN_CMD, &c);
    if (r != 0)
        return fail(r < 0 ? errno : EIO, "cannot identify the NVMe namespace");
    return {};
}

// A namespace's character device: reads are commands to it.
Status ask_nvme(open_file& f) {
    const int nsid = ::ioctl(f.fd.get(), NVME_IOCTL_ID);
    if (nsid <= 0)
        return with_hint(fail(ENOTSUP, "{} is no file, no block device, no NVMe namespace", f.path),
                         "give a regular file, a block device or /dev/ngXnY");
    std::array<uint8_t, 4096> page{};
    if (Status ok = identify(f.fd.get(), static_cast<uint32_t>(nsid), 0, page); !ok)
        return ok;
    uint64_t blocks = 0;
    std::memcpy(&blocks, page.data(), sizeof(blocks));
    const uint8_t format = page[26];
    const uint8_t* lbaf = &page[128 + 4 * static_cast<size_t>((format & 15) | (format >> 1 & 48))];
    if (lbaf[0] != 0 || lbaf[1] != 0)
        return with_hint(fail(ENOTSUP, "the blocks of {} carry metadata", f.path),
                         "give the block device");
    f.facts.nsid = static_cast<uint32_t>(nsid);
    f.facts.lba_shift = lbaf[2];
    f.facts.align_shift = lbaf[2];
    f.facts.bytes = blocks << lbaf[2];
    if (Status ok = identify(f.fd.get(), 0, 1, page); !ok)
        return ok;
    // MDTS; none means that the kernel's own limit is the only one.
    f.facts.command_most =
        page[77] != 0 && page[77] < 16 ? 1U << (nvme_page_shift + page[77]) : 1U << 20;
    return {};
}

uint32_t direct_alignment(const open_file& f) {
#ifdef STATX_DIOALIGN
    struct statx x{};
    if (::statx(f.fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &x) == 0 &&
        (x.stx_mask & STATX_DIOALIGN) != 0 && x.stx_dio_offset_align != 0)
        return x.stx_dio_offset_align;
#endif
    int bytes = 0;
    if (S_ISBLK(f.info.st_mode) && ::ioctl(f.fd.get(), BLKSSZGET, &bytes) == 0 && bytes > 0)
        return static_cast<uint32_t>(bytes);
    return 4096;
}

}  // namespace

Result<uint64_t> size_of(const open_file& f) {
    uint64_t bytes = f.facts.bytes;
    struct stat now{};
    if (S_ISBLK(f.info.st_mode)) {
        if (::ioctl(f.fd.get(), BLKGETSIZE64, &bytes) != 0)
            return fail(errno, "cannot ask for the size of {}", f.path);
    } else if (S_ISREG(f.info.st_mode)) {
        if (::fstat(f.fd.get(), &now) != 0)
            return fail(errno, "cannot ask about {}", f.path);
        bytes = static_cast<uint64_t>(now.st_size);
    }
    return bytes;
}

Result<open_file> open_one(const rr_chain_file& file, bool buffered) {
    open_file f;
    if (file.path != nullptr) {
        f.path = file.path;
        // A character device of NVMe takes commands from whoever may write only.
        struct stat before{};
        const bool known = ::stat(file.path, &before) == 0;
        const bool character = known && S_ISCHR(before.st_mode);
        if (known && S_ISDIR(before.st_mode))
            return fail(EISDIR, "cannot read {}", f.path);
        const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                          (character ? O_RDWR : O_RDONLY | (buffered ? 0 : O_DIRECT));
        f.fd.reset(::open(file.path, flags));
        if (!f.fd)
            return with_hint(fail(errno, "cannot open {}", f.path),
                             errno == EINVAL ? "that file system has no O_DIRECT: use "
                                               "RR_CHAIN_BUFFERED"
                                             : "");
    } else {
        f.path = fmt::format("file descriptor {}", file.fd);
        f.fd.reset(::fcntl(file.fd, F_DUPFD_CLOEXEC, 0));
        if (!f.fd)
            return fail(errno, "cannot use {}", f.path);
        const int flags = ::fcntl(f.fd.get(), F_GETFL);
        if ((flags & O_ACCMODE) == O_WRONLY)
            return fail(EBADF, "{} is not open for reading", f.path);
        buffered = (flags & O_DIRECT) == 0;
    }
    if (::fstat(f.fd.get(), &f.info) != 0)
        return fail(errno, "cannot ask about {}", f.path);
    if (!S_ISREG(f.info.st_mode) && !S_ISBLK(f.info.st_mode)) {
        if (Status ok = ask_nvme(f); !ok)
            return forward_error(ok.error());
        return f;
    }
    auto bytes = size_of(f);
    if (!bytes)
        return forward_error(bytes.error());
    f.facts.bytes = *bytes;
    f.facts.align_shift =
        buffered ? 0 : static_cast<uint32_t>(std::countr_zero(direct_alignment(f)));
    return f;
}

}  // namespace rr::chained
