// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One array, served: from its members to /dev/ublkbN and back.
//
// The life of an array is the table of life.h; this class walks it. What it owns
// are objects that know their own identity; here is their order.
//
// A start finds out first and writes last (array_start.cpp). Each step is undone by
// the destructor when a later one fails:
//
//   places       directories private, room there; the lock: one daemon per array
//   socket       from here on `status` says what is going on
//   left         what a dead daemon left is taken over or settled (recovery.cpp)
//   members      opened O_EXCL, superblocks judged; reserved, and then judged anew
//   device       a ublk device with the limits of the members
//   arena        made, every page touched, told whose it is
//   store        the BPF program's KV store
//   queues       rings and threads; the program verified and attached
//   -- nothing was written to a member so far --
//   zeroes       on members of a new array, where that is asked for
//   superblocks  of a new array; parity, where it is not known to be right
//   dirty        durable, before anything can be written
//   START        the block device appears
//
// After kill -9 the kernel keeps the ublk device and its clients wait:
//
//   check        the members are what the dead daemon left (heritage.h)
//   START_USER_RECOVERY   succeeds when the dead daemon's I/O is over
//   redo         rows that were being written are written again
//   END_USER_RECOVERY     the clients' requests come again
//
// On purpose, while the daemon lives (handover.h), the same is done with rings and program
// made before. A stop is START in reverse: STOP, queues end, members flushed, clean.
//
// The process that calls this must not fork afterwards: a child would keep
// links, rings and the device alive.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/arena_memory.h"
#include "engine/flusher.h"
#include "engine/layout.h"
#include "engine/log_thread.h"
#include "engine/program.h"
#include "engine/queue.h"
#include "members/nvme.h"
#include "service/bitmap.h"
#include "service/control_socket.h"
#include "service/creation.h"
#include "service/durability.h"
#include "service/events.h"
#include "service/fence.h"
#include "service/handover.h"
#include "service/kept_state.h"
#include "service/life.h"
#include "service/log_orders.h"
#include "service/membership.h"
#include "service/places.h"
#include "service/predecessor.h"
#include "ublk/device.h"

namespace rr {

// Reservations of the members (fence.h).
enum class reserve_mode : uint8_t { automatic, yes, no };

struct service_options {
    std::vector<std::string> devices;
    md::assembly_options assembly;
    std::optional<creation> create;   // a new array on the devices
    std::optional<engine_host> host;  // nothing: bpf where the kernel has it
    std::optional<uint32_t> queues;   // nothing: one per CPU, at most 4
    uint32_t depth = 64;
    uint32_t slots = 64;
    uint64_t arena_bytes_max = uint64_t{1} << 30;
    bool zero_copy = true;
    bool affinity = true;      // a queue's thread runs on the CPUs whose requests it gets
    bool passthrough = false;  // NVMe commands to the members, past the block layer
    std::chrono::milliseconds clean_after{5000};  // without a write (rest.h); 0: never
    sync_rates rates;
    bool latency = false;     // requests are timed (ring/latency.h), in a new arena
    bool only_named = false;  // a dead daemon's other members are not looked for
    bool force_new = false;   // give up what a dead daemon left
    reserve_mode reserve = reserve_mode::automatic;
    bool readd = false;  // a member that was away and is back is taken back
    // How long clients wait for members that are away together; nothing: 60 s where one is
    // behind a network, else not at all.
    std::optional<std::chrono::milliseconds> no_path_timeout;
    bool take_over = false;   // from another host, which has reserved the members
    bool wait = false;        // for right parity, before anything is served
    bool foreground = false;  // a service manager looks: end when the device is gone
    // Told what a long step is doing; false ends the start.
    std::function<bool(const std::string&)> progress;
    // Called about once a second by the thread that runs the array.
    std::function<void(const class array_service&)> each_turn;
    bool stop_when_unused = false;          // SIGTERM while it is in use holds until it is not
    std::string kept_words;                 // how it is served at starts to come (ownership.h)
    std::shared_ptr<predecessor_line> old;  // the daemon that hands the array over to this one
    // A service manager looks at another process from now on; what that one needs to tell it.
    std::function<void(pid_t)> main_is;
    std::vector<std::string> successor_environment;
};

class array_service {
public:
    // EBUSY: the array is being served. ESTALE: a dead daemon left it, and the members
    // are not what it left. ECANCELED: told to stop meanwhile. EBADE: another host has
    // reserved a member. Nothing but what is
    // created is on the members when it fails before the array is dirty.
    static Result<std::unique_ptr<array_service>> start(const service_options& options);
    ~array_service();
    array_service(const array_service&) = delete;
    array_service& operator=(const array_service&) = delete;

