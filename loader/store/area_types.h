// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The BTF of a store's map, so that bpftool shows the header by its names.
//
// Made by hand and asserted against kv_store.h: the map is made before, and
// may outlive, any object file that has these types. Banks and values are
// bytes to it; `ringraid store dump` knows them by the types that they carry.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"

struct btf;

namespace rr::store {

struct area_types {
    std::shared_ptr<btf> loaded;
    uint32_t key = 0;
    uint32_t value = 0;
};

Result<area_types> make_area_types(uint64_t area_bytes);

}  // namespace rr::store
