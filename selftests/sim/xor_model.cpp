// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "xor_model.h"

#include <cerrno>

#include "world.h"

namespace rr::sim {

bool xor_model::is_client(const rr_xor_ref& r) const {
    return r.index < w_.arena->depth;
}

uint64_t xor_model::address(const rr_xor_ref& r, uint32_t sector) const {
    return rr_host_buffer(w_.arena, queue_, 0, 0) + r.offset + uint64_t{sector} * 512;
}

bool xor_model::reachable(const rr_xor_ref& r, uint32_t bytes, bool write, bool read) const {
    if (!is_client(r))
        return r.index == w_.arena->depth && r.offset + bytes <= queue_buffer_bytes(*w_.arena);
    const client_request& request = w_.request(queue_, r.index);
    // A request that reads has pages to write to, and the other way round.
    const bool reads = request.op == RR_OP_READ;
    return request.busy && !(request.flags & RR_REQ_COPY) && !(write && !reads) &&
           !(read && reads) && r.offset + bytes <= uint64_t{request.sectors} * 512;
}

int xor_model::check(std::span<const rr_xor_ref> refs, uint32_t bytes, uint64_t flags) const {
    const size_t one_source = refs.size() > 1 && refs[1].flags & RR_XOR_REF_COPY ? 3 : 2;
    if (refs.size() < 2 || refs.size() > RR_XOR_REFS_MAX || bytes == 0 || bytes % 512 != 0)
        return -EINVAL;
    bool copy = false;
    for (size_t i = 0; i < refs.size(); i++) {
        const bool written = i == 0 || copy;
        copy = (refs[i].flags & RR_XOR_REF_COPY) != 0;
        if (copy && (written || i + 1 == refs.size()))
            return -EINVAL;
        // A sum is looked at while it is made, and a copy is what is summed up.
        const bool read = i > 0 || flags != 0 || refs.size() > one_source;
        if (!reachable(refs[i], bytes, written, read))
            return -EFAULT;
        for (size_t j = 0; written && j < refs.size(); j++)
            if (j != i && refs[j].index == refs[i].index &&
                refs[j].offset < refs[i].offset + bytes && refs[i].offset < refs[j].offset + bytes)
                return -EINVAL;
    }
    return 0;
}

uint64_t xor_model::load(const rr_xor_ref& r, uint32_t sector) {
    if (!is_client(r))
        return w_.compress(address(r, sector));
    const client_request& request = w_.request(queue_, r.index);
    const uint32_t version = 2 * request.serial + (request.unstable ? chance_.below(2) : 0);
    return w_.reference.value(request.base + static_cast<uint32_t>(r.offset / 512) + sector,
                              version);
}

void xor_model::store(const rr_xor_ref& r, uint32_t sector, uint64_t value) {
    if (is_client(r))
        w_.request(queue_, r.index).pages[r.offset / 512 + sector] = value;
    else
        w_.expand(address(r, sector), value);
}

// The sector at which a copy fails; @sectors: it does not.
uint32_t xor_model::breaks_at(std::span<const rr_xor_ref> refs, uint32_t sectors) {
    if (w_.plan.copy_error == 0)
        return sectors;
    for (const rr_xor_ref& r : refs)
        if (is_client(r) && chance_.per_mille(w_.plan.copy_error)) {
            w_.request(queue_, r.index).may_fail = true;
            broke_ = true;
            return chance_.below(sectors);
        }
    return sectors;
}

int xor_model::call(void* context, const rr_xor_ref* refs, rr_u32 n, rr_u32 bytes, rr_u64 flags) {
    auto& self = *static_cast<xor_model*>(context);
    const std::span all(refs, n);
    if (int wrong = self.check(all, bytes, flags); wrong != 0)
        return wrong;
    const uint32_t end = self.breaks_at(all, bytes / 512);
    for (uint32_t s = 0; s < end; s++) {
        uint64_t sum = flags & RR_XOR_ACCUMULATE ? self.load(all[0], s) : 0;
        for (size_t i = 1; i < all.size(); i++) {
            uint64_t value = self.load(all[i], s);
            if (all[i].flags & RR_XOR_REF_COPY)
                self.store(all[++i], s, value);
            sum ^= value;
        }
        self.store(all[0], s, sum);
    }
    return end < bytes / 512 ? -EFAULT : 0;
}

}  // namespace rr::sim
