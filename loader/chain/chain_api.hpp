// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Chained reads for C++: a chain with one owner. Errors are as in chain_api.h; the
// only exception is the constructor's, std::system_error.
#pragma once

#include <memory>
#include <span>
#include <system_error>

#include "chain_api.h"

namespace rr {

class chain_reader {
public:
    explicit chain_reader(const rr_chain_options& options) {
        rr_chain* made = nullptr;
        if (const int r = rr_chain_open(&options, &made); r < 0)
            throw std::system_error(-r, std::generic_category(), rr_chain_error());
        chain_.reset(made);
    }

    int submit(std::span<const rr_chain_lookup> lookups) {
        return rr_chain_submit(get(), lookups.data(), static_cast<unsigned>(lookups.size()));
    }
    // Waits for as many as there is room for, or all that were submitted.
    int wait(std::span<rr_chain_result> results) {
        return wait(static_cast<unsigned>(results.size()), results);
    }
    int wait(unsigned want, std::span<rr_chain_result> results) {
        return rr_chain_wait(get(), want, results.data(), static_cast<unsigned>(results.size()));
    }
    int poll(std::span<rr_chain_result> results) { return wait(0, results); }
    void bump() { rr_chain_bump(get()); }

    [[nodiscard]] rr_chain* get() const { return chain_.get(); }

private:
    struct closer {
        void operator()(rr_chain* c) const { rr_chain_close(c); }
    };
    std::unique_ptr<rr_chain, closer> chain_;
};

}  // namespace rr
