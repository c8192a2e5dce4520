// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/array_service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "base/io.h"
#include "base/log.h"
#include "service/limits.h"
#include "service/report.h"
#include "service/socket.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint32_t queues_default_max = 4;
// A killed daemon's commands may be in flight for as long as the NVMe driver takes
// to abort one and to reset the controller, 30 s each.
constexpr auto dying_wait = std::chrono::seconds(90);
constexpr int answer_ms = 2000;
constexpr auto dying_poll = std::chrono::milliseconds(20);

uint32_t cpus() {
    return static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

const char* engine_name(engine_host host) {
    return host == engine_host::bpf ? "bpf" : "user";
}

// Memory reclaim must never wait for this process: its I/O is what reclaim
// may be waiting for. The effect is read back, not assumed.
Status become_io_flusher() {
    if (::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 || ::prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) != 1)
        return with_hint(fail(errno, "cannot become an I/O flusher"),
                         "run as root (CAP_SYS_RESOURCE)");
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return with_hint(fail(errno, "cannot lock memory"), "raise the locked memory limit");
    return {};
}

array_config config_for(const service_options& options, const rr_geometry& geometry,
                        uint64_t member_sectors, const std::vector<const member_device*>& present,
                        const std::vector<uint64_t>& data_offsets) {
    array_config config;
    config.members = geometry.members;
    config.chunk_sectors = 1U << geometry.chunk_shift;
    config.layout = geometry.layout;
    config.queues = options.queues.value_or(std::min(cpus(), queues_default_max));
    config.depth = options.depth;
    config.slots = options.slots;
    config.member_io_sectors = member_io_sectors(present);
    config.zero_copy = options.zero_copy;
    config.member_sectors = member_sectors;
    config.arena_bytes_max = options.arena_bytes_max;
    std::copy_n(data_offsets.begin(), std::min<size_t>(data_offsets.size(), RR_MEMBERS_MAX),
                config.data_offset.begin());
    return config;
}

}  // namespace

// Names come from superblocks, which hold any bytes; JSON must be UTF-8.
std::string to_line(const nlohmann::json& value, int indent) {
    return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<nlohmann::json> read_json(const std::string& path) {
    std::ifstream in(path);
    nlohmann::json value = nlohmann::json::parse(in, nullptr, false);
    if (value.is_discarded() || !value.is_object())
        return std::nullopt;
    return value;
}

std::vector<nlohmann::json> running_arrays() {
    std::vector<nlohmann::json> out;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(run_directory, failed)) {
        if (auto state = read_json(entry.path() / "state.json"))
            out.push_back(std::move(*state));
    }
    return out;
}

