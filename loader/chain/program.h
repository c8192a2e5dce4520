// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The steps of a chain as a BPF program in the wait loop of its ring.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "ringraid/chain.bpf.h"

namespace rr::chained {

// Why no program can run here at all, or "".
std::string kernel_lacks();

class loop_program {
public:
    // @object stays as it is until this returns; @arena_fd is a map, and mapped.
    static Result<loop_program> load(std::span<const uint8_t> object, const chain_config& config,
                                     int arena_fd, int ring_fd);

    // Instructions that the verifier looked at.
    [[nodiscard]] uint64_t verified() const;

    // What the kernel has reported of it.
    const std::string& faults();

private:
    struct close_object {
        void operator()(bpf_object* o) const { bpf_object__close(o); }
    };
    struct destroy_link {
        void operator()(bpf_link* l) const { bpf_link__destroy(l); }
    };
    std::unique_ptr<bpf_object, close_object> object_;
    std::unique_ptr<bpf_link, destroy_link> link_;
    std::string faults_;
};

}  // namespace rr::chained
