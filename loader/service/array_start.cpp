// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The steps of a start, in their order: see array_service.h. All that can be refused
// is found out before the first byte is written to a member.
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "base/log.h"
#include "resync/resync.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/limits.h"
#include "service/name_link.h"
#include "service/ownership.h"
#include "service/parity_log.h"
#include "service/report.h"
#include "service/socket.h"

namespace rr {
namespace {

constexpr uint32_t queues_default_max = 4;
// A killed daemon's commands may be in flight for as long as the NVMe driver takes
// to abort one and to reset the controller, 30 s each.
constexpr auto dying_wait = std::chrono::seconds(90);
constexpr auto dying_poll = std::chrono::milliseconds(20);
constexpr int answer_ms = 2000;

uint32_t cpus() {
    return static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

array_config config_for(const service_options& options, const array_members& members) {
    const rr_geometry& geometry = members.plan.geometry;
    array_config config;
    config.members = geometry.members;
    config.chunk_sectors = 1U << geometry.chunk_shift;
    config.layout = geometry.layout;
    config.queues = options.queues.value_or(std::min(cpus(), queues_default_max));
    config.depth = options.depth;
    config.slots = options.slots;
    config.member_io_sectors = member_io_sectors(members.present());
    config.zero_copy = options.zero_copy;
    config.member_sectors = members.plan.member_sectors;
    if (members.bitmap)
        config.region_sectors = members.bitmap->chunk_sectors();
    config.buffer_bytes_max = options.arena_bytes_max;
    for (uint32_t role = 0; role < geometry.members; role++) {
        if (const auto& member = members.plan.members[role])
            config.data_offset[role] = member->superblock.data_offset;
    }
    if (members.replacement)
        config.data_offset[geometry.members] = members.replacement->superblock.data_offset;
    return config;
}

// The sets whose superblocks these devices carry, as far as they can be read.
std::set<md::uuid> sets_on(const std::vector<std::string>& devices) {
    std::set<md::uuid> out;
    for (const std::string& path : devices) {
        open_options look;
        look.read_only = true;
        auto device = open_member(path, look);
        if (!device)
            continue;
        if (auto sb = md::read_superblock(device->fd.get()))
            out.insert(sb->set_uuid);
    }
    return out;
}

bool signal_is_pending() {
    sigset_t pending;
    sigemptyset(&pending);
    ::sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

}  // namespace

Result<std::unique_ptr<array_service>> array_service::start(const service_options& options) {
    std::unique_ptr<array_service> service(new array_service(options));
    Status started = service->start_all();
    if (started)
        return service;
    // Queues of a takeover cannot be ended without the device, whose clients wait for
    // the next successor: they end with the process.
    if (service->recovering_ && service->queues_run_) {
        // Who asks it would take this process for one that serves.
        service->socket_.reset();
        (void)service.release();
        return forward_error(started.error());
    }
    std::vector<order> waiting = service->taken_orders();
    // Who wanted it to stop has what he wanted, but for clients who wait.
    const nlohmann::json answer =
        service->recovering_
            ? error_json({EOWNERDEAD, "the takeover was ended, and clients wait for the next one",
                          "ringraid assemble, or stop --force"})
            : nlohmann::json({{"schema", json_schema}, {"ok", true}});
    service.reset();
    for (const order& o : waiting)
        (void)write_line(o.client.get(), to_line(answer));
    return forward_error(started.error());
}

Status array_service::do_steps(std::initializer_list<std::pair<const char*, start_step>> steps) {
    for (const auto& [name, s] : steps) {
        step_ = name;
        if (told_to_stop())
            return fail(ECANCELED, "told to stop while {}", name);
        if (Status ok = (this->*s)(); !ok)
            return ok;
    }
    return {};
}

Status array_service::start_all() {
    Status begun = do_steps({{"looking at the machine", &array_service::choose_engine},
                             {"looking at the machine", &array_service::steady_process},
                             {"looking for the array", &array_service::know_set}});
    if (begun && options_.old)
        begun = do_steps({{"preparing to serve", &array_service::prepare_succession},
                          {"waiting for its turn", &array_service::await_succession}});
    if (begun)
        begun =
            do_steps({{"taking its place", &array_service::take_places},
                      {"looking for what a dead daemon left", &array_service::meet_predecessor}});
    if (begun && options_.old && !recovering_)
        begun = fail(ESTALE, "nobody waits for the daemon that handed over");
    return begun ? finish_start() : begun;
}

Status array_service::finish_start() {
    if (!recovering_) {
        Status made = do_steps({{"opening the members", &array_service::open_cold},
                                {"opening the members", &array_service::open_namespaces}});
        if (made && will_serve())
            made = do_steps({{"making the ublk device", &array_service::add_device},
                             {"making the arena", &array_service::make_arena},
                             {"making the store", &array_service::open_store},
                             {"loading the program", &array_service::make_queues}});
        if (!made)
            return made;
    }
    Status written = do_steps({{"zeroing the members", &array_service::empty_new_members},
                               {"writing superblocks", &array_service::write_new_superblocks},
                               {"writing superblocks", &array_service::open_metadata},
                               {"recovering what was being written", &array_service::replay_logs},
                               {"recomputing parity", &array_service::make_parity_right}});
    if (!written)
        return written;
    if (!will_serve()) {
        finish_unserved();
        return {};
    }
    if (!recovering_)
        written = do_steps({{"emptying the logs", &array_service::empty_logs_now}});
    if (!written)
        return written;
    Status serving = do_steps({{"marking the array dirty", &array_service::mark_dirty},
                               {"starting the device", &array_service::start_device}});
    if (!serving)
        return serving;
    log_info("{} serves {} with the {} engine", block_path_, short_name(name_), engine_name(host_));
    return {};
}

bool array_service::told_to_stop() {
    if (signal_is_pending())
        return true;
    std::lock_guard hold(order_lock_);
    return std::ranges::any_of(
        orders_, [](const order& o) { return o.request.value("command", "") == "stop"; });
}

// False when the step should end.
bool array_service::report(const std::string& text) {
    const bool heard = !options_.progress || options_.progress(text);
    return heard && !told_to_stop();
}

// Each twentieth has a line; the empty ones between find out that nobody reads any more.
std::function<void(uint64_t, uint64_t)> array_service::tell_percent(const std::string& what,
                                                                    std::atomic<bool>& cancel) {
    return [this, what, &cancel, shown = -1](uint64_t done, uint64_t total) mutable {
        const int percent = static_cast<int>(done * 100 / total);
        const bool news = percent / 5 != shown / 5 || shown < 0;
        shown = percent;
        if (!report(news ? fmt::format("{}: {}% of {} MiB", what, percent, total >> 20) : ""))
            cancel = true;
    };
}

bool array_service::will_serve() const {
    return !options_.create || options_.create->serve;
}

Status array_service::choose_engine() {
    if (!will_serve())
        return {};
    const std::string missing = bpf_host_missing();
    host_ = options_.host.value_or(missing.empty() ? engine_host::bpf : engine_host::user);
    if (host_ == engine_host::bpf && !missing.empty())
        return with_hint(fail(ENOTSUP, "{}", missing), "use --engine user");
    if (auto driver = ublk_control::open(); !driver)
        return forward_error(driver.error());
    return {};
}

// Memory reclaim must never wait for this process: its I/O is what reclaim
// may be waiting for. The effect is read back, not assumed.
Status array_service::steady_process() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
    if (::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 || ::prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) != 1)
        return with_hint(fail(errno, "cannot become an I/O flusher"),
                         "run as root (CAP_SYS_RESOURCE)");
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return with_hint(fail(errno, "cannot lock memory"), "raise the locked memory limit");
    wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    signals_.reset(::signalfd(-1, &stop_signals, SFD_CLOEXEC));
    return wake_ && signals_ ? Status{} : Status(fail(errno, "cannot make an eventfd"));
}

Status array_service::check_cpus() {
    if (options_.queues && *options_.queues > cpus())
        return with_hint(fail(EINVAL, "{} queues on {} CPUs", *options_.queues, cpus()),
                         "ublk makes at most one queue per CPU");
    return {};
}

// Which array it is, before anything of it is touched: the lock is named after it.
Status array_service::know_set() {
    if (options_.create) {
        auto planned = plan_creation(*options_.create, options_.devices);
        if (!planned)
            return forward_error(planned.error());
        members_ = std::move(*planned);
        set_uuid_ = members_.plan.set_uuid;
        be_called(members_.plan.name);
        return {};
    }
    if (options_.assembly.set_uuid) {
        set_uuid_ = *options_.assembly.set_uuid;
        return {};
    }
    const std::set<md::uuid> sets = sets_on(options_.devices);
    if (sets.size() == 1) {
        set_uuid_ = *sets.begin();
        return {};
    }
    // None, or several: who plans the array says what is wrong with them.
    auto opened = open_array(options_.devices, options_.assembly);
    if (!opened)
        return forward_error(opened.error());
    set_uuid_ = opened->plan.set_uuid;
    return {};
}

Status array_service::take_places() {
    if (!places_)
        places_.emplace(set_uuid_);
    for (int step = 0; step < 2; step++) {
        if (Status ok = step == 0 ? places_->make_run_directory() : places_->check_room(); !ok)
            return ok;
    }
    const bool pins = will_serve() && host_ == engine_host::bpf;
    if (Status ok = pins ? places_->make_pin_directory() : Status{}; !ok)
        return ok;
    // One that was killed a moment ago may hold the lock until the kernel has ended it.
    const auto end = std::chrono::steady_clock::now() + dying_wait;
    for (;;) {
        Status taken = places_->take_lock();
        if (taken)
            break;
        if (taken.error().err != EBUSY)
            return taken;
        auto answer = ask(places_->paths().socket, R"({"command":"status"})", answer_ms);
        if (answer) {
            const nlohmann::json told = nlohmann::json::parse(*answer, nullptr, false);
            const std::string life = told.is_object() ? told.value("life", "serving") : "serving";
            return with_hint(fail(EBUSY, "the array is being served (it is {})", life),
                             "ringraid status");
        }
        if (std::chrono::steady_clock::now() > end)
            return with_hint(fail(EBUSY, "another process has the array, and does not answer"),
                             "if that is a killed daemon's I/O, try again when it is over");
        std::this_thread::sleep_for(dying_poll);
    }
    // While no arena is mapped yet: others may be known by theirs only.
    if (!left_)
        know_others();
    enter(life_state::starting, "looking for what a dead daemon left");
    auto opened = open_socket();
    if (!opened)
        return forward_error(opened.error());
    socket_ = std::move(*opened);
    return {};
}

void array_service::know_others() {
    for (const nlohmann::json& other : running_arrays()) {
        if (other.value("uuid", "") != md::to_string(set_uuid_))
            others_.push_back(other.value("block_device", ""));
    }
}

// What the control socket's thread shows while parts come and go.
void array_service::be_called(const std::string& name) {
    std::lock_guard hold(parts_lock_);
    name_ = name;
}

void array_service::own_device(ublk_device&& device) {
    std::lock_guard hold(parts_lock_);
    device_.emplace(std::move(device));
    block_path_ = device_->block_path();
}

void array_service::enter(life_state state, const char* step) {
    std::lock_guard hold(parts_lock_);
    step_ = step;
    life_ = state;
}

Status array_service::open_cold() {
    if (Status ok = options_.create ? Status{} : read_members(); !ok)
        return ok;
    if (Status ok = reserve_members(); !ok)
        return ok;
    cold_ = true;
    for (const md::excluded_device& out : members_.plan.excluded)
        log_info("{} is left out: {}", out.path, out.reason);
    parity_right_ = !members_.plan.needs_resync;
    find_wanted_log();
    // From here on it is found by name.
    return places_->write_state(state_file());
}

Status array_service::read_members() {
    auto opened = open_patiently();
    if (!opened)
        return forward_error(opened.error());
    members_ = std::move(*opened);
    find_bitmap(members_);
    if (Status ok = find_parity_logs(members_, options_.assembly.force); !ok)
        return ok;
    be_called(members_.plan.name);
    return {};
}

// The lock is ours: who holds a member is a daemon that is ending, or a stranger.
Result<array_members> array_service::open_patiently() const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    // The set whose lock we have: paths may lead elsewhere by now.
    md::assembly_options how = options_.assembly;
    how.set_uuid = set_uuid_;
    for (;;) {
        auto opened = open_array(options_.devices, how);
        if (opened || opened.error().err != EBUSY || std::chrono::steady_clock::now() > end)
            return opened;
        std::this_thread::sleep_for(dying_poll);
    }
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

Status array_service::add_device() {
    if (Status ok = check_cpus(); !ok)
        return ok;
    const array_config config = config_for(options_, members_);
    auto layout = plan_layout(config);
    if (!layout)
        return forward_error(layout.error());
    auto control = ublk_control::open();
    auto known = control ? control->features() : forward_error(control.error());
    if (!known)
        return forward_error(known.error());
    ublksrv_ctrl_dev_info info{};
    info.nr_hw_queues = static_cast<uint16_t>(config.queues);
    info.queue_depth = static_cast<uint16_t>(config.depth);
    info.max_io_buf_bytes = request_bytes_max(*layout);
    info.dev_id = static_cast<uint32_t>(-1);
    info.ublksrv_pid = ::getpid();
    info.flags = UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_USER_COPY | UBLK_F_USER_RECOVERY |
                 UBLK_F_USER_RECOVERY_REISSUE | (*known & UBLK_F_SAFE_STOP_DEV);
    if (config.zero_copy)
        info.flags |= UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_AUTO_BUF_REG;
    if ((info.flags & *known) != info.flags)
        return with_hint(
            fail(ENOTSUP, "the ublk driver lacks features {:#x}", info.flags & ~*known),
            "use Linux 6.16 or newer");
    auto added = ublk_device::add(set_uuid_, info);
    if (!added)
        return forward_error(added.error());
    own_device(std::move(*added));
    if (device_->made().nr_hw_queues != config.queues)
        return fail(EINVAL, "ublk made {} of {} queues", device_->made().nr_hw_queues,
                    config.queues);
    const ublk_params params =
        device_params(*layout, members_.present(), members_.logical_block_bytes);
    const uint32_t stripe = full_stripe_bytes(*layout);
    // A power of two is in the parameters already.
    const uint32_t io_opt = !std::has_single_bit(stripe) && kernel_has_io_opt() ? stripe : 0;
    if (Status ok = device_->set_params(params, io_opt); !ok)
        return ok;
    return places_->write_state(state_file());
}

Status array_service::make_arena() {
    auto layout = plan_layout(config_for(options_, members_));
    if (!layout)
        return forward_error(layout.error());
    layout->header.user_base = RR_ARENA_ADDRESS;
    const array_paths& paths = places_->paths();
    // What a dead daemon left was removed with its directory.
    if (Status ok = host_ == engine_host::bpf ? places_->make_pin_directory() : Status{}; !ok)
        return ok;
    const bool pinned = host_ == engine_host::bpf;
    auto made = pinned ? arena_memory::create_map(layout->bytes)
                       : arena_memory::create_file(paths.arena_file, layout->bytes);
    if (!made)
        return forward_error(made.error());
    arena_.emplace(std::move(*made));
    init_arena(arena_->span(), *layout, members_.missing_mask());
    array()->latency_on = options_.latency ? 1 : 0;
    if (const auto& half = members_.plan.rebuilding) {
        // Before anything is written: its rows below stay those of a member.
        array()->job.frontier = array()->job.next =
            half->sectors >> (array()->cell_shift - RR_SECTOR_SHIFT);
        array()->job.by_region = half->by_bitmap && members_.bitmap ? 1 : 0;
        array()->state |= RR_STATE_REBUILD;
    }
    if (const auto& copy = members_.replacement) {
        array()->replaced = copy->role;
        // Not where parity comes first: of what is written meanwhile it gets nothing.
        if (!members_.plan.needs_resync) {
            array()->job.frontier = array()->job.next =
                copy->sectors >> (array()->cell_shift - RR_SECTOR_SHIFT);
            array()->state |= RR_STATE_REPLACE;
        }
    }
    fill_life(*life_record(), members_, host_, options_.passthrough);
    life_record()->mark = ublk_device::mark_of(set_uuid_);
    life_record()->ublk_device = device_->number();
    sign(*life_record());
    if (Status ok = arena_->publish(pinned ? paths.arena_pin : paths.arena_file); !ok)
        return ok;
    if (Status ok = open_durability(); !ok)
        return ok;
    make_bitmap();
    if (bitmap_) {
        const auto& half = members_.plan.rebuilding;
        bitmap_->begin(half && half->by_bitmap, half ? half->sectors : 0);
    }
    return {};
}

Status array_service::open_durability() {
    durability_ = std::make_unique<durability>(array());
    return durability_->open();
}

Status array_service::open_store() {
    if (host_ != engine_host::bpf)
        return {};
    auto opened = recovering_ ? kept_state::adopt(places_->paths(), arena_->fd())
                              : kept_state::make(places_->paths());
    if (!opened)
        return forward_error(opened.error());
    kept_.emplace(std::move(*opened));
    return {};
}

std::optional<cpu_set_t> array_service::cpus_of(uint32_t queue) {
    if (!options_.affinity)
        return std::nullopt;
    auto cpus = device_->queue_cpus(static_cast<uint16_t>(queue));
    if (!cpus)
        log_error("queue {} runs on any CPU: {}", queue, describe(cpus.error()));
    return cpus && CPU_COUNT(&*cpus) > 0 ? std::optional(*cpus) : std::nullopt;
}

// As the member's superblock says; none: it has no log.
log_thread::place array_service::log_place(uint32_t role) const {
    const auto& member = members_.plan.members[role];
    if (!members_.devices[role] || !member)
        return {};
    auto area = md::locate_ppl(member->superblock);
    return area ? log_thread::place{members_.devices[role]->fd.get(), area->sector, area->sectors}
                : log_thread::place{};
}

// Also where rows are not logged yet: the rings of the queues know it.
Status array_service::make_log() {
    log_thread::places where{};
    for (uint32_t role = 0; members_.logged && role < members_.devices.size(); role++)
        where[role] = log_place(role);
    array()->log_roles = members_.logged ? (1U << members_.devices.size()) - 1 : 0;
    // The block layer leaves FUA out where there is no cache; commands go as they are.
    array()->log_fua = ~0U;
    for (uint32_t role = 0; role < members_.devices.size() && options_.passthrough; role++) {
        if (members_.devices[role] && !members_.devices[role]->limits.volatile_cache)
            array()->log_fua &= ~(1U << role);
    }
    log_ = std::make_unique<log_thread>(array(), set_uuid_);
    return log_->open(where);
}

Status array_service::make_queues() {
    auto opened = open_ublk_char(device_->number());
    if (!opened)
        return forward_error(opened.error());
    char_device_ = std::move(*opened);
    flusher_ = std::make_unique<flusher>(array());
    if (Status ok = flusher_->open(members_.fds()); !ok)
        return ok;
    if (Status ok = make_log(); !ok)
        return ok;
    if (!queues_.empty())
        return meet_queues();
    for (uint32_t i = 0; i < array()->queues; i++) {
        queue_config config;
        config.queue = i;
        config.host = host_;
        config.array = array();
        config.ublk_char_fd = char_device_.get();
        config.control_ring_fd = durability_->ring_fd();
        config.flusher_ring_fd = flusher_->ring_fd();
        config.log_ring_fd = log_ring();
        config.ended_fd = wake_.get();
        config.zero_copy = array()->zero_copy != 0;
        config.cpus = cpus_of(i);
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
    return host_ == engine_host::bpf ? load_program(rings) : Status{};
}

// They were made ahead.
Status array_service::meet_queues() {
    queue_device device;
    device.ublk_char_fd = char_device_.get();
    device.control_ring_fd = durability_->ring_fd();
    device.flusher_ring_fd = flusher_->ring_fd();
    device.log_ring_fd = log_ring();
    device.member_fds = members_.fds();
    device.lba_bytes = members_.present()[0]->logical_block_bytes;
    for (const auto& ns : namespaces_)
        device.namespaces.push_back(ns ? &*ns : nullptr);
    std::vector<int> rings;
    for (uint32_t i = 0; i < queues_.size(); i++) {
        auto& queue = queues_[i];
        device.cpus = cpus_of(i);
        if (Status ok = queue->meet(device); !ok)
            return ok;
        rings.push_back(queue->ring_fd());
    }
    return host_ == engine_host::bpf ? load_program(rings) : Status{};
}

Status array_service::load_program(const std::vector<int>& rings) {
    auto object = kept_->active_program();
    if (!object)
        return forward_error(object.error());
    // Verified before anybody waited, unless the store was moved on since.
    if (program_ && program_ahead_ == *object)
        return program_->attach();
    program_.reset();
    auto loaded = bpf_program_set::load(
        *object, {arena_->fd(), kept_->at().at().fd(), rings, queues_[0]->offsets()});
    if (!loaded)
        return forward_error(loaded.error());
    program_.emplace(std::move(*loaded));
    log_info("verifier: {}", program_->verifier());
    return program_->attach();
}

// What is on them goes first, so that an end in the middle leaves no array whose data
// is partly zero.
Status array_service::empty_new_members() {
    if (!options_.create || recovering_)
        return {};
    if (Status ok = options_.create->force ? erase_signatures(members_) : Status{}; !ok)
        return ok;
    if (!options_.create->write_zeroes)
        return {};
    std::atomic<bool> cancel{false};
    auto zeroed = zero_data(members_, tell_percent("zeroing the members", cancel), cancel);
    if (!zeroed)
        return forward_error(zeroed.error());
    report(*zeroed);
    return {};
}

Status array_service::write_new_superblocks() {
    if (!options_.create || recovering_)
        return {};
    want_log(options_.create->log_wanted);
    logs_are_empty_ = true;
    return write_creation(members_);
}

Status array_service::open_metadata() {
    if (metadata_)
        return {};  // a takeover has it already
    // Devices may change.
    auto write = [this](uint32_t role, const md::md_superblock& sb) -> Status {
        auto once = [&]() -> Status {
            if (fenced_)
                return fail(EBADE, "another host has the members");
            return md::write_superblock(members_.device(role)->fd.get(), sb);
        };
        return durability_ ? durability_->insist(role, once) : once();
    };
    metadata_.emplace(members_.metadata_state(), write, witness());
    if (durability_)
        durability_->record_with(&*metadata_);
    return {};
}

// The superblocks say clean then, as nothing is in flight, and know of no log any more: cut
// off from here on, a degraded array starts without one.
Status array_service::replay_logs() {
    if (!members_.logs || recovering_)
        return {};
    auto done = recover_from_logs(members_, std::random_device{}());
    if (!done)
        return forward_error(done.error());
    for (const std::string& line : recovery_lines(*done)) {
        log_info("{}", line);
        report(line);
    }
    log_recovery_ = describe_recovery(*done);
    members_.logs.reset();
    logs_are_empty_ = true;
    if (done->without) {
        const failures_so_far before(*array());
        lose_member(*array(), members_, done->without->role, done->without->error);
        durability_->settle();
        if (Status ok = before.bearable(*array()); !ok)
            return ok;
    }
    if (done->parity_right) {
        metadata_->resync_finished();
        parity_right_ = true;
    }
    if (!parity_right_ && members_.logged)
        return keep_bitmap_meanwhile();
    if (!parity_right_ || members_.plan.forced)
        return {};
    auto clean = metadata_->mark_clean();
    return clean ? Status{} : Status(forward_error(clean.error()));
}

// After a crash, or a create: all parity. Behind the clients, as a job; before anything
// is served where that is asked for, and where parity is to be trusted for data that
// cannot be read.
Status array_service::make_parity_right() {
    if (parity_right_ || recovering_ || (options_.create && options_.create->parity_later))
        return {};
    if (will_serve() && !options_.wait && !options_.assembly.force) {
        array()->job.frontier = array()->job.next =
            members_.plan.resync_from >> (array()->cell_shift - RR_SECTOR_SHIFT);
        if (bitmap_) {
            array()->job.by_region = 1;
            bitmap_->begin(true, members_.plan.resync_from);
            if (!bitmap_->next_needed(0)) {
                // Nothing was being written when it was cut off.
                metadata_->resync_finished();
                parity_right_ = true;
                return {};
            }
        }
        array()->state |= RR_STATE_RESYNC;
        report("recomputing parity while it serves: ringraid watch shows how far it is");
        return {};
    }
    // Old logs and bitmaps must not be believed once parity is rewritten.
    if (auto marked = metadata_->mark_dirty(); !marked)
        return forward_error(marked.error());
    std::atomic<bool> cancel{false};
    resync_options how;
    how.stripes = members_.plan.member_sectors >> members_.plan.geometry.chunk_shift;
    how.trust_parity = options_.assembly.force;
    how.cancel = &cancel;
    how.progress = tell_percent("recomputing parity", cancel);
    auto done = resync(members_.plan.geometry, members_.resync_members(), how);
    if (!done)
        return with_hint(
            fail(done.error().error.err, "cannot recompute parity: member {} sector {}: {}",
                 done.error().role, done.error().sector, done.error().error.what),
            done.error().write || options_.assembly.force
                ? "nothing was lost: replace the cable or the disk, "
                  "then assemble again"
                : "check the cable, or use --force to rebuild such "
                  "sectors from parity: they "
                  "may be wrong where the crash cut off a write");
    if (done->cancelled)
        return fail(ECANCELED, "told to stop while parity was recomputed");
    report(fmt::format("parity is right; {} of {} stripes were not", done->stripes_mismatched,
                       done->stripes_done));
    if (done->rows_rebuilt != 0)
        report(fmt::format("{} blocks of 4 KiB could not be read and were rebuilt",
                           done->rows_rebuilt));
    metadata_->resync_finished();
    parity_right_ = true;
    return {};
}

Status array_service::mark_dirty() {
    life_record()->phase = RR_LIFE_SERVING;
    const failures_so_far before(*array());
    auto marked = metadata_->mark_dirty();
    if (!marked)
        return forward_error(marked.error());
    // A member whose superblock cannot be written fails like any other; not before the
    // rows of a dead daemon are written.
    lose_unwritten(*array(), *marked);
    if (Status ok = before.bearable(*array()); recovering_ && !ok)
        return ok;
    durability_->settle();
    if (Status ok = before.bearable(*array()); recovering_ && !ok)
        return ok;
    // Clients that wait for a successor get their errors; no others are let in.
    if (!recovering_ && health_of(array()) == array_health::failed)
        return with_hint(fail(EIO, "the superblocks of two members cannot be written"),
                         "look at the kernel log");
    publish_array();
    publish_members();
    return {};
}

Status array_service::start_device() {
    std::vector<int> rings;
    for (auto& queue : queues_)
        rings.push_back(queue->ring_fd());
    durability::orders how;
    how.queue_rings = rings;
    // Who waits for a failure to be recorded looks then.
    if (log_)
        how.queue_rings.push_back(log_ring());
    how.recorded = [this] {
        publish_members();
        tell_failures();
        answer_failed();
        ask_for_spare();
        if (members_.replacement && !metadata_->replacement())
            ask_for("release");
    };
    how.jobs.replace = [this] { ask_for("replaced"); };
    how.jobs.flush = [this](uint32_t role) {
        // What it was filled with was computed of the others' blocks, and where there is a log
        // nothing is computed again.
        if (array()->log_roles != 0)
            flush_all();
        return flush_one(role);
    };
    how.jobs.tell = [this](const std::string& event, const nlohmann::json& more) {
        tell(event, more);
    };
    how.jobs.keep = [this](const std::optional<scrub_note>& note) { notes_->keep(note); };
    how.bitmap = how.jobs.bitmap = bitmap_ ? &*bitmap_ : nullptr;
    how.is_ours = [this] { return members_are_ours(); };
    how.clean_after = options_.clean_after;
    how.jobs.rates = options_.rates;
    how.flush = [this] { flush_all(); };
    judge_errors(how);
    readd_ = options_.readd;
    open_events();
    durability_->start(std::move(how));
    queues_run_ = true;
    // What the search for signatures has read would hand the first write to each such
    // page to a worker: the kernel does not invalidate without waiting.
    drop_caches_of(members_);
    flusher_->go(rings);
    if (log_)
        log_->go(rings, durability_->ring_fd());
    for (auto& queue : queues_)
        queue->go(rings);
    const bool is_new = !recovering_;
    if (Status ok = recovering_ ? device_->end_recovery() : device_->start(); !ok)
        return ok;
    if (handed_over_) {
        const uint64_t pause = monotonic_ns() - options_.old->since_ns();
        log_info("requests waited {} us", pause / 1000);
        (void)options_.old->tell({{"served", true}, {"pause_ns", pause}});
        options_.old.reset();
    }
    // Two stripes, as md has it (raid5_set_limits()).
    device_->read_ahead(2 * uint64_t{array()->geometry.members - 1}
                        << (array()->geometry.chunk_shift + RR_SECTOR_SHIFT));
    recovering_ = false;
    know_others();  // parity may have taken hours
    make_name_link(name_, *device_, others_);
    if (cold_)
        remove_older_links(name_, block_path_);
    if (Status ok = places_->write_state(state_file()); !ok)
        log_error("{}", describe(ok.error()));
    own();
    enter(life_state::serving, "");
    if (is_new)
        tell("NewArray", nlohmann::json::object());
    if (!log_recovery_.is_null())
        tell("LogRecovered", log_recovery_);
    if (health_of(array()) == array_health::degraded)
        tell("DegradedArray", nlohmann::json::object());
    start_jobs();
    return {};
}

void array_service::own() const {
    if (Status ok = own_array(set_uuid_, options_.kept_words); !ok)
        log_error("md may take its disks at the next boot: {}", describe(ok.error()));
}

// What a start finds to be done; a takeover has it in its arena.
void array_service::start_jobs() {
    array_jobs* jobs = durability_->jobs();
    const auto& half = members_.plan.rebuilding;
    const auto note = notes_->read();
    durability_->run([&] {
        const bool idle = !jobs->runs();
        if (idle && (array()->state & RR_STATE_RESYNC) != 0)
            jobs->begin_resync();
        else if (idle && half && (array()->state & RR_STATE_REBUILD) != 0)
            jobs->begin_rebuild(half->role, array()->job.frontier, array()->job.by_region != 0);
        // Lost on the way here: nobody was there to be told.
        if (members_.replacement && !metadata_->replacement())
            ask_for("release");
        else if (members_.replacement && array()->job.kind != RR_JOB_REPLACE)
            jobs->begin_replacement(array()->job.frontier);
        if (note)
            jobs->go_on(*note);
    });
    ask_for_spare();
}

// An array that was made and is not served here: nothing was ever written to it, and its
// parity is right or left to who serves it.
void array_service::finish_unserved() {
    // Before the members are let go, at which udev looks at them.
    if (options_.create->parity_later) {
        own();
    } else {
        if (auto clean = metadata_->mark_clean(); !clean || !clean->complete())
            log_error("the array stays dirty: its parity is recomputed at the first start");
    }
    give_up_reservations();
    metadata_.reset();
    members_.devices.clear();
    socket_.reset();
    places_->remove_run_files();
    enter(life_state::absent, "");
}

}  // namespace rr