    // Serves until SIGTERM, SIGINT or a stop request; returns after a clean
    // stop, or with the error that ended the service. EBADE: another host has the members.
    Status run();

    // False after `create` of an array that is not to be served.
    [[nodiscard]] bool serves() const { return life_ != life_state::absent; }
    [[nodiscard]] const array_paths& paths() const { return places_->paths(); }
    [[nodiscard]] nlohmann::json status() const;

private:
    explicit array_service(const service_options& options) : options_(options) {}
    using start_step = Status (array_service::*)();

    // array_start.cpp
    Status start_all();
    [[nodiscard]] bool will_serve() const;
    Status do_steps(std::initializer_list<std::pair<const char*, start_step>> steps);
    Status choose_engine();
    Status steady_process();
    Status check_cpus();
    Status know_set();
    Status take_places();
    void know_others();
    Status meet_predecessor();
    Status open_cold();
    Status read_members();
    Result<array_members> open_patiently() const;
    Status open_namespaces();
    Status add_device();
    Status make_arena();
    Status open_durability();
    Status open_metadata();
    Status open_store();
    std::optional<cpu_set_t> cpus_of(uint32_t queue);
    [[nodiscard]] log_thread::place log_place(uint32_t role) const;
    Status make_log();
    [[nodiscard]] int log_ring() const { return log_ ? log_->ring_fd() : -1; }
    Status make_queues();
    Status meet_queues();
    Status load_program(const std::vector<int>& rings);
    Status empty_new_members();
    Status write_new_superblocks();
    Status replay_logs();
    Status make_parity_right();
    void start_jobs();
    void own() const;
    Status finish_start();
    Status mark_dirty();
    Status start_device();
    void finish_unserved();
    void enter(life_state state, const char* step);
    void be_called(const std::string& name);
    void own_device(ublk_device&& device);
    [[nodiscard]] bool told_to_stop();
    bool report(const std::string& text);
    // For a long step: says how far it is, and sets @cancel when it should end.
    std::function<void(uint64_t done, uint64_t total)> tell_percent(const std::string& what,
                                                                    std::atomic<bool>& cancel);

    // recovery.cpp
    Status take_over(predecessor& left);
    Status refuse_heritage(const Error& error, bool degraded) const;
    Status end_for_a_new_start(predecessor& left);
    Status fence_device();
    void reconcile_members();
    void take_up_replacement();
    Status serve_what_was_left();
    Status try_all_members();
    Status redo_rows();

    // array_fencing.cpp
    [[nodiscard]] bool wants_fence(bool all_remote) const;
    Status make_fence();
    Status reserve_members();
    Status reserve_left();
    Status reserve_newcomer(const member_device& device);
    void drop_fence();
    [[nodiscard]] std::optional<bool> carries_ours(const fenced_device& device) const;
    bool members_are_ours();
    Status end_fenced();
    [[nodiscard]] Status fenced_error() const;
    void give_up_reservations();
    void judge_errors(durability::orders& how);
    [[nodiscard]] bool member_answers(uint32_t index) const;
    bool flush_one(uint32_t index);
    void flush_all();

    // array_service.cpp
    struct order {
        nlohmann::json request;
        Fd client;
    };
    std::optional<Status> carry_out(std::vector<order> orders, bool signalled);
    void make_places_again();
    void pin_arena_again();
    Result<std::unique_ptr<control_socket>> open_socket();
    void take_order(const nlohmann::json& request, Fd& client);
    Result<nlohmann::json> change(const nlohmann::json& request);
    Result<nlohmann::json> change_devices(const std::string& command,
                                          const nlohmann::json& request);
    void ask_for_spare();
    void tell(const std::string& event, nlohmann::json more);
    void tell_failures();
    void open_events();
    std::vector<order> taken_orders();
    Status stop_device(bool force);
    Status finish();
    void end_queues();
    Status settle_members();
    void let_members_go();
    void lose_device();
    void remove_traces();
    void take_back_dirty();
    void drop_caches();

