// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ublk/control.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <thread>

namespace rr {
namespace {

constexpr auto node_wait = std::chrono::seconds(10);
constexpr auto node_poll = std::chrono::milliseconds(5);

// UBLK_PARAM_TYPE_IO_OPT, which no released header has.
constexpr uint32_t param_type_io_opt = 1 << 7;
struct params_with_io_opt {
    ublk_params basic;
    uint32_t io_opt;
    uint32_t reserved;
};
static_assert(offsetof(ublk_params, integrity) + sizeof(ublk_param_integrity) ==
                  offsetof(params_with_io_opt, io_opt),
              "a newer header has the parameter, or another one in its place");

Status status_of(Result<int> result) {
    if (!result)
        return forward_error(result.error());
    return {};
}

}  // namespace

Result<ublk_control> ublk_control::open() {
    ublk_control c;
    c.file_.reset(::open("/dev/ublk-control", O_RDWR | O_CLOEXEC));
    if (!c.file_)
        return with_hint(
            fail(errno, "cannot open /dev/ublk-control"),
            errno == ENOENT ? "load the driver: modprobe ublk_drv" : "run as root (CAP_SYS_ADMIN)");
    io_uring_params params{};
    params.flags = IORING_SETUP_SQE128;
    if (int r = io_uring_queue_init_params(8, &c.ring_, &params); r < 0)
        return with_hint(fail(-r, "cannot make an io_uring for ublk commands"),
                         "check /proc/sys/kernel/io_uring_disabled");
    c.ring_ready_ = true;
    return c;
}

ublk_control::ublk_control(ublk_control&& other) noexcept
    : file_(std::move(other.file_)), ring_(other.ring_), ring_ready_(other.ring_ready_) {
    other.ring_ready_ = false;
}

ublk_control::~ublk_control() {
    if (ring_ready_)
        io_uring_queue_exit(&ring_);
}

Result<int> ublk_control::run(uint32_t op, uint32_t device, void* buffer, uint16_t length,
                              uint64_t data) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr)
        return fail(EBUSY, "the ublk control ring is full");
    std::memset(sqe, 0, 128);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = file_.get();
    sqe->cmd_op = op;
    auto* cmd = reinterpret_cast<ublksrv_ctrl_cmd*>(sqe->cmd);
    cmd->dev_id = device;
    cmd->queue_id = static_cast<uint16_t>(-1);
    cmd->addr = reinterpret_cast<uint64_t>(buffer);
    cmd->len = length;
    cmd->data[0] = data;

    int r;
    do
        r = io_uring_submit_and_wait(&ring_, 1);
    while (r == -EINTR);
    io_uring_cqe* cqe = nullptr;
    while (r >= 0 && (r = io_uring_wait_cqe(&ring_, &cqe)) == -EINTR)
        r = 0;
    if (r < 0)
        return fail(-r, "the ublk control ring failed");
    int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    if (result < 0)
        return fail(-result, "ublk command {:#x} on device {}", op & 0xff, device);
    return result;
}

Result<uint64_t> ublk_control::features() {
    uint64_t bits = 0;
    auto r = run(UBLK_U_CMD_GET_FEATURES, static_cast<uint32_t>(-1), &bits, sizeof(bits), 0);
    if (!r)
        return forward_error(r.error());
    return bits;
}

Result<ublksrv_ctrl_dev_info> ublk_control::add(ublksrv_ctrl_dev_info info) {
    auto r = run(UBLK_U_CMD_ADD_DEV, info.dev_id, &info, sizeof(info), 0);
    if (!r)
        return forward_error(r.error());
    return info;
}

Result<ublksrv_ctrl_dev_info> ublk_control::info(uint32_t device) {
    ublksrv_ctrl_dev_info info{};
    auto r = run(UBLK_U_CMD_GET_DEV_INFO, device, &info, sizeof(info), 0);
    if (!r)
        return forward_error(r.error());
    return info;
}

Status ublk_control::set_params(uint32_t device, const ublk_params& params, uint32_t io_opt) {
    params_with_io_opt all{params, io_opt, 0};
    all.basic.len = sizeof(all);
    if (io_opt != 0)
        all.basic.types |= param_type_io_opt;
    return status_of(run(UBLK_U_CMD_SET_PARAMS, device, &all, sizeof(all), 0));
}

Result<cpu_set_t> ublk_control::queue_cpus(uint32_t device, uint16_t queue) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    auto r = run(UBLK_U_CMD_GET_QUEUE_AFFINITY, device, &cpus, sizeof(cpus), queue);
    if (!r)
        return forward_error(r.error());
    return cpus;
}

Status ublk_control::start(uint32_t device) {
    return status_of(
        run(UBLK_U_CMD_START_DEV, device, nullptr, 0, static_cast<uint64_t>(::getpid())));
}

Status ublk_control::stop(uint32_t device) {
    return status_of(run(UBLK_U_CMD_STOP_DEV, device, nullptr, 0, 0));
}

Status ublk_control::try_stop(uint32_t device) {
    return status_of(run(UBLK_U_CMD_TRY_STOP_DEV, device, nullptr, 0, 0));
}

Status ublk_control::remove(uint32_t device) {
    return status_of(run(UBLK_U_CMD_DEL_DEV_ASYNC, device, nullptr, 0, 0));
}

Status ublk_control::begin_recovery(uint32_t device) {
    return status_of(run(UBLK_U_CMD_START_USER_RECOVERY, device, nullptr, 0, 0));
}

Status ublk_control::end_recovery(uint32_t device) {
    return status_of(
        run(UBLK_U_CMD_END_USER_RECOVERY, device, nullptr, 0, static_cast<uint64_t>(::getpid())));
}

Result<Fd> open_ublk_char(uint32_t device) {
    std::string path = fmt::format("/dev/ublkc{}", device);
    auto end = std::chrono::steady_clock::now() + node_wait;
    for (;;) {
        Fd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        if (fd)
            return fd;
        if ((errno != ENOENT && errno != EBUSY) || std::chrono::steady_clock::now() > end)
            return fail(errno, "cannot open {}", path);
        std::this_thread::sleep_for(node_poll);
    }
}

std::string ublk_block_path(uint32_t device) {
    return fmt::format("/dev/ublkb{}", device);
}

}  // namespace rr
