// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "model.h"

namespace rr::sim {

void model::reset(uint64_t seed, uint32_t sectors, bool power_cuts) {
    seed_ = mix(seed);
    power_cuts_ = power_cuts;
    flush_floor_ = 0;
    head_.assign(sectors, none);
    pool_.clear();
    zero_.clear();
    free_ = none;
}

uint32_t model::add(uint32_t sector, uint32_t version, uint32_t answered) {
    uint32_t at = free_;
    if (at == none) {
        at = static_cast<uint32_t>(pool_.size());
        pool_.push_back({});
    } else {
        free_ = pool_[at].next;
    }
    pool_[at] = {version, answered, never, head_[sector], false};
    head_[sector] = at;
    return at;
}

void model::open(uint32_t sector) {
    if (head_[sector] == none)
        add(sector, 0, 0);
}

void model::submit(uint32_t sector, uint32_t version, uint32_t) {
    open(sector);
    add(sector, version, never);
}

void model::acknowledge(uint32_t sector, uint32_t first, uint32_t last, uint32_t submitted,
                        uint32_t time, bool fua, uint32_t oldest_read) {
    uint32_t* link = &head_[sector];
    while (*link != none) {
        candidate& c = pool_[*link];
        if (c.version >= first && c.version <= last) {
            c.answered = time;
        } else if (c.answered < submitted) {
            if (c.replaced == never)
                c.replaced = time;
            c.replaced_durably |= fua;
            // Nobody can ask for it any more.
            if (c.replaced < oldest_read &&
                (!power_cuts_ || c.replaced_durably || c.replaced < flush_floor_)) {
                uint32_t gone = *link;
                *link = c.next;
                c.next = free_;
                free_ = gone;
                continue;
            }
        }
        link = &c.next;
    }
}

void model::refuse(uint32_t sector, uint32_t first, uint32_t last, uint32_t time) {
    for (uint32_t at = head_[sector]; at != none; at = pool_[at].next)
        if (pool_[at].version >= first && pool_[at].version <= last)
            pool_[at].answered = time;
}

bool model::may_read(uint32_t sector, uint64_t found, uint32_t submitted) const {
    if (head_[sector] == none)
        return found == value(sector, 0);
    for (uint32_t at = head_[sector]; at != none; at = pool_[at].next)
        if (pool_[at].replaced > submitted && found == value(sector, pool_[at].version))
            return true;
    return false;
}

bool model::may_survive(uint32_t sector, uint64_t found) const {
    if (head_[sector] == none)
        return found == value(sector, 0);
    for (uint32_t at = head_[sector]; at != none; at = pool_[at].next)
        if (!pool_[at].replaced_durably && pool_[at].replaced >= flush_floor_ &&
            found == value(sector, pool_[at].version))
            return true;
    return false;
}

bool model::is_written(uint32_t sector) const {
    for (uint32_t at = head_[sector]; at != none; at = pool_[at].next)
        if (pool_[at].answered == never)
            return true;
    return false;
}

bool model::settle(uint32_t sector, uint64_t found) {
    if (!may_survive(sector, found))
        return false;
    while (head_[sector] != none) {
        candidate& c = pool_[head_[sector]];
        uint32_t next = c.next;
        if (found == value(sector, c.version)) {
            c.answered = 0;
            c.replaced = never;
            c.replaced_durably = false;
            c.next = none;
            // What is left of the list goes back to the pool.
            while (next != none) {
                uint32_t after = pool_[next].next;
                pool_[next].next = free_;
                free_ = next;
                next = after;
            }
            return true;
        }
        c.next = free_;
        free_ = head_[sector];
        head_[sector] = next;
    }
    return found == value(sector, 0);
}

}  // namespace rr::sim
