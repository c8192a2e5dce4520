// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Histograms of latencies, as a status has them (service/report.h), and what people want
// of them.
//
// A quantile is found as Prometheus' histogram_quantile() finds it: the bucket that it is
// in, and in there by proportion. A bucket's upper bound is twice its lower one, so it is
// wrong by less than that factor; one in the last bucket is shown as that bucket's bound.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace rr {

struct histogram {
    std::string op, path;
    std::vector<uint64_t> bounds_ns;  // of all buckets but the last, which has none
    std::vector<uint64_t> buckets;
    uint64_t total_ns = 0;

    [[nodiscard]] uint64_t count() const;
    // What came since @before, of the same op and path; all, if it began anew meanwhile.
    [[nodiscard]] histogram since(const histogram& before) const;
    histogram& operator+=(const histogram& other);
};

// Of a status; nothing where it has none, or none that makes sense.
std::vector<histogram> histograms_of(const nlohmann::json& status);

// Of one op, whatever path.
histogram histogram_of_op(const std::vector<histogram>& all, const std::string& op);

// Nanoseconds that a @part (0 to 1) of the requests took at most; below 0: there are none.
double quantile_ns(const histogram& of, double part);

// "8.2 us", "13 ms".
std::string duration_text(double ns);

// For people: a line for each op and each path that had requests.
std::string latency_text(const std::vector<histogram>& all);

}  // namespace rr
