// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One array, served: from its members to /dev/ublkbN and back.
//
// Order of a start, each step undone by the destructor when a later one fails:
//
//   members      opened O_EXCL, superblocks judged
//   lock         flock on the run directory: one daemon per array
//   ublk         a device with the limits of the members; state.json
//   arena        made, every page touched
//   metadata     dirty, durable, before anything can be written
//   store        the BPF program's KV store, made or recovered
//   queues       rings and threads; the BPF program attached
//   durability   the thread that records failures
//   START        the block device appears
//
// After kill -9 the kernel keeps the ublk device and its clients wait. The
// next start finds state.json and the arena, and instead of adding a device:
//
//   START_USER_RECOVERY   succeeds when the dead daemon's I/O is over
//   redo                  rows that were being written are written again
//   END_USER_RECOVERY     the clients' requests come again
//
// A stop is START in reverse: STOP, queues end, members flushed, clean.
//
// The process that calls this must not fork afterwards: a child would keep
// links, rings and the device alive.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/arena_memory.h"
#include "engine/layout.h"
#include "engine/program.h"
#include "engine/queue.h"
#include "members/nvme.h"
#include "service/durability.h"
#include "service/kept_state.h"
#include "service/membership.h"
#include "service/paths.h"
#include "ublk/control.h"

namespace rr {

struct service_options {
    std::vector<std::string> devices;
    md::assembly_options assembly;
    std::optional<engine_host> host;  // nothing: bpf where the kernel has it
    std::optional<uint32_t> queues;   // nothing: one per CPU, at most 4
    uint32_t depth = 64;
    uint32_t slots = 64;
    uint64_t arena_bytes_max = uint64_t{1} << 30;
    bool zero_copy = true;
    bool passthrough = false;  // NVMe commands to the members, past the block layer
};

class array_service {
public:
    // EBUSY: the array is being served. EUCLEAN with a hint: parity must be
    // recomputed first (the caller does that, with progress).
    static Result<std::unique_ptr<array_service>> start(const service_options& options);
    // What start() would refuse for an array with such superblocks, before
    // anything is written to its members.
    static Status check_new(const service_options& options,
                            const std::vector<member_device>& devices,
                            const md::md_superblock& superblock);
    ~array_service();
    array_service(const array_service&) = delete;
    array_service& operator=(const array_service&) = delete;

    // Serves until SIGTERM, SIGINT or a stop request; returns after a clean
    // stop, or with the error that ended the service.
    Status run();

    [[nodiscard]] const std::string& block_path() const { return block_path_; }
    [[nodiscard]] const array_paths& paths() const { return *paths_; }
    [[nodiscard]] nlohmann::json status() const;

private:
    explicit array_service(const service_options& options) : options_(options) {}

    Status start_all();
    Status take_lock();
    Status choose_engine();
    Status check_engine();
    Status check_cpus();
    Result<array_members> open_patiently(const md::assembly_options& how) const;
    Status plan();
    Status open_namespaces();
    Status add_device();
    Status make_arena();
    Status adopt_device(const nlohmann::json& state);
    Status fence_device();
    Status adopt_arena();
    Status reconcile_members();
    Status redo_rows();
    Status open_store();
    Status start_queues();
    Status load_program(const std::vector<int>& rings);
    Status start_device();
    Status open_metadata();
    Status write_state();
    Status stop_unless_used();
    Status stop_device(bool force);
    Status finish();
    // What the socket asks of the thread that started the queues.
    struct order {
        nlohmann::json request;
        Fd client;
    };
    void take_order(const nlohmann::json& request, Fd& client);
    std::vector<order> taken_orders();
    std::optional<Status> carry_out(std::vector<order> orders, bool signalled);
    Result<nlohmann::json> upgrade(const nlohmann::json& request);
    Result<nlohmann::json> apply_upgrade(const nlohmann::json& request);
    Result<nlohmann::json> roll_back();
    Result<nlohmann::json> commit_upgrade();
    Status survive_probation(uint32_t ms);
    [[nodiscard]] struct running_queues parked_parts();
    void publish_members();
    void publish_array();
    void make_link();
    void drop_caches();
    void remove_traces();
    void take_back_dirty();
    std::optional<std::string> handle(const std::string& line, Fd& client);
    nlohmann::json fail_member(const std::string& path);
    [[nodiscard]] rr_array* array() const;
    [[nodiscard]] nlohmann::json member_status() const;

    service_options options_;
    engine_host host_ = engine_host::bpf;
    array_members members_;
    std::vector<std::optional<nvme_namespace>> namespaces_;  // by role, with passthrough
    std::optional<array_paths> paths_;
    Fd lock_;
    std::optional<ublk_control> ublk_;
    std::optional<uint32_t> device_;
    bool recovering_ = false;
    bool live_ = false;
    Fd char_device_;
    arena_layout layout_;
    std::optional<arena_memory> arena_;
    std::optional<md::array_metadata> metadata_;
    std::optional<kept_state> kept_;  // under the bpf engine
    mutable std::mutex program_lock_;
    mutable std::optional<bpf_program_set> program_;
    std::optional<bpf_program_set> other_program_;  // while a new one is on probation
    std::vector<std::unique_ptr<queue_thread>> queues_;
    std::unique_ptr<durability> durability_;
    std::string block_path_;
    Fd order_event_;
    std::mutex order_lock_;
    std::vector<order> orders_;  // not taken yet; their clients wait
};

// The uuids in the superblocks of these devices.
std::set<md::uuid> arrays_on(const std::vector<std::string>& devices);

// Removes what a daemon left that was killed before its block device was there
// or after it was gone: nobody waits for its successor.
void forget_dead(const std::vector<std::string>& devices);

// State, socket and arena of an array that is not served.
void remove_run_files(const array_paths& paths);

// What the ublk driver keeps for us beside a device: whose it is. Numbers of
// devices are used again.
uint64_t device_mark(const md::uuid& set_uuid);

// The socket of the daemon that serves the array on these devices, or did when
// it was killed.
std::optional<std::string> served_before(const std::vector<std::string>& devices);

// One JSON text, whatever bytes the strings hold.
std::string to_line(const nlohmann::json& value, int indent = -1);

// The object in a state file, if there is a whole one.
std::optional<nlohmann::json> read_json(const std::string& path);

// Gives up an array whose daemon was killed and that nobody can take over: the
// waiting requests fail, the arena is lost, the members stay dirty. EBUSY: a
// daemon lives.
Status drop_dead_array(const nlohmann::json& state);

// The state files of arrays that run, or ran until their daemon was killed.
std::vector<nlohmann::json> running_arrays();

}  // namespace rr
