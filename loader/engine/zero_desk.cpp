// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/zero_desk.h"

#include <algorithm>
#include <utility>

namespace rr {
namespace {

// Makes @all larger by a neighbour of the same kind. False: it is none.
bool join(zero_desk::range& all, const zero_desk::range& one) {
    if (one.mapped != all.mapped)
        return false;
    if (one.position + one.bytes == all.position)
        all.position = one.position;
    else if (all.position + all.bytes != one.position)
        return false;
    all.bytes += one.bytes;
    all.durable |= one.durable;
    return true;
}

}  // namespace

void zero_desk::ask(uint32_t role, uint64_t token, const range& what) {
    desks_[role].waiting.push_back({token, what});
}

std::optional<zero_desk::range> zero_desk::start(uint32_t role) {
    desk& d = desks_[role];
    if (d.in_flight || d.waiting.empty())
        return std::nullopt;
    d.in_flight = true;
    range all = d.waiting.front().what;
    d.served.assign(1, d.waiting.front().token);
    d.waiting.erase(d.waiting.begin());
    // They mostly come in order: one pass then takes all, and the second finds nothing.
    for (size_t before = 0; before != d.served.size();) {
        before = d.served.size();
        std::erase_if(d.waiting, [&](const wish& w) {
            if (!join(all, w.what))
                return false;
            d.served.push_back(w.token);
            return true;
        });
    }
    return all;
}

std::vector<uint64_t> zero_desk::end(uint32_t role) {
    desks_[role].in_flight = false;
    return std::exchange(desks_[role].served, {});
}

}  // namespace rr
