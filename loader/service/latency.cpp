// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "service/report.h"

namespace rr {
namespace {

constexpr double thousand = 1000;

std::vector<uint64_t> numbers_in(const nlohmann::json& of, const char* key) {
    std::vector<uint64_t> out;
    const auto at = of.find(key);
    if (at == of.end() || !at->is_array())
        return out;
    for (const nlohmann::json& one : *at)
        out.push_back(one.is_number_unsigned() ? one.get<uint64_t>() : 0);
    return out;
}

std::string line_of(const std::string& name, const histogram& of) {
    const uint64_t count = of.count();
    std::string out = fmt::format("{:>16} : {:>10} {:>8}", name, count,
                                  duration_text(static_cast<double>(of.total_ns) /
                                                static_cast<double>(std::max<uint64_t>(count, 1))));
    for (const double part : {0.5, 0.99, 0.999})
        out += fmt::format(" {:>8}", duration_text(quantile_ns(of, part)));
    return out + '\n';
}

}  // namespace

uint64_t histogram::count() const {
    return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
}

histogram& histogram::operator+=(const histogram& other) {
    if (buckets.empty()) {
        bounds_ns = other.bounds_ns;
        buckets.resize(other.buckets.size());
    }
    for (size_t i = 0; i < std::min(buckets.size(), other.buckets.size()); i++)
        buckets[i] += other.buckets[i];
    total_ns += other.total_ns;
    return *this;
}

histogram histogram::since(const histogram& before) const {
    histogram out = *this;
    if (before.buckets.size() != buckets.size() || before.total_ns > total_ns)
        return out;
    for (size_t i = 0; i < buckets.size(); i++) {
        if (before.buckets[i] > buckets[i])
            return *this;
        out.buckets[i] -= before.buckets[i];
    }
    out.total_ns -= before.total_ns;
    return out;
}

std::vector<histogram> histograms_of(const nlohmann::json& status) {
    std::vector<histogram> out;
    const auto latency = status.find("latency");
    if (latency == status.end() || !latency->is_object())
        return out;
    const std::vector<uint64_t> bounds = numbers_in(*latency, "bounds_ns");
    for (const nlohmann::json& way : latency->value("ways", nlohmann::json::array())) {
        if (!way.is_object())
            continue;
        histogram one{text_in(way, "op"), text_in(way, "path"), bounds, numbers_in(way, "buckets"),
                      0};
        const auto total = way.find("total_ns");
        if (total != way.end() && total->is_number_unsigned())
            one.total_ns = total->get<uint64_t>();
        if (one.buckets.size() == bounds.size() + 1)
            out.push_back(std::move(one));
    }
    return out;
}

histogram histogram_of_op(const std::vector<histogram>& all, const std::string& op) {
    histogram sum;
    sum.op = op;
    for (const histogram& one : all) {
        if (one.op == op)
            sum += one;
    }
    return sum;
}

double quantile_ns(const histogram& of, double part) {
    const double wanted = part * static_cast<double>(of.count());
    if (of.count() == 0)
        return -1;
    double below = 0;
    for (size_t i = 0; i < of.bounds_ns.size(); i++) {
        const auto here = static_cast<double>(of.buckets[i]);
        if (here > 0 && below + here >= wanted) {
            const double low = i == 0 ? 0 : static_cast<double>(of.bounds_ns[i - 1]);
            return low + (static_cast<double>(of.bounds_ns[i]) - low) * (wanted - below) / here;
        }
        below += here;
    }
    return of.bounds_ns.empty() ? -1 : static_cast<double>(of.bounds_ns.back());
}

std::string duration_text(double ns) {
    if (ns < 0)
        return "-";
    for (const char* unit : {"ns", "us", "ms"}) {
        if (ns < thousand)
            return fmt::format("{:.{}f} {}", ns, ns < 10 ? 1 : 0, unit);
        ns /= thousand;
    }
    return fmt::format("{:.1f} s", ns);
}

std::string latency_text(const std::vector<histogram>& all) {
    std::string out;
    for (const char* op : {"read", "write", "flush", "refused"}) {
        const histogram sum = histogram_of_op(all, op);
        if (sum.count() == 0)
            continue;
        out += line_of(op, sum);
        const auto paths = std::ranges::count_if(
            all, [op](const histogram& one) { return one.op == op && one.path != "none"; });
        for (const histogram& one : all) {
            if (paths != 0 && one.op == op && one.count() != 0)
                out += line_of(one.path, one);
        }
    }
    return out.empty() ? out
                       : fmt::format("{:>16} : {:>10} {:>8} {:>8} {:>8} {:>8}\n{}", "latency",
                                     "requests", "mean", "p50", "p99", "p99.9", out);
}

}  // namespace rr
