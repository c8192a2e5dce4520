// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Histograms as people read them: sums over queues, quantiles beside a sorted list, what
// came between two looks, and answers that make no sense.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine_under_test.h"
#include "service/latency.h"
#include "service/report.h"

namespace {

using rr::histogram;
using rr::histogram_of_op;
using rr::histograms_of;
using rr::quantile_ns;

histogram made_of(const std::vector<uint64_t>& times) {
    histogram out{"read", "direct", {}, std::vector<uint64_t>(RR_LATENCY_BUCKETS), 0};
    for (uint32_t i = 0; i + 1 < RR_LATENCY_BUCKETS; i++)
        out.bounds_ns.push_back(uint64_t{1024} << i);
    for (uint64_t ns : times) {
        const auto at = std::ranges::upper_bound(out.bounds_ns, ns) - out.bounds_ns.begin();
        out.buckets[static_cast<size_t>(at)]++;
        out.total_ns += ns;
    }
    return out;
}

TEST(LatencyReport, AStatusSumsQueuesAndNamesWays) {
    rr::array_config config = rr::test::shape(4, 128);
    config.queues = 2;
    rr::test::small_array array(config);
    auto* of = reinterpret_cast<rr_latencies*>(reinterpret_cast<char*>(array.get()) +
                                               array->latency_offset);
    of[0].way[RR_WAY_RMW].count[3] = 5;
    of[1].way[RR_WAY_RMW].count[3] = 2;
    of[1].way[RR_WAY_RMW].count[RR_LATENCY_BUCKETS - 1] = 1;
    of[0].way[RR_WAY_RMW].total_ns = 100;
    of[1].way[RR_WAY_RMW].total_ns = 11;
    of[1].way[RR_WAY_FLUSH].count[0] = 4;
    array->latency_on = 1;
    const nlohmann::json status = {{"latency", rr::latency_of(array.get())}};
    EXPECT_EQ(status["latency"]["on"], true);
    const auto all = histograms_of(status);
    ASSERT_EQ(all.size(), size_t{RR_WAYS});
    EXPECT_EQ(all[RR_WAY_RMW].path, "rmw");
    EXPECT_EQ(all[RR_WAY_RMW].buckets[3], 7U);
    EXPECT_EQ(all[RR_WAY_RMW].count(), 8U);
    EXPECT_EQ(all[RR_WAY_RMW].total_ns, 111U);
    EXPECT_EQ(all[RR_WAY_RMW].bounds_ns, made_of({}).bounds_ns);
    EXPECT_EQ(histogram_of_op(all, "write").count(), 8U);
    EXPECT_EQ(histogram_of_op(all, "flush").count(), 4U);
    EXPECT_EQ(histogram_of_op(all, "read").count(), 0U);
}

// Nothing of one queue is in the next one's, or in what lies behind.
TEST(LatencyReport, TheyHaveAPartOfTheirOwn) {
    rr::array_config config = rr::test::shape(4, 128);
    config.queues = RR_QUEUES_MAX;
    const rr::test::small_array array(config);
    const rr_array* a = const_cast<rr::test::small_array&>(array).get();
    EXPECT_GE(a->latency_offset, a->regions_offset + a->regions * sizeof(rr_u32));
    EXPECT_LE(a->latency_offset + a->queues * sizeof(rr_latencies), a->queues_offset);
}

TEST(LatencyReport, AQuantileIsWithinItsBucket) {
    std::mt19937_64 any(7);
    for (int round = 0; round < 200; round++) {
        std::vector<uint64_t> times(1 + any() % 500);
        for (uint64_t& ns : times)
            ns = any() >> (34 + any() % 30);
        const histogram of = made_of(times);
        std::ranges::sort(times);
        for (const double part : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            const auto rank =
                static_cast<size_t>(std::ceil(part * static_cast<double>(times.size())));
            const auto right = static_cast<double>(times[std::max<size_t>(rank, 1) - 1]);
            const double found = quantile_ns(of, part);
            EXPECT_LE(found, std::max(1024.0, right * 2)) << part;
            EXPECT_GE(found * 2, right > 1024 ? right : 0) << part;
        }
    }
    EXPECT_LT(quantile_ns(made_of({}), 0.5), 0);
    EXPECT_EQ(quantile_ns(made_of({~uint64_t{0} >> 1}), 0.5), 1024.0 * (1 << 22));
}

TEST(LatencyReport, BetweenTwoLooks) {
    const histogram before = made_of({5000, 70000}), now = made_of({5000, 70000, 5100, 9});
    EXPECT_EQ(now.since(before).buckets, made_of({5100, 9}).buckets);
    EXPECT_EQ(now.since(before).total_ns, 5109U);
    // The array was stopped and started between them.
    EXPECT_EQ(before.since(now).buckets, before.buckets);
    EXPECT_EQ(now.since(histogram{}).buckets, now.buckets);
}

TEST(LatencyReport, WhatMakesNoSenseIsLeftOut) {
    using nlohmann::json;
    for (const char* text :
         {R"({})", R"({"latency": 3})", R"({"latency": {"ways": 4}})",
          R"({"latency": {"bounds_ns": [1], "ways": [1, "x", null]}})",
          R"({"latency": {"bounds_ns": [1], "ways": [{"op": 1, "buckets": "x", "total_ns": []}]}})",
          R"({"latency": {"bounds_ns": [1], "ways": [{"op": "read", "buckets": [1, 2, 3]}]}})"})
        EXPECT_TRUE(histograms_of(json::parse(text)).empty()) << text;
    EXPECT_EQ(rr::latency_text({}), "");
    EXPECT_EQ(histogram_of_op({}, "read").count(), 0U);
}

TEST(LatencyReport, ForPeople) {
    EXPECT_EQ(rr::duration_text(-1), "-");
    EXPECT_EQ(rr::duration_text(7), "7.0 ns");
    EXPECT_EQ(rr::duration_text(8200), "8.2 us");
    EXPECT_EQ(rr::duration_text(13e6), "13 ms");
    EXPECT_EQ(rr::duration_text(4.3e9), "4.3 s");
    const std::string text = rr::latency_text({made_of({1500, 1500})});
    EXPECT_EQ(text,
              "         latency :   requests     mean      p50      p99    p99.9\n"
              "            read :          2   1.5 us   1.5 us   2.0 us   2.0 us\n"
              "          direct :          2   1.5 us   1.5 us   2.0 us   2.0 us\n");
}

}  // namespace
