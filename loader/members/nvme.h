// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The character device of an NVMe namespace, which takes commands as they are
// (bpf/ring/nvme.h), beside the block device that is the member.
//
// It knows no O_EXCL, no partitions and no owner: the block device stays open
// exclusively for as long as commands are sent, and this is only for whole
// namespaces. That both are one namespace is what sysfs and the namespaces' own
// numbers say, not their names.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "members/member.h"

namespace rr {

struct nvme_namespace {
    Fd fd;  // of /dev/ngXnY
    uint32_t nsid = 0;
};

// ENOTSUP: no NVMe namespace, a part of one, a multipath head, or one whose
// blocks carry metadata.
[[nodiscard]] Result<nvme_namespace> open_nvme(const member_device& member,
                                               const std::string& sysfs = "/sys",
                                               const std::string& dev = "/dev");

}  // namespace rr
