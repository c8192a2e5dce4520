// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values of a task: one lookup a run, pages lent by the process, each version
// its own layout.
#include <bpf/bpf.h>

#include <thread>

#include "helpers.h"
#include "store/task.h"

namespace rr::store {
namespace {

class Task : public StoreTest {
protected:
    void SetUp() override {
        if (const std::string reason = missing_uptr(); !reason.empty())
            GTEST_SKIP() << reason;
        StoreTest::SetUp();
    }
};

TEST_F(Task, ValuesFollowTheProgramsVersion) {
    store s = make("task_v1");
    program v1(s, "task_v1");
    EXPECT_EQ(v1.run("bump"), 1);  // not joined: no values
    auto joined = task_values::join(s, v1.map_fd(KV_MAP_TASKS));
    ASSERT_OK(joined);
    task_values& task = *joined;
    EXPECT_EQ(as<uint32_t>(*task.get(2)), 5u);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(v1.run("bump"), 0);
    EXPECT_EQ(as<uint32_t>(*task.get(2)), 15u);
    EXPECT_EQ((*task.get(3))[3999], 10);
    EXPECT_EQ(value_of<uint64_t>(s, 1), 10u);
    ASSERT_OK(task.put(2, view(uint32_t{100})));
    EXPECT_EQ(v1.run("bump"), 0);
    EXPECT_EQ(as<uint32_t>(*task.get(2)), 101u);
    EXPECT_EQ(s.get(2).error().err, ENOTSUP);

    // Eight pages in version 2, a wider number; none seen before the conversion.
    ASSERT_EQ(bpf_obj_pin(v1.map_fd(KV_MAP_TASKS), pin("store_tasks").c_str()), 0);
    bpf_host host(pin("store"), load_object("task_v2"), {}, s.at());
    ASSERT_OK(apply(s, object_manifest("task_v2"), host, {}));
    program v2(s, "task_v2", true, v1.map_fd(KV_MAP_TASKS));
    EXPECT_EQ(v2.run("bump"), 1);
    EXPECT_EQ(v1.run("bump"), 0);  // not gated here: its values are still its own
    ASSERT_OK(task.follow());
    EXPECT_EQ(task.pages(), static_cast<uint32_t>(KV_TASK_PAGES));
    EXPECT_EQ(v1.run("bump"), 1);
    EXPECT_EQ(v2.run("bump"), 0);
    EXPECT_EQ(as<uint64_t>(*task.get(2)), 103u);
    EXPECT_EQ((*task.get(3))[3999], 13);
    EXPECT_EQ((*task.get(10))[4095], 42);

    // And back: the number fits again.
    ASSERT_OK(rollback(s, host, {}));
    EXPECT_EQ(v1.run("bump"), 1);
    ASSERT_OK(task.follow());
    EXPECT_EQ(v1.run("bump"), 0);
    EXPECT_EQ(as<uint32_t>(*task.get(2)), 104u);
    EXPECT_EQ(task.pages(), 1u);
}

TEST_F(Task, ThreadsHaveTheirOwn) {
    store s = make("task_v1");
    program p(s, "task_v1");
    std::vector<std::thread> threads;
    std::vector<uint32_t> seen(3);
    for (size_t i = 0; i < seen.size(); i++)
        threads.emplace_back([&, i] {
            auto task = task_values::join(s, p.map_fd(KV_MAP_TASKS));
            ASSERT_OK(task);
            for (size_t n = 0; n <= i; n++)
                EXPECT_EQ(p.run("bump"), 0);
            seen[i] = as<uint32_t>(*task->get(2));
        });
    for (std::thread& t : threads)
        t.join();
    EXPECT_EQ(seen, (std::vector<uint32_t>{6, 7, 8}));
    EXPECT_EQ(value_of<uint64_t>(s, 1), 6u);
}

}  // namespace
}  // namespace rr::store
