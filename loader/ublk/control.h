// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The ublk driver's control commands (linux include/uapi/linux/ublk_cmd.h).
//
// One io_uring with 128-byte SQEs on /dev/ublk-control, one command at a time,
// answered before the call returns. START, STOP and DEL block until queue
// threads have done their part, so the thread that makes member failures
// durable must never call them: a client's write could wait for it while it
// waits for the client's write.
#pragma once

#include <liburing.h>
#include <linux/ublk_cmd.h>

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace rr {

class ublk_control {
public:
    // ENOENT with a hint when the driver is not there.
    static Result<ublk_control> open();

    ublk_control(ublk_control&& other) noexcept;
    ublk_control(const ublk_control&) = delete;
    ublk_control& operator=(const ublk_control&) = delete;
    ublk_control& operator=(ublk_control&&) = delete;
    ~ublk_control();

    Result<uint64_t> features();  // UBLK_F_* that the driver knows
    Result<ublksrv_ctrl_dev_info> add(ublksrv_ctrl_dev_info info);
    Result<ublksrv_ctrl_dev_info> info(uint32_t device);
    // @io_opt: bytes, for a driver that knows UBLK_PARAM_TYPE_IO_OPT
    // (kfunc-patches/ublk-7.3/); 0: as @params says.
    Status set_params(uint32_t device, const ublk_params& params, uint32_t io_opt);
    // The CPUs whose requests come to the queue.
    Result<cpu_set_t> queue_cpus(uint32_t device, uint16_t queue);
    Status start(uint32_t device);
    Status stop(uint32_t device);
    // As stop(), but EBUSY while anybody has the block device open.
    Status try_stop(uint32_t device);
    // The device's number stays taken while somebody has it open.
    Status remove(uint32_t device);
    // EBUSY while rings of a dead daemon still hold the device.
    Status begin_recovery(uint32_t device);
    Status end_recovery(uint32_t device);

private:
    ublk_control() = default;
    Result<int> run(uint32_t op, uint32_t device, void* buffer, uint16_t length, uint64_t data);

    Fd file_;
    io_uring ring_{};
    bool ring_ready_ = false;
};

// The device node of a ublk device's server side, opened O_NONBLOCK so that
// payload copies run inline. Waits for udev or devtmpfs to make it.
Result<Fd> open_ublk_char(uint32_t device);

std::string ublk_block_path(uint32_t device);

}  // namespace rr
