// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From version to version with programs that run: values, links, pins, and
// what is left when the process is killed at any step.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "helpers.h"

namespace rr::store {
namespace {

struct limits1 {
    uint32_t rate, burst;
};
struct limits2 {
    uint64_t burst;
    uint32_t rate, window;
};
struct limits3 {
    uint32_t window;
    uint32_t pad;
    uint64_t burst;
    uint32_t speed;
    uint32_t pad2;
    uint64_t extra[2];
};

constexpr uint64_t weight[] = {0, 1, 1000, 1000000};

class Rollout : public StoreTest {
protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped())
            return;
        // A loopback of our own, for the packets that are counted.
        static const bool own_net = ::unshare(CLONE_NEWNET) == 0;
        ASSERT_TRUE(own_net);
        Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
        ifreq request{};
        std::strcpy(request.ifr_name, "lo");
        request.ifr_flags = IFF_UP;
        ASSERT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0);
    }

    // The program of a version, attached: tcx (updated in place) or a raw
    // tracepoint (attached beside).
    void start(const store& s, const std::string& object, bool tcx,
               const std::string& name = "link") {
        program p(s, object);
        bpf_link* link = nullptr;
        if (tcx) {
            LIBBPF_OPTS(bpf_tcx_opts, options);
            link = bpf_program__attach_tcx(bpf_object__find_program_by_name(p.object(), "count"), 1,
                                           &options);
        } else {
            link = bpf_program__attach(bpf_object__find_program_by_name(p.object(), "trace"));
        }
        ASSERT_NE(link, nullptr) << std::strerror(errno);
        ASSERT_EQ(bpf_link__pin(link, pin(name).c_str()), 0);
        bpf_link__destroy(link);
    }

    static void traffic() {
        Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(9);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int i = 0; i < 5; i++)
            (void)::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    }

    // Only the program of @version runs now.
    static void expect_running(const store& s, uint32_t version) {
        bool odd = false;
        for (int i = 0; i < 30; i++) {
            const auto before = value_of<uint64_t>(s, 9);
            traffic();
            const uint64_t more = value_of<uint64_t>(s, 9) - before;
            ASSERT_GT(more, 0u) << "nothing runs";
            ASSERT_EQ(more % weight[version], 0u) << "an older version runs";
            odd = odd || version == 3 || more % weight[version + 1] != 0;
        }
        EXPECT_TRUE(odd) << "a newer version runs";
    }

    [[nodiscard]] std::vector<link_spec> link(bool tcx) const {
        return {{pin("link"), tcx ? "count" : "trace"}};
    }

    Result<rollout_report> to_version(store& s, int version, bool tcx, rollout_options how = {}) {
        return to_version(s, version, link(tcx), how);
    }
    Result<rollout_report> to_version(store& s, int version, std::vector<link_spec> links,
                                      const rollout_options& how = {}) {
        const std::string object = fmt::format("flow_v{}", version);
        bpf_host host(pin("store"), load_object(object), std::move(links), s.at());
        return apply(s, object_manifest(object), host, how);
    }
};

class RolloutKinds : public Rollout, public ::testing::WithParamInterface<bool> {};