    // array_status.cpp
    std::optional<std::string> handle(const std::string& line, Fd& client);
    std::optional<std::string> fail_member(const std::string& spelled, Fd& client);
    void answer_failed();
    std::string job_order(const nlohmann::json& request);
    std::string latency_order(bool on);
    [[nodiscard]] nlohmann::json member_status() const;
    [[nodiscard]] nlohmann::json roles_away() const;
    [[nodiscard]] uint32_t corrected_reads(uint32_t role) const;
    [[nodiscard]] nlohmann::json spare_status() const;
    [[nodiscard]] nlohmann::json brief_status() const;
    [[nodiscard]] nlohmann::json full_status() const;
    [[nodiscard]] nlohmann::json state_file() const;
    void publish_members();
    void publish_array();

    // array_change.cpp
    Result<nlohmann::json> add_devices(const nlohmann::json& request);
    Result<nlohmann::json> remove_device(const nlohmann::json& request);
    Status use_spare();
    Status seat(uint32_t role, spare_device& taken, bool by_bitmap);
    [[nodiscard]] Result<md::md_superblock> what_returns(const member_device& device);
    Status take_back(member_device&& device, md::md_superblock&& own);
    Result<member_device> open_newcomer(const std::string& path, bool force);
    Status check_newcomer(const member_device& device) const;
    [[nodiscard]] Result<md::md_superblock> new_spare(const member_device& device) const;
    Status hold_spare(member_device&& device);
    Status hold_spares(const std::vector<std::string>& paths, bool force);
    [[nodiscard]] uint64_t data_offset_of_newcomers() const;
    [[nodiscard]] std::vector<uint32_t> spare_numbers() const;
    Status set_ring_member(uint32_t role, int fd, const nvme_namespace* ns,
                           const std::function<Status()>& while_parked = {});
    Status give_role(uint32_t role, spare_device&& spare, bool by_bitmap);
    Status let_member_go(uint32_t role);
    [[nodiscard]] bool is_let_go(uint32_t role) const;
    [[nodiscard]] std::optional<uint32_t> empty_role() const;
    [[nodiscard]] const md::md_superblock* some_superblock() const;

    // array_return.cpp
    [[nodiscard]] std::optional<uint32_t> role_to_return() const;
    [[nodiscard]] std::optional<std::string> where_is_back(uint32_t role) const;
    void ask_for_return();
    Status return_member();
    Status take_back_from(uint32_t role, const std::string& path);
    std::string readd_order(bool on);

    // array_replace.cpp
    [[nodiscard]] Status check_replaceable() const;
    [[nodiscard]] std::optional<size_t> find_spare(const std::string& spelled) const;
    Result<spare_device> take_spare(size_t at);
    Result<spare_device> open_replacement(const std::string& path, bool force);
    Result<nlohmann::json> replace_member(const nlohmann::json& request);
    Status seat_replacement(uint32_t role, spare_device& taken);
    Status begin_replacement(uint32_t role, spare_device& taken);
    void ask_for(const char* command);
    Status finish_replacement();
    Status change_places(std::optional<member_device>& old);
    void adopt_replacement(std::optional<member_device>& old);
    Status release_replacement();

    // array_bitmap.cpp
    void make_bitmap();
    void write_bitmap(const md::bitmap& image, std::span<const uint32_t> pages);
    [[nodiscard]] md::events_witness witness();
    Result<nlohmann::json> change_bitmap(const nlohmann::json& request);
    [[nodiscard]] Result<uint32_t> choose_chunk(uint64_t wanted_sectors) const;
    Status put_bitmap(uint32_t chunk_sectors);
    Status add_bitmap(uint32_t chunk_sectors);
    Status drop_bitmap();

    // array_consistency.cpp
    [[nodiscard]] md::consistency policy() const;
    void want_log(bool wanted);
    void find_wanted_log();
    Status empty_logs_now();
    Status keep_bitmap_meanwhile();
    void name_in_plan(md::consistency policy);
    Status tell_consistency(md::consistency policy);
    Status empty_logs_while_serving();
    Status begin_logging();
    Status end_logging();
    [[nodiscard]] Status whole_for_log() const;
    [[nodiscard]] log_steps log_changes();
    Status add_log();
    Status drop_log();
    Status name_log(md::md_superblock& own) const;
    Status give_log(uint32_t role, const md::md_superblock& own);
    void look_for_wanted_log();
    Status take_up_wanted_log();
    Result<nlohmann::json> change_consistency(const nlohmann::json& request);

