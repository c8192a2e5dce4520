// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A device of VDUSE on the vDPA bus: with virtio_vdpa a disk of this machine, with
// vhost_vdpa one for a guest.
#pragma once

#include <string>

#include "base/result.h"
#include "export/spec.h"

namespace rr::vdpa {

[[nodiscard]] Status check(const export_spec& spec);
[[nodiscard]] Status add(const export_spec& spec);
// What is not there is removed.
[[nodiscard]] Status remove(const export_spec& spec);
// The disk or the node of vhost, as /dev/vda; empty: none.
[[nodiscard]] std::string device(const export_spec& spec);

}  // namespace rr::vdpa
