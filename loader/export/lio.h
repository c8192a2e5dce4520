// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An export by the kernel's SCSI target (LIO), over iSCSI.
//
//   target/core/iblock_N/NAME            ours: the block device, held exclusively
//   target/iscsi/IQN/tpgt_1              ours
//   .../np/ADDRESS:PORT  .../lun/lun_0/NAME -> the device  .../acls/INITIATOR/lun_0
//
// Initiators are told apart by name alone; there is no CHAP here.
#pragma once

#include <string>

#include "base/result.h"
#include "export/spec.h"

namespace rr::lio {

[[nodiscard]] Status check();
// All of it, or nothing.
[[nodiscard]] Status begin(const export_spec& spec, const std::string& block_device);
// Also of what was begun and not finished.
[[nodiscard]] Status end(const export_spec& spec);
[[nodiscard]] bool serves(const export_spec& spec);

}  // namespace rr::lio
