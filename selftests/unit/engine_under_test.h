// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The engine's own headers in a C++ test: their functions become local to the
// file, so that the inline helpers can be called, and an arena to call them on.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>

#include "ringraid/types.h"

#undef RR_FN
#define RR_FN [[maybe_unused]] static
#define typeof __typeof__

#include "engine/engine.h"

#undef typeof

#include "engine/layout.h"

namespace rr::test {

struct free_memory {
    void operator()(void* p) const { std::free(p); }
};

// An array of the given shape, empty, with nothing in flight.
class small_array {
public:
    explicit small_array(const array_config& config, uint32_t missing = 0) {
        Result<arena_layout> layout = plan_layout(config);
        if (!layout)
            std::abort();
        memory_.reset(std::aligned_alloc(4096, layout->bytes));
        init_arena({static_cast<std::byte*>(memory_.get()), layout->bytes}, *layout, missing);
    }

    rr_array* operator->() { return get(); }
    rr_array* get() { return static_cast<rr_array*>(memory_.get()); }
    rr_queue* queue(uint32_t n = 0) { return rr_queue_at(get(), n); }

private:
    std::unique_ptr<void, free_memory> memory_;
};

inline array_config shape(uint32_t members, uint32_t chunk_sectors,
                          uint32_t layout = RR_LEFT_SYMMETRIC) {
    array_config c;
    c.members = members;
    c.chunk_sectors = chunk_sectors;
    c.layout = layout;
    c.depth = 4;
    c.slots = 4;
    c.member_sectors = uint64_t{chunk_sectors} * 64;
    return c;
}

}  // namespace rr::test