    // array_handover.cpp
    [[nodiscard]] nlohmann::json handover_setting() const;
    [[nodiscard]] Status may_hand_over() const;
    void begin_handover(const nlohmann::json& request, Fd& client);
    void drop_heir(const Error& why);
    std::optional<Status> hear_heir();
    std::optional<Status> hear_line_of_heir();
    std::optional<Status> hand_over();
    Status release_to_heir();
    Status prepare_succession();
    Status make_queues_ahead();
    Status load_ahead();
    Status await_succession();

    // array_upgrade.cpp
    Result<nlohmann::json> upgrade(const nlohmann::json& request);
    Result<nlohmann::json> apply_upgrade(const nlohmann::json& request);
    Result<nlohmann::json> roll_back();
    Result<nlohmann::json> commit_upgrade();
    Status survive_probation(uint32_t ms);
    [[nodiscard]] struct running_queues parked_parts();

    [[nodiscard]] rr_array* array() const;
    [[nodiscard]] rr_life* life_record() const { return life_of(arena_->span()); }

    service_options options_;
    engine_host host_ = engine_host::bpf;
    md::uuid set_uuid_{};
    std::string name_;
    std::optional<array_places> places_;
    array_members members_;
    std::vector<std::optional<nvme_namespace>> namespaces_;  // by role, with passthrough
    std::optional<ublk_device> device_;
    std::string block_path_;
    std::vector<std::string> others_;  // block devices of other arrays that run
    bool pins_lost_ = false;           // as places_lost_
    bool places_lost_ = false;         // and cannot be made again: said once
    bool cold_ = false;                // what is in the run directory is this start's
    bool recovering_ = false;          // clients wait: nothing of it is taken back
    bool queues_run_ = false;
    bool parity_right_ = false;
    nlohmann::json log_recovery_;  // what was recovered at the start; null: nothing
    static constexpr std::chrono::seconds spare_retry{30};
    std::chrono::steady_clock::time_point next_spare_try_;
    std::atomic<bool> readd_{false};
    std::chrono::steady_clock::time_point next_return_look_;
    std::string return_refused_;   // why, the last time
    bool logs_are_empty_ = false;  // this start has seen to that
    bool log_wanted_ = false;      // as soon as parity is right
    std::chrono::steady_clock::time_point next_log_try_;
    bool release_waits_ = false;   // of a replacement that was given up
    bool stop_is_wanted_ = false;  // as soon as nobody uses it
    Fd char_device_;
    std::optional<arena_memory> arena_;
    std::optional<array_bitmap> bitmap_;
    std::optional<md::array_metadata> metadata_;
    std::optional<kept_state> kept_;  // under the bpf engine
    mutable std::mutex program_lock_;
    mutable std::optional<bpf_program_set> program_;
    std::optional<bpf_program_set> other_program_;  // while a new one is on probation
    std::unique_ptr<flusher> flusher_;
    std::unique_ptr<log_thread> log_;  // where rows are logged
    std::vector<std::unique_ptr<queue_thread>> queues_;
    std::unique_ptr<durability> durability_;
    std::optional<array_fence> fence_;  // made and reset under parts_lock_
    std::atomic<bool> fenced_{false};   // another host has the members

    // Who is to serve it next, and who asked for that.
    struct heir {
        successor_process process;
        Fd client;
        uint64_t begun_ns = 0;
        uint64_t ready_ns = 0;
        uint64_t parked_ns = 0;
    };
    std::optional<heir> heir_;
    // What was found of the daemon that hands over, and what was verified of it.
    std::optional<predecessor> left_;
    store::bytes program_ahead_;
    bool handed_over_ = false;

    // Where it is in its life. Others than the main thread look at the parts above
    // under parts_lock_, and only while it serves.
    mutable std::mutex parts_lock_;
    std::atomic<life_state> life_{life_state::absent};
    std::atomic<const char*> step_{""};
    Fd signals_;
    Fd wake_;                          // an eventfd: an order has come, or a queue has ended
    Status settled_;                   // how the members were left when the device was lost
    std::optional<event_log> events_;  // from the moment that it serves
    std::optional<scrub_notes> notes_;
    std::optional<member_news> news_;  // the metadata thread's
    std::mutex order_lock_;
    std::vector<order> orders_;  // not taken yet; their clients wait
    struct failing {
        uint32_t role;
        Fd client;
    };
    std::vector<failing> failing_;            // clients who wait until it is durable; parts_lock_
    std::unique_ptr<control_socket> socket_;  // last: its thread uses all of the above
};

}  // namespace rr