TEST_P(RolloutKinds, ThreeVersionsAndBack) {
    const bool tcx = GetParam();
    store s = make("flow_v1");
    start(s, "flow_v1", tcx);
    ASSERT_OK(s.put(2, view(limits1{55, 66})));
    ASSERT_OK(s.put(3, view(uint32_t{33}), access::owner));
    ASSERT_OK(s.put(4, view(uint32_t{12})));
    ASSERT_OK(s.put(5, view(uint32_t{99})));
    ASSERT_OK(s.make(50, "dyn", KV_SYNC_SEQ, bytes{1, 2, 3}));
    expect_running(s, 1);

    auto report = to_version(s, 2, tcx);
    ASSERT_OK(report);
    RecordProperty("pause_us", std::to_string(report->pause_ns / 1000));
    expect_running(s, 2);
    EXPECT_EQ(value_of<limits2>(s, 2).rate, 55u);
    EXPECT_EQ(value_of<limits2>(s, 2).burst, 66u);
    EXPECT_EQ(value_of<limits2>(s, 2).window, 60u);
    EXPECT_EQ(value_of<uint64_t>(s, 3), 33u);
    EXPECT_EQ(value_of<uint64_t>(s, 4), 12000u);  // by the converter
    EXPECT_EQ(value_of<uint32_t>(s, 5), 4u);      // reset
    EXPECT_EQ(value_of<float>(s, 6), 0.5f);       // a cache of another type
    EXPECT_EQ(value_of<uint16_t>(s, 7), 77u);
    EXPECT_EQ(*s.get(50), (bytes{1, 2, 3}));
    EXPECT_REFUSED(to_version(s, 3, tcx), EBUSY, "probation");

    // What is written on probation comes back with the old version.
    ASSERT_OK(s.put(2, view(limits2{77, 88, 5})));
    ASSERT_OK(s.put(4, view(uint64_t{30000})));
    ASSERT_OK(s.put(3, view(uint64_t{500000}), access::owner));  // v1 ends at 1000
    ASSERT_OK(s.put(50, bytes{4, 5, 6}));
    ASSERT_OK(s.make(51, "new", KV_SYNC_OWNER, bytes{7}));
    const auto packets = value_of<uint64_t>(s, 1);
    {
        bpf_host host(pin("store"));  // another process: knows only the store
        auto back = rollback(s, host, {});
        ASSERT_OK(back);
        ASSERT_EQ(back->kept_old.size(), 1u);
        EXPECT_NE(back->kept_old[0].find("sample"), std::string::npos);
    }
    expect_running(s, 1);
    EXPECT_EQ(value_of<limits1>(s, 2).rate, 88u);
    EXPECT_EQ(value_of<limits1>(s, 2).burst, 77u);
    EXPECT_EQ(value_of<uint32_t>(s, 3), 33u);
    EXPECT_EQ(value_of<uint32_t>(s, 4), 30u);
    EXPECT_GE(value_of<uint64_t>(s, 1), packets);
    EXPECT_EQ(*s.get(50), (bytes{4, 5, 6}));
    EXPECT_EQ(*s.get(51), (bytes{7}));
    EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));

    // And forward again, twice, each committed.
    ASSERT_OK(to_version(s, 2, tcx));
    bpf_host host(pin("store"));
    ASSERT_OK(commit(s, host));
    expect_running(s, 2);
    ASSERT_OK(to_version(s, 3, tcx));
    ASSERT_OK(commit(s, host));
    expect_running(s, 3);
    EXPECT_EQ(value_of<limits3>(s, 2).speed, 88u);
    EXPECT_EQ(value_of<limits3>(s, 2).burst, 77u);
    EXPECT_EQ(value_of<limits3>(s, 2).window, 60u);
    EXPECT_EQ(value_of<limits3>(s, 2).extra[1], 2u);
    EXPECT_EQ(value_of<uint64_t>(s, 4), 30000u);
    EXPECT_EQ(value_of<uint8_t>(s, 8), 1u);
    ASSERT_OK(verify(s));
    EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));

    // Down by an apply: what would be lost is asked for.
    auto down = to_version(s, 2, tcx);
    EXPECT_REFUSED(down, EINVAL, "lost");
    ASSERT_OK(to_version(s, 2, tcx, {{"limits", "added", "late"}, {}}));
    ASSERT_OK(commit(s, host));
    expect_running(s, 2);
    EXPECT_EQ(value_of<limits2>(s, 2).rate, 88u);
    EXPECT_EQ(value_of<limits2>(s, 2).burst, 77u);
}

INSTANTIATE_TEST_SUITE_P(Links, RolloutKinds, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "Updated" : "Beside"; });

TEST_F(Rollout, PlanChangesNothing) {
    store s = make("flow_v1");
    start(s, "flow_v1", false);
    auto shut = s.shut_gate();
    ASSERT_OK(shut);
    const bytes before = snapshot(s);
    bpf_host host(pin("store"), load_object("flow_v2"), link(false), s.at());
    auto report = plan(s, object_manifest("flow_v2"), &host, {});
    ASSERT_OK(report);
    EXPECT_EQ(snapshot(s), before);
    EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));
    std::map<std::string, std::string> kinds;
    for (const key_diff& d : report->keys)
        kinds[d.name] = d.kind;
    EXPECT_EQ(kinds["packets"], "same");
    EXPECT_EQ(kinds["limits"], "widened");
    EXPECT_EQ(kinds["sampling"], "widened");
    EXPECT_EQ(kinds["milliseconds"], "redefined");
    EXPECT_EQ(kinds["guess"], "retyped");
    EXPECT_EQ(kinds["added"], "added");
}