namespace {

// As rr_host_fail(), but never as the second failure, even when a queue meets
// the first one at this moment: false then.
bool take_out(rr_array* array, uint32_t role) {
    uint64_t seen = __atomic_load_n(&array->state, __ATOMIC_SEQ_CST);
    for (;;) {
        if ((seen & RR_STATE_MISSING) != 0)
            return (seen >> role & 1) != 0;
        uint64_t next = (seen | 1ULL << role) + (1ULL << RR_STATE_EPOCH_SHIFT);
        if (__atomic_compare_exchange_n(&array->state, &seen, next, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            array->members[role].error = ENODEV;
            return true;
        }
    }
}

}  // namespace

std::set<md::uuid> arrays_on(const std::vector<std::string>& devices) {
    std::set<md::uuid> out;
    for (const std::string& path : devices) {
        open_options look;
        look.read_only = true;
        look.allow_regular_file = true;
        auto device = open_member(path, look);
        if (!device)
            continue;
        if (auto sb = md::read_superblock(device->fd.get()))
            out.insert(sb->set_uuid);
    }
    return out;
}

std::optional<std::string> served_before(const std::vector<std::string>& devices) {
    for (const md::uuid& id : arrays_on(devices)) {
        array_paths paths(id);
        if (std::filesystem::exists(paths.state))
            return paths.socket;
    }
    return std::nullopt;
}

Result<std::unique_ptr<array_service>> array_service::start(const service_options& options) {
    std::unique_ptr<array_service> service(new array_service(options));
    if (Status ok = service->start_all(); !ok)
        return forward_error(ok.error());
    return service;
}

rr_array* array_service::array() const {
    return reinterpret_cast<rr_array*>(arena_->span().data());
}

Status array_service::start_all() {
    using step = Status (array_service::*)();
    for (step s :
         {&array_service::check_engine, &array_service::plan, &array_service::take_lock,
          &array_service::open_namespaces, &array_service::add_device, &array_service::write_state,
          &array_service::make_arena, &array_service::open_metadata, &array_service::redo_rows,
          &array_service::open_store, &array_service::start_queues, &array_service::start_device}) {
        if (Status ok = (this->*s)(); !ok)
            return ok;
    }
    log_info("{} serves {} with the {} engine", block_path_, short_name(members_.plan.name),
             engine_name(host_));
    return {};
}

Status array_service::check_new(const service_options& options,
                                const std::vector<member_device>& devices,
                                const md::md_superblock& superblock) {
    array_service trial(options);
    for (Status ok : {trial.choose_engine(), trial.check_cpus()}) {
        if (!ok)
            return ok;
    }
    if (auto driver = ublk_control::open(); !driver)
        return forward_error(driver.error());
    std::vector<const member_device*> present;
    for (const member_device& device : devices) {
        present.push_back(&device);
        if (auto ns = options.passthrough ? open_nvme(device) : nvme_namespace{}; !ns)
            return forward_error(ns.error());
    }
    rr_geometry geometry{superblock.raid_disks,
                         static_cast<rr_u32>(std::countr_zero(superblock.chunk_sectors)),
                         superblock.layout};
    auto layout = plan_layout(config_for(options, geometry, superblock.size, present, {}));
    return layout ? Status{} : forward_error(layout.error());
}

Status array_service::choose_engine() {
    std::string missing = bpf_host_missing();
    host_ = options_.host.value_or(missing.empty() ? engine_host::bpf : engine_host::user);
    if (host_ == engine_host::bpf && !missing.empty())
        return with_hint(fail(ENOTSUP, "{}", missing), "use --engine user");
    return {};
}

Status array_service::check_engine() {
    if (Status ok = choose_engine(); !ok)
        return ok;
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    return become_io_flusher();
}

// EBUSY at once where a daemon answers; one that was killed a moment ago does
// not, but may hold its devices a little longer.
Result<array_members> array_service::open_patiently(const md::assembly_options& how) const {
    auto end = std::chrono::steady_clock::now() + dying_wait;
    for (;;) {
        auto opened = open_array(options_.devices, how);
        if (opened || opened.error().err != EBUSY)
            return opened;
        auto socket = served_before(options_.devices);
        if (!socket)
            return opened;
        if (std::chrono::steady_clock::now() > end)
            return with_hint(forward_error(opened.error()),
                             "if that is a killed daemon's I/O, try again when it is over");
        if (ask(*socket, R"({"command":"status"})", answer_ms))
            return with_hint(fail(EBUSY, "the array is being served"), "ringraid status");
        std::this_thread::sleep_for(dying_poll);
    }
}

Status array_service::plan() {
    auto opened = open_patiently(options_.assembly);
    if (!opened && opened.error().err == EUCLEAN && served_before(options_.devices)) {
        // Dirty and degraded, but its arena knows which rows were in the making.
        md::assembly_options forced = options_.assembly;
        forced.force = true;
        opened = open_patiently(forced);
    }
    if (!opened)
        return forward_error(opened.error());
    members_ = std::move(*opened);
    paths_.emplace(members_.plan.set_uuid);
    for (const md::excluded_device& out : members_.plan.excluded)
        log_info("{} is left out: {}", out.path, out.reason);
    return {};
}

// Beside the block devices, which stay ours alone.
Status array_service::open_namespaces() {
    if (!options_.passthrough)
        return {};
    auto opened = members_.open_namespaces();
    if (!opened)
        return forward_error(opened.error());
    namespaces_ = std::move(*opened);
    return {};
}

Status array_service::take_lock() {
    std::error_code failed;
    std::filesystem::create_directories(paths_->directory, failed);
    if (failed)
        return fail(failed.value(), "cannot make {}", paths_->directory);
    lock_.reset(::open(paths_->lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
        return with_hint(
            fail(EBUSY, "the array {} is being served", short_name(members_.plan.name)),
            "ringraid status");
    return {};
}

Status array_service::check_cpus() {
    if (options_.queues && *options_.queues > cpus())
        return with_hint(fail(EINVAL, "{} queues on {} CPUs", *options_.queues, cpus()),
                         "ublk makes at most one queue per CPU");
    return {};
}

Status array_service::add_device() {
    auto opened = ublk_control::open();
    if (!opened)
        return forward_error(opened.error());
    ublk_.emplace(std::move(*opened));
    if (auto state = read_json(paths_->state)) {
        // The devices are ours alone: the dead daemon's commands are over.
        drop_caches();
        return adopt_device(*state);
    }
    if (members_.plan.needs_resync)
        return with_hint(fail(EUCLEAN, "the parity of {} must be recomputed first",
                              short_name(members_.plan.name)),
                         "ringraid assemble does it");
    if (members_.plan.forced && !options_.assembly.force)
        return with_hint(fail(EUCLEAN,
                              "array was not stopped cleanly, a member is missing, and "
                              "what the killed daemon was writing is forgotten"),
                         "add the missing member, or force: blocks of the missing member in "
                         "stripes that were being written may then read wrong");
    if (Status ok = check_cpus(); !ok)
        return ok;

    std::vector<uint64_t> offsets;
    for (const auto& member : members_.plan.members)
        offsets.push_back(member ? member->superblock.data_offset : 0);
    array_config config = config_for(options_, members_.plan.geometry, members_.plan.member_sectors,
                                     members_.present(), offsets);
    auto layout = plan_layout(config);
    if (!layout)
        return forward_error(layout.error());
    layout_ = *layout;
    layout_.header.user_base = RR_ARENA_ADDRESS;

    auto known = ublk_->features();
    if (!known)
        return forward_error(known.error());
    ublksrv_ctrl_dev_info info{};
    info.nr_hw_queues = static_cast<uint16_t>(config.queues);
    info.queue_depth = static_cast<uint16_t>(config.depth);
    info.max_io_buf_bytes = request_bytes_max(layout_);
    info.dev_id = static_cast<uint32_t>(-1);
    info.ublksrv_pid = ::getpid();
    info.ublksrv_flags = device_mark(members_.plan.set_uuid);
    info.flags = UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_USER_COPY | UBLK_F_USER_RECOVERY |
                 UBLK_F_USER_RECOVERY_REISSUE | (*known & UBLK_F_SAFE_STOP_DEV);
    if (config.zero_copy)
        info.flags |= UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_AUTO_BUF_REG;
    if ((info.flags & *known) != info.flags)
        return with_hint(
            fail(ENOTSUP, "the ublk driver lacks features {:#x}", info.flags & ~*known),
            "use Linux 6.16 or newer");
    auto added = ublk_->add(info);
    if (!added)
        return forward_error(added.error());
    device_ = added->dev_id;
    if (added->nr_hw_queues != config.queues)
        return fail(EINVAL, "ublk made {} of {} queues", added->nr_hw_queues, config.queues);
    return ublk_->set_params(
        *device_, device_params(layout_, members_.present(), members_.logical_block_bytes));
}

Status array_service::make_arena() {
    if (recovering_)
        return adopt_arena();
    auto made = host_ == engine_host::bpf
                    ? arena_memory::create_map(paths_->arena_pin, layout_.bytes)
                    : arena_memory::create_file(paths_->arena_file, layout_.bytes);
    if (!made)
        return forward_error(made.error());
    arena_.emplace(std::move(*made));
    init_arena(arena_->span(), layout_, members_.missing_mask());
    return {};
}

Status array_service::open_metadata() {
    metadata_.emplace(members_.metadata_state(), md::write_to(members_.fds()));
    auto report = metadata_->mark_dirty();
    if (!report)
        return forward_error(report.error());
    // A member whose superblock cannot be written fails like any other.
    for (const md::member_write_error& lost : report->failed) {
        log_error("member {} cannot be written: {}", lost.role, describe(lost.error));
        rr_host_fail(array(), lost.role, -lost.error.err);
    }
    durability_ = std::make_unique<durability>(array(), &*metadata_);
    if (Status ok = durability_->open(); !ok)
        return ok;
    durability_->settle();
    // Clients that wait for a successor get their errors; no others are let in.
    if (!recovering_ && health_of(array()) == array_health::failed)
        return with_hint(fail(EIO, "the superblocks of two members cannot be written"),
                         "look at the kernel log");
    return {};
}

Status array_service::start_queues() {
    auto opened = open_ublk_char(*device_);
    if (!opened)
        return forward_error(opened.error());
    char_device_ = std::move(*opened);
    for (uint32_t i = 0; i < array()->queues; i++) {
        queue_config config;
        config.queue = i;
        config.host = host_;
        config.array = array();
        config.ublk_char_fd = char_device_.get();
        config.control_ring_fd = durability_->ring_fd();
        config.zero_copy = array()->zero_copy != 0;
        config.member_fds = members_.fds();
        config.lba_bytes = members_.present()[0]->logical_block_bytes;
        for (const auto& ns : namespaces_)
            config.namespaces.push_back(ns ? &*ns : nullptr);
        queues_.push_back(std::make_unique<queue_thread>(config));
    }
    std::vector<int> rings;
    for (auto& queue : queues_) {
        if (Status ok = queue->wait_ready(); !ok)
            return ok;
        rings.push_back(queue->ring_fd());
    }
    if (host_ == engine_host::bpf) {
        if (Status ok = load_program(rings); !ok)
            return ok;
    }
    auto listener = listen_at(paths_->socket);
    if (!listener)
        return forward_error(listener.error());
    order_event_.reset(::eventfd(0, EFD_CLOEXEC));
    durability_->start(
        rings, std::move(*listener),
        [this](const std::string& line, Fd& client) { return handle(line, client); },
        [this] { publish_members(); });
    live_ = true;
    for (auto& queue : queues_)
        queue->go(rings);
    return {};
}

Status array_service::open_store() {
    if (host_ != engine_host::bpf)
        return {};
    auto opened =
        recovering_ ? kept_state::adopt(*paths_, arena_->fd()) : kept_state::make(*paths_);
    if (!opened)
        return forward_error(opened.error());
    kept_.emplace(std::move(*opened));
    publish_array();
    publish_members();
    return {};
}

Status array_service::load_program(const std::vector<int>& rings) {
    auto object = kept_->active_program();
    if (!object)
        return forward_error(object.error());
    auto loaded = bpf_program_set::load(
        *object, {arena_->fd(), kept_->at().at().fd(), rings, queues_[0]->offsets()});
    if (!loaded)
        return forward_error(loaded.error());
    program_.emplace(std::move(*loaded));
    log_info("verifier: {}", program_->verifier());
    return program_->attach();
}

// Copies for onlookers: what goes wrong with them is not the array's trouble.
void array_service::publish_array() {
    const rr_array* a = array();
    Status told =
        kept_->publish("array", {{"name", members_.plan.name.substr(0, 31)},
                                 {"uuid", md::to_string(members_.plan.set_uuid)},
                                 {"members", a->geometry.members},
                                 {"layout", a->geometry.layout},
                                 {"chunk_bytes", 1U << (a->geometry.chunk_shift + RR_SECTOR_SHIFT)},
                                 {"queues", a->queues},
                                 {"depth", a->depth},
                                 {"size_bytes", a->array_sectors << RR_SECTOR_SHIFT},
                                 {"member_bytes", a->member_sectors << RR_SECTOR_SHIFT}});
    if (!told)
        log_error("the KV store: {}", describe(told.error()));
}

void array_service::publish_members() {
    if (!kept_)
        return;
    nlohmann::json list = nlohmann::json::array();
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (size_t role = 0; role < members_.devices.size(); role++) {
        const rr_member& m = array()->members[role];
        const bool out = (state >> role & 1) != 0;
        list.push_back({{"state", !out                     ? "rr_active"
                                  : members_.devices[role] ? "rr_failed"
                                                           : "rr_missing"},
                        {"error", m.error},
                        {"data_offset_bytes", m.data_offset << RR_SECTOR_SHIFT}});
    }
    Status told =
        kept_->publish("members", {{"events", metadata_->events()}, {"member", std::move(list)}});
    if (!told)
        log_error("the KV store: {}", describe(told.error()));
}

Status array_service::start_device() {
    Status started = recovering_ ? ublk_->end_recovery(*device_) : ublk_->start(*device_);
    if (!started)
        return started;
    make_link();
    return {};
}

// Another array that runs under the same name keeps its link: a client of
// /dev/ringraid/NAME must not find somebody else's data there.
void array_service::make_link() {
    std::error_code ignored;
    std::filesystem::create_directories("/dev/ringraid", ignored);
    std::string link = link_path(members_.plan.name);
    std::string target = std::filesystem::read_symlink(link, ignored);
    for (const nlohmann::json& other : running_arrays()) {
        if (target != block_path_ && other.value("block_device", "") == target) {
            log_error("{} belongs to {}: use {} for this array", link, target, block_path_);
            return;
        }
    }
    std::filesystem::remove(link, ignored);
    std::filesystem::create_symlink(block_path_, link, ignored);
}

// As soon as there is a device: whatever happens then, a successor finds it.
Status array_service::write_state() {
    block_path_ = ublk_block_path(*device_);
    nlohmann::json state = {{"schema", json_schema},
                            {"name", members_.plan.name},
                            {"uuid", md::to_string(members_.plan.set_uuid)},
                            {"device", *device_},
                            {"block_device", block_path_},
                            {"engine", engine_name(host_)},
                            {"pid", ::getpid()},
                            {"socket", paths_->socket}};
    for (const auto& device : members_.devices) {
        if (device)
            state["devices"].push_back(device->path);
    }
    std::string next = paths_->state + ".new";
    std::ofstream out(next);
    out << to_line(state, 2) << '\n';
    out.close();
    std::error_code failed;
    std::filesystem::rename(next, paths_->state, failed);
    if (!out || failed)
        return fail(EIO, "cannot write {}", paths_->state);
    return {};
}

Status array_service::run() {
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    Fd signals(::signalfd(-1, &stop_signals, SFD_CLOEXEC));
    for (;;) {
        pollfd watch[] = {{signals.get(), POLLIN, 0}, {order_event_.get(), POLLIN, 0}};
        if (::poll(watch, 2, -1) < 0 && errno != EINTR)
            return fail(errno, "poll failed");
        const bool signalled = watch[0].revents != 0;
        if (signalled) {
            signalfd_siginfo ignored{};
            [[maybe_unused]] ssize_t n = ::read(signals.get(), &ignored, sizeof(ignored));
        } else if (watch[1].revents != 0) {
            uint64_t count;
            [[maybe_unused]] ssize_t n = ::read(order_event_.get(), &count, sizeof(count));
        } else {
            continue;
        }
        if (auto ended = carry_out(taken_orders(), signalled))
            return *ended;
    }
}

void array_service::take_order(const nlohmann::json& request, Fd& client) {
    std::lock_guard hold(order_lock_);
    orders_.push_back({request, std::move(client)});
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = ::write(order_event_.get(), &one, sizeof(one));
}

std::vector<array_service::order> array_service::taken_orders() {
    std::lock_guard hold(order_lock_);
    return std::exchange(orders_, {});
}

// What run() returns, once the array was stopped.
std::optional<Status> array_service::carry_out(std::vector<order> orders, bool signalled) {
    bool stop = signalled;
    bool force = false;
    for (order& o : orders) {
        if (o.request.value("command", "") == "stop") {
            stop = true;
            force = force || o.request.value("force", false);
            continue;
        }
        auto done = upgrade(o.request);
        if (!done)
            log_error("{}", describe(done.error()));
        (void)write_line(o.client.get(), to_line(done ? *done : error_json(done.error())));
        o.client.reset();
    }
    if (!stop)
        return std::nullopt;
    Status stopped = stop_device(force);
    if (stopped)
        stopped = finish();
    nlohmann::json answer = {{"schema", json_schema}, {"ok", true}};
    if (!stopped) {
        answer = error_json(stopped.error());
        log_error("{}", describe(stopped.error()));
    }
    // Who asked while it stopped gets the same answer.
    if (!live_)
        std::ranges::move(taken_orders(), std::back_inserter(orders));
    for (const order& o : orders) {
        if (o.client)
            (void)write_line(o.client.get(), to_line(answer));
    }
    return live_ ? std::nullopt : std::optional(stopped);
}

Status array_service::stop_unless_used() {
    auto known = ublk_->features();
    if (known && (*known & UBLK_F_SAFE_STOP_DEV) != 0)
        return ublk_->try_stop(*device_);
    // Older kernels: exclusive users (mounts, md, swap) at least are seen.
    Fd claim(::open(block_path_.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    if (!claim && errno == EBUSY)
        return fail(EBUSY, "{} is in use", block_path_);
    claim.reset();
    return ublk_->stop(*device_);
}

Status array_service::stop_device(bool force) {
    Status stopped = force ? ublk_->stop(*device_) : stop_unless_used();
    if (!stopped && stopped.error().err == EBUSY)
        return with_hint(fail(EBUSY, "{} is in use", block_path_),
                         "unmount what is on it, or stop with --force");
    if (!stopped)
        return stopped;
    live_ = false;
    return {};
}

// After ublk has taken back every request: nothing is in flight any more.
Status array_service::finish() {
    for (auto& queue : queues_) {
        if (int r = queue->join(); r != 0)
            log_error("a queue ended with {}", std::strerror(-r));
    }
    // The durability thread looks at queues and program: it ends before them.
    durability_->stop();
    queues_.clear();
    if (program_) {
        if (const std::string& report = program_->error_stream(); !report.empty())
            log_error("the BPF program reported: {}", report);
    }
    program_.reset();
    other_program_.reset();
    kept_.reset();
    durability_->settle();
    char_device_.reset();

    Status clean;
    if (health_of(array()) == array_health::failed) {
        log_error("two members failed: the array is left dirty");
    } else {
        for (size_t role = 0; role < members_.devices.size(); role++) {
            if (members_.devices[role] && (array()->state >> role & 1) == 0) {
                if (Status ok = sync_data(members_.devices[role]->fd.get()); !ok && clean)
                    clean = ok;
            }
        }
        if (clean) {
            auto report = metadata_->mark_clean();
            if (!report)
                clean = forward_error(report.error());
        }
    }
    Status removed = ublk_->remove(*device_);
    device_.reset();
    remove_traces();
    // Whoever is told of the stop may open the members at once.
    durability_.reset();
    metadata_.reset();
    if (!namespaces_.empty())
        drop_caches();
    namespaces_.clear();
    members_.devices.clear();
    lock_.reset();
    return clean ? removed : clean;
}

// Nobody has told the members' page caches what commands wrote, ours or those of
// a daemon that was killed.
void array_service::drop_caches() {
    for (const auto& device : members_.devices) {
        if (device)
            drop_page_cache(device->fd.get(), device->path);
    }
}

void array_service::remove_traces() {
    std::error_code ignored;
    std::string link = link_path(members_.plan.name);
    // It may be another array's, of the same name.
    if (std::filesystem::read_symlink(link, ignored) == block_path_)
        std::filesystem::remove(link, ignored);
    remove_run_files(*paths_);
}

// A start that failed has written nothing but "dirty": without this, an array
// that was clean would have to be resynced, or forced if it is degraded.
void array_service::take_back_dirty() {
    if (!metadata_ || !members_.plan.clean || health_of(array()) == array_health::failed)
        return;
    if ((kept_ ? kept_->counters() : counters_of(array())).value("writes", uint64_t{0}) != 0)
        return;
    if (auto report = metadata_->mark_clean(); !report)
        log_error("{}", describe(report.error()));
}

array_service::~array_service() {
    if (live_ && device_)
        (void)ublk_->stop(*device_);
    for (auto& queue : queues_) {
        queue->cancel();
        queue->join();
    }
    if (durability_)
        durability_->stop();
    queues_.clear();
    program_.reset();
    other_program_.reset();
    char_device_.reset();
    if (device_ && !recovering_) {
        take_back_dirty();
        (void)ublk_->remove(*device_);
        remove_traces();
    }
}

// In the metadata thread. Whatever comes on the socket is looked at without
// trust in its types: the JSON library throws on a wrong one.
std::optional<std::string> array_service::handle(const std::string& line, Fd& client) {
    nlohmann::json request = nlohmann::json::parse(line, nullptr, false);
    auto field = [&request](const char* key) {
        return request.is_object() && request.contains(key) ? request[key] : nlohmann::json();
    };
    nlohmann::json command = field("command");
    if (command == "status")
        return to_line(status());
    if (command == "fail") {
        nlohmann::json member = field("member");
        return to_line(fail_member(member.is_string() ? member.get<std::string>() : ""));
    }
    if (command == "stop") {
        take_order({{"command", "stop"}, {"force", field("force") == true}}, client);
        return std::nullopt;
    }
    if (command == "upgrade") {
        take_order(request, client);
        return std::nullopt;
    }
    return to_line(error_json({EINVAL, "no such command", ""}));
}

nlohmann::json array_service::fail_member(const std::string& member) {
    for (size_t role = 0; role < members_.devices.size(); role++) {
        const auto& device = members_.devices[role];
        if ((!device || device->path != member) && member != std::to_string(role))
            continue;
        if (!take_out(array(), static_cast<uint32_t>(role)))
            return error_json(
                {EBUSY, "another member is out already", "failing this one would lose the array"});
        return {{"schema", json_schema}, {"ok", true}, {"role", role}};
    }
    return error_json(
        {ENOENT, fmt::format("{} is not a member", member), "ringraid status shows the members"});
}

nlohmann::json array_service::member_status() const {
    nlohmann::json out = nlohmann::json::array();
    uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (size_t role = 0; role < members_.devices.size(); role++) {
        const auto& device = members_.devices[role];
        bool missing = (state >> role & 1) != 0;
        // The second one that failed is in no mask: it has only its error.
        bool second = (state & RR_STATE_BROKEN) != 0 && array()->members[role].error != 0;
        nlohmann::json one = {{"role", role},
                              {"device", device ? nlohmann::json(device->path) : nullptr},
                              {"state", !missing && !second ? "active"
                                        : device            ? "failed"
                                                            : "missing"}};
        if ((missing || second) && array()->members[role].error != 0)
            one["error"] = std::strerror(array()->members[role].error);
        out.push_back(one);
    }
    return out;
}

nlohmann::json array_service::status() const {
    rr_array* a = array();
    nlohmann::json threads = nlohmann::json::array();
    for (uint32_t i = 0; i < queues_.size(); i++) {
        const volatile rr_queue* q = rr_host_queue(a, i);
        threads.push_back({{"tid", queues_[i]->tid()},
                           {"inflight", rr_u32{q->inflight}},
                           {"fetches", rr_u32{q->fetches}},
                           {"free_slots", rr_u16{q->free_slots}},
                           {"last_error", rr_s32{q->last_error}}});
    }
    std::lock_guard hold(program_lock_);
    nlohmann::json counters = kept_ ? kept_->counters() : counters_of(a);
    if (!program_ || !program_->counts_punts()) {
        counters.erase("punts");
        counters.erase("flush_punts");
    }
    return {{"schema", json_schema},
            {"ok", true},
            {"name", members_.plan.name},
            {"uuid", md::to_string(members_.plan.set_uuid)},
            {"block_device", block_path_},
            {"engine", engine_name(host_)},
            {"passthrough", options_.passthrough},
            {"state", to_string(health_of(a))},
            {"pid", ::getpid()},
            {"queue_threads", threads},
            {"xor", xor_name(rr_host_queue(a, 0)->fused != 0)},
            {"program_id", program_ ? program_->program_id() : 0},
            {"program_version", kept_ ? kept_->version() : 0},
            {"probation", other_program_.has_value()},
            {"store", kept_ ? paths_->store_pin : ""},
            {"verifier", program_ ? program_->verifier() : ""},
            {"program_errors", program_ ? program_->error_stream() : ""},
            {"layout", layout_name(a->geometry.layout)},
            {"chunk_bytes", 1U << (a->geometry.chunk_shift + RR_SECTOR_SHIFT)},
            {"cell_bytes", 1U << a->cell_shift},
            {"size_bytes", a->array_sectors << RR_SECTOR_SHIFT},
            {"queues", a->queues},
            {"depth", a->depth},
            {"slots", a->slots},
            {"arena_bytes", a->bytes},
            {"events", metadata_->events()},
            {"epoch", a->state >> RR_STATE_EPOCH_SHIFT},
            {"durable_epoch", a->durable_epoch},
            {"members", member_status()},
            {"counters", counters}};
}

}  // namespace rr
