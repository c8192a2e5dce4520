// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The orders in which an array that is being served gets a partial parity log, and loses it.
//
// The log's feature in a superblock is a promise to whoever starts the array next: what may be
// torn is in the log, and nothing that is older. md starts a dirty array with a member missing
// when it is there. So it is the last to come and the first to go:
//
//   taken up   untold   superblocks tell of no bitmap: the log lies where it was
//              empty    the logs of all members, durable; what lay there is no log's
//              begin    rows are logged; none that are not are in flight
//              flush    those are durable on the members
//              tell     superblocks tell of the log
//   given up   untold   superblocks tell of no log
//              end      rows are logged no more, and no unit is in flight: where the logs lay
//                       there may be a bitmap next
//
// Cut off before `tell` a crash costs a resync of everything, as without a bitmap. Where telling
// fails, some superblock may tell all the same: the log is kept up.
#pragma once

#include <functional>

#include "base/result.h"

namespace rr {

struct log_steps {
    std::function<Status()> untold, empty, begin, flush, tell, end;
};

[[nodiscard]] Status take_up_log(const log_steps& steps);
[[nodiscard]] Status give_up_log(const log_steps& steps);

}  // namespace rr