// Something else than values goes wrong: the old version goes on.
TEST_F(Rollout, FailedApplyLeavesNoTrace) {
    store s = make("flow_v1");
    start(s, "flow_v1", false);
    auto failing = [&](std::vector<link_spec> links) {
        bpf_host host(pin("store"), load_object("flow_v2"), std::move(links), s.at());
        return apply(s, object_manifest("flow_v2"), host, {});
    };
    EXPECT_REFUSED(failing({{pin("nolink"), ""}}), ENOENT, "nolink");
    EXPECT_REFUSED(failing({{pin("link"), "nobody"}}), ENOENT, "nobody");
    // A value that the converter or the range refuses stops it in the pause.
    ASSERT_OK(s.put(3, view(uint32_t{1}), access::owner));
    *reinterpret_cast<uint32_t*>(s.at().bytes_at(kv_meta_offset(s.at().word(0, 3)))) = 0;
    EXPECT_REFUSED(failing(link(false)), ERANGE, "sampling");
    ASSERT_OK(s.put(3, view(uint32_t{5}), access::owner));
    EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));
    expect_running(s, 1);
    ASSERT_OK(failing(link(false)));
    expect_running(s, 2);
}

// What a process leaves that was killed in the middle: recover() says which
// version it is, and that version is whole and runs.
class Cut : public Rollout {
protected:
    std::vector<std::string> steps_of(
        const std::function<void(const rollout_options&)>& operation) {
        std::vector<std::string> steps;
        rollout_options how;
        how.on_step = [&](const std::string& name) { steps.push_back(name); };
        operation(how);
        return steps;
    }

    static void die_at(size_t step, const std::function<void(const rollout_options&)>& operation) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            size_t n = 0;
            rollout_options how;
            how.on_step = [&](const std::string&) {
                if (n++ == step)
                    ::kill(::getpid(), SIGKILL);
            };
            operation(how);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << "step " << step << " was not reached";
    }

    void prepare(store& s, bool probation, const std::vector<link_spec>& links) {
        ASSERT_OK(s.put(2, view(limits1{55, 66})));
        ASSERT_OK(s.put(3, view(uint32_t{33}), access::owner));
        ASSERT_OK(s.put(4, view(uint32_t{12})));
        if (!probation)
            return;
        ASSERT_OK(to_version(s, 2, links));
        ASSERT_OK(s.put(4, view(uint64_t{15000})));
    }

    // One of the two, whole.
    void expect_whole(const store& s, uint32_t version, uint32_t seconds) {
        ASSERT_OK(verify(s));
        auto m = s.describe();
        ASSERT_OK(m);
        ASSERT_EQ(m->version, version);
        if (version == 1) {
            EXPECT_EQ(value_of<limits1>(s, 2).rate, 55u);
            EXPECT_EQ(value_of<limits1>(s, 2).burst, 66u);
            EXPECT_EQ(value_of<uint32_t>(s, 3), 33u);
            EXPECT_EQ(value_of<uint32_t>(s, 4), seconds);
        } else {
            EXPECT_EQ(value_of<limits2>(s, 2).rate, 55u);
            EXPECT_EQ(value_of<limits2>(s, 2).burst, 66u);
            EXPECT_EQ(value_of<uint64_t>(s, 3), 33u);
            EXPECT_EQ(value_of<uint64_t>(s, 4), seconds * 1000);
        }
        expect_running(s, version);
    }

    void remove_pins() const {
        for (const std::string& p : pins())
            ::unlink(pin(p).c_str());
    }
};

// Before every step of an operation.
class Killed : public Cut, public ::testing::WithParamInterface<bool> {
protected:
    void fresh_store(const std::function<void(store&)>& test, bool probation) {
        store s = make("flow_v1");
        start(s, "flow_v1", GetParam());
        prepare(s, probation, link(GetParam()));
        if (!HasFatalFailure())
            test(s);
        remove_pins();
    }

