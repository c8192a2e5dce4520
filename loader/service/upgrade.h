// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A running array's program is swapped for another version.
//
// The roll-out is the KV store's (store/rollout.h); this is its host. Programs
// are kept off the store by parking: every queue ends what it has in flight,
// leaves its program and waits in user space (bpf/ring/park.h). Only when all
// have is the first one detached, so no step of one version ever runs beside
// a step of the other. Clients wait meanwhile; none gets an error.
//
//   load      the verifier's work, while the old program serves
//   park      drain; EBUSY and nothing changed when a member takes too long
//   swap      detach the old program from all rings, attach the new one
//   resume    the queues enter their rings again
//
// When the new program cannot be attached the old one is attached again. When
// that fails too, the process ends: its successor takes the array over.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/program.h"
#include "engine/queue.h"
#include "store/bpf_host.h"

namespace rr {

// Programs of an array whose queues do not run: for moving values only.
class idle_host : public store::bpf_host {
public:
    idle_host(const std::string& store_pin, const store::area& at, int arena_fd);
    [[nodiscard]] bool parks() const override { return true; }

protected:
    Status prepare(bpf_object* object) override;

private:
    program_setting setting_;
};

// What an upgrade works on; all of it outlives the host.
struct running_queues {
    rr_array* array = nullptr;
    std::vector<std::unique_ptr<queue_thread>>* queues = nullptr;
    program_setting setting;
    std::mutex* lock = nullptr;  // of the two below, which others look at
    std::optional<bpf_program_set>* running = nullptr;
    std::optional<bpf_program_set>* other = nullptr;  // to come, or to come back
};

class queue_host : public store::bpf_host {
public:
    // An upgrade to @object.
    queue_host(const std::string& store_pin, const store::area& at, running_queues queues,
               store::bytes object);
    // For a rollback or commit: `running` is the new version's program.
    queue_host(const std::string& store_pin, running_queues queues);

    [[nodiscard]] bool parks() const override { return true; }
    Status park() override;
    Status swap(const store::area& at, bool to_new) override;
    void resume() override;

protected:
    Status prepare(bpf_object* object) override;

private:
    running_queues q_;
    bool new_runs_;
};

}  // namespace rr
