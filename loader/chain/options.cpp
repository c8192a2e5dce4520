// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "chain/chain.h"

namespace rr::chained {
namespace {

constexpr unsigned scratch_most = 1 << 16;
constexpr unsigned out_most = 1 << 24;
constexpr unsigned cache_most = 1 << 16;
constexpr unsigned hops_most = 1 << 24;
constexpr unsigned bytes_most = 1 << 30;

Status default_to(unsigned& value, unsigned standard, unsigned most, const char* name) {
    if (value == 0)
        value = standard;
    if (value > most)
        return with_hint(fail(EINVAL, "{} is {}", name, value), fmt::format("at most {}", most));
    return {};
}

}  // namespace

Result<rr_chain_options> complete_options(const rr_chain_options& given) {
    rr_chain_options o{};
    if (given.size < offsetof(rr_chain_options, depth))
        return with_hint(fail(EINVAL, "the options are {} bytes", given.size),
                         "set .size = sizeof(struct rr_chain_options)");
    std::memcpy(&o, &given, std::min(given.size, sizeof(o)));
    if (o.files_count == 0 || o.files_count > CHAIN_FILES_MAX || o.files == nullptr)
        return with_hint(fail(EINVAL, "{} files", o.files_count),
                         fmt::format("1 to {}", static_cast<int>(CHAIN_FILES_MAX)));
    for (Status ok : {default_to(o.depth, 64, CHAIN_DEPTH_MAX, "depth"),
                      default_to(o.fan_out, 1, CHAIN_FAN_OUT, "fan_out"),
                      default_to(o.block_bytes, 4096, CHAIN_BLOCK_MAX, "block_bytes"),
                      default_to(o.scratch_bytes, 512, scratch_most, "scratch_bytes"),
                      default_to(o.out_bytes, 4096, out_most, "out_bytes"),
                      default_to(o.cache_blocks, 0, cache_most, "cache_blocks"),
                      default_to(o.hops_max, 64, hops_most, "hops_max"),
                      default_to(o.hops_per_turn, 64, CHAIN_ITEMS_MAX, "hops_per_turn"),
                      default_to(o.bytes_most, 4 << 20, bytes_most, "bytes_most"),
                      default_to(o.gather, 0, CHAIN_ITEMS_MAX, "gather")})
        if (!ok)
            return forward_error(ok.error());
    if (o.cache_blocks != 0 && !std::has_single_bit(o.cache_blocks))
        return fail(EINVAL, "cache_blocks is {}, no power of two", o.cache_blocks);
    if ((o.flags & ~unsigned{RR_CHAIN_BUFFERED | RR_CHAIN_USER | RR_CHAIN_KERNEL}) != 0 ||
        (o.flags & (RR_CHAIN_USER | RR_CHAIN_KERNEL)) == (RR_CHAIN_USER | RR_CHAIN_KERNEL))
        return fail(EINVAL, "the flags {:#x} do not go together", o.flags);
    if (o.program != nullptr &&
        (o.program->abi_version != CHAIN_ABI_VERSION || o.program->steps > CHAIN_STEPS_MAX))
        return with_hint(fail(EINVAL, "the steps were compiled with other headers"),
                         "compile them again");
    return o;
}

}  // namespace rr::chained
