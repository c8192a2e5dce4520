// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/chain_api.h"

#include "chain/api_error.h"
#include "chain/chain.h"

struct rr_chain {
    std::unique_ptr<rr::chained::chain> is;
};

namespace rr::chained {
namespace {

thread_local std::string last_error;

}  // namespace

void keep_error(std::string sentence) {
    last_error = std::move(sentence);
}

int failed(const Error& error) {
    keep_error(describe(error) + (error.hint.empty() ? "" : "; " + error.hint));
    return -error.err;
}

}  // namespace rr::chained

namespace {

using rr::chained::failed;
using rr::chained::guarded;

int as_count(const rr::Result<unsigned>& r) {
    return r ? static_cast<int>(*r) : failed(r.error());
}

int as_status(const rr::Status& s) {
    return s ? 0 : failed(s.error());
}

int null_argument() {
    return failed(rr::fail(EINVAL, "an argument is a null pointer").value());
}

}  // namespace

extern "C" {

int rr_chain_open(const struct rr_chain_options* options, struct rr_chain** ret) {
    return guarded([&] {
        if (options == nullptr || ret == nullptr)
            return null_argument();
        auto c = rr::chained::chain::open(*options);
        if (!c)
            return failed(c.error());
        *ret = new rr_chain{std::move(*c)};
        return 0;
    });
}

void rr_chain_close(struct rr_chain* chain) {
    delete chain;
}

int rr_chain_submit(struct rr_chain* chain, const struct rr_chain_lookup* lookups, unsigned count) {
    return guarded([&] {
        if (chain == nullptr || (lookups == nullptr && count != 0))
            return null_argument();
        return as_count(chain->is->submit({lookups, count}));
    });
}

int rr_chain_wait(struct rr_chain* chain, unsigned want, struct rr_chain_result* results,
                  unsigned most) {
    return guarded([&] {
        if (chain == nullptr || (results == nullptr && most != 0))
            return null_argument();
        return as_count(chain->is->wait(want, {results, most}));
    });
}

int rr_chain_poll(struct rr_chain* chain, struct rr_chain_result* results, unsigned most) {
    return rr_chain_wait(chain, 0, results, most);
}

unsigned rr_chain_in_flight(const struct rr_chain* chain) {
    return chain->is->in_flight();
}

void rr_chain_bump(struct rr_chain* chain) {
    chain->is->bump();
}

int rr_chain_refresh(struct rr_chain* chain, unsigned file) {
    return guarded(
        [&] { return chain == nullptr ? null_argument() : as_status(chain->is->refresh(file)); });
}

int rr_chain_check(struct rr_chain* chain, unsigned file) {
    return guarded(
        [&] { return chain == nullptr ? null_argument() : as_status(chain->is->check(file)); });
}

int64_t rr_chain_file_bytes(const struct rr_chain* chain, unsigned file) {
    const chain_shared* s = chain->is->shared();
    return file < s->files ? static_cast<int64_t>(s->file[file].bytes) : -EBADF;
}

void rr_chain_count(const struct rr_chain* chain, struct rr_chain_counts* ret) {
    const auto& n = chain->is->shared()->count;
    *ret = {.turns = n.turns,
            .hops = n.hops,
            .reads = n.reads,
            .bytes = n.bytes,
            .cache_hits = n.cache_hits,
            .cache_fills = n.cache_fills,
            .restarts = n.restarts,
            .again = n.again,
            .submits = n.submits,
            .tries = n.tries,
            .enters = chain->is->enters(),
            .verified = chain->is->verified()};
}

const char* rr_chain_engine(const struct rr_chain* chain) {
    return chain->is->in_kernel() ? "kernel" : "user";
}

const char* rr_chain_why(const struct rr_chain* chain) {
    return chain->is->why().c_str();
}

const char* rr_chain_faults(struct rr_chain* chain) {
    return chain->is->faults().c_str();
}

const char* rr_chain_error(void) {
    return rr::chained::last_error.c_str();
}

}  // extern "C"