    // Kills @run before each of its steps; @judge gets what recover() made of it.
    void kill_everywhere(bool probation, size_t least_steps,
                         const std::function<void(store&, const rollout_options&)>& run,
                         const std::function<void(store&, bpf_host&, const recovery&)>& judge) {
        size_t count = 0;
        for (size_t step = 0; step <= count; step++)
            fresh_store(
                [&](store& s) {
                    auto go = [&](const rollout_options& how) { run(s, how); };
                    if (step == 0) {
                        count = steps_of(go).size();
                        EXPECT_GE(count, least_steps);
                        return;
                    }
                    die_at(step - 1, go);
                    SCOPED_TRACE(fmt::format("killed at step {} of {}", step, count));
                    // Even before anybody recovers, one version is whole.
                    auto opened = store::open(pin("store"));
                    ASSERT_OK(opened);
                    ASSERT_OK(opened->describe());
                    bpf_host host(pin("store"));
                    auto found = recover(*opened, host);
                    ASSERT_OK(found);
                    judge(*opened, host, *found);
                },
                probation);
    }
};

TEST_P(Killed, InApply) {
    size_t old_states = 0;
    size_t new_states = 0;
    kill_everywhere(
        false, 16,
        [&](store& s, const rollout_options& how) { (void)to_version(s, 2, GetParam(), how); },
        [&](store& s, bpf_host& host, const recovery& found) {
            const bool is_new = found.state == whole::new_state;
            (is_new ? new_states : old_states)++;
            EXPECT_NE(found.sentence.find(is_new ? "version 2" : "version 1"), std::string::npos)
                << found.sentence;
            expect_whole(s, is_new ? 2 : 1, 12);
            if (!is_new) {
                EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));
            }
            // And it goes on from there.
            if (is_new) {
                ASSERT_OK(commit(s, host));
            } else {
                ASSERT_OK(to_version(s, 2, GetParam()));
            }
            expect_whole(s, 2, 12);
        });
    // Both outcomes were met: the flip lies within.
    EXPECT_GT(old_states, 5u);
    EXPECT_GE(new_states, 2u);
}

TEST_P(Killed, InRollback) {
    size_t old_states = 0;
    size_t new_states = 0;
    kill_everywhere(
        true, 11,
        [&](store& s, const rollout_options& how) {
            bpf_host host(pin("store"));
            (void)rollback(s, host, how);
        },
        [&](store& s, bpf_host& host, const recovery& found) {
            const bool is_new = found.state == whole::new_state;
            (is_new ? new_states : old_states)++;
            expect_whole(s, is_new ? 2 : 1, 15);
            if (is_new) {
                ASSERT_OK(rollback(s, host, {}));
            }
            expect_whole(s, 1, 15);
            EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store"}));
        });
    EXPECT_GE(old_states, 2u);
    EXPECT_GT(new_states, 5u);
}

TEST_P(Killed, InCommit) {
    kill_everywhere(
        true, 3,
        [&](store& s, const rollout_options& how) {
            bpf_host host(pin("store"));
            (void)commit(s, host, how);
        },
        [&](store& s, bpf_host& host, const recovery&) {
            expect_whole(s, 2, 15);
            if (kv_state_phase(s.at().state()) == KV_PROBATION) {
                ASSERT_OK(commit(s, host));
            }
            expect_whole(s, 2, 15);
        });
}

INSTANTIATE_TEST_SUITE_P(Links, Killed, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "Updated" : "Beside"; });

// At every system call that changes links, pins or programs, or waits for
// them: between two of them nothing outlives the process but the store itself.
class KilledInCall : public Cut, public ::testing::WithParamInterface<const char*> {
protected:
    [[nodiscard]] std::vector<link_spec> both() const {
        return {{pin("link"), "count"}, {pin("trace"), "trace"}};
    }

    void operate(store& s) {
        const std::string what = GetParam();
        bpf_host host(pin("store"));
        if (what == "Apply")
            (void)to_version(s, 2, both());
        else if (what == "Rollback")
            (void)rollback(s, host, {});
        else
            (void)commit(s, host);
    }

    static bool changes_something(uint64_t call, uint64_t command) {
        switch (call) {
            case SYS_unlink:
            case SYS_unlinkat:
            case SYS_rename:
            case SYS_renameat:
            case SYS_renameat2:
            case SYS_membarrier:
                return true;
            case SYS_bpf:
                return command == BPF_OBJ_PIN || command == BPF_LINK_CREATE ||
                       command == BPF_LINK_UPDATE || command == BPF_RAW_TRACEPOINT_OPEN ||
                       command == BPF_PROG_TEST_RUN;
            default:
                return false;
        }
    }

    // The operation in a process that ends as it enters such a call number @n;
    // false when it has fewer.
    bool die_in_call(store& s, size_t n) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::ptrace(PTRACE_TRACEME, 0, 0, 0);
            ::raise(SIGSTOP);
            operate(s);
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        ::ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
        while (WIFSTOPPED(status)) {
            __ptrace_syscall_info info{};
            ::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info);
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY &&
                changes_something(info.entry.nr, info.entry.args[0]) && n-- == 0)
                ::kill(child, SIGKILL);
            ::ptrace(PTRACE_SYSCALL, child, 0, 0);
            ::waitpid(child, &status, 0);
        }
        return WIFSIGNALED(status);
    }

    // Recovered, then ended as it was meant.
    void settle(store& s) {
        ASSERT_OK(s.describe());
        bpf_host host(pin("store"));
        const std::string what = GetParam();
        const uint32_t seconds = what == "Apply" ? 12 : 15;
        auto found = recover(s, host);
        ASSERT_OK(found);
        const uint32_t version = s.describe()->version;
        versions_.insert(version);
        ASSERT_NO_FATAL_FAILURE(expect_whole(s, version, seconds));
        // Each link has the program of that version: the other one would be quiet.
        const auto packets = value_of<uint64_t>(s, 1);
        traffic();
        EXPECT_GT(value_of<uint64_t>(s, 1), packets) << "the updated link's program is quiet";
        const bool probation = kv_state_phase(s.at().state()) == KV_PROBATION;
        if (what == "Apply" && version == 1) {
            EXPECT_EQ(pins(), (std::vector<std::string>{"link", "store", "trace"}));
            ASSERT_OK(to_version(s, 2, both()));
            ASSERT_NO_FATAL_FAILURE(expect_whole(s, 2, seconds));
        } else if (what == "Rollback" && version == 2) {
            ASSERT_OK(rollback(s, host, {}));
            ASSERT_NO_FATAL_FAILURE(expect_whole(s, 1, seconds));
        } else if (what == "Commit" && probation) {
            ASSERT_OK(commit(s, host));
            ASSERT_NO_FATAL_FAILURE(expect_whole(s, 2, seconds));
        }
        if (what != "Apply") {
            std::vector<std::string> left = pins();
            std::erase_if(
                left, [](const std::string& p) { return p.find("_down_") != std::string::npos; });
            EXPECT_EQ(left, (std::vector<std::string>{"link", "store", "trace"}));
        }
    }

    std::set<uint32_t> versions_;
};

TEST_P(KilledInCall, LeavesOneVersionWhole) {
    size_t calls = 0;
    for (bool more = true; more && !HasFatalFailure(); calls++) {
        SCOPED_TRACE(fmt::format("killed in call {}", calls));
        store s = make("flow_v1");
        start(s, "flow_v1", true);
        start(s, "flow_v1", false, "trace");
        prepare(s, std::string(GetParam()) != "Apply", both());
        ASSERT_FALSE(HasFatalFailure());
        more = die_in_call(s, calls);
        if (more)
            settle(s);
        remove_pins();
    }
    RecordProperty("calls", static_cast<int>(calls));
    EXPECT_GT(calls, 4u);
    if (std::string(GetParam()) == "Rollback") {
        EXPECT_EQ(versions_, (std::set<uint32_t>{1, 2}));
    }
}

INSTANTIATE_TEST_SUITE_P(Of, KilledInCall, ::testing::Values("Apply", "Rollback", "Commit"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace rr::store
