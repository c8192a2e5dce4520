// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One ublk device that is ours: its number, and the mark that proves it.
//
// Numbers are used again as soon as a device is gone, by anybody. So the kernel
// keeps, beside each of our devices, a hash of its array's uuid
// (ublksrv_flags, which the driver stores and does not read), and every command
// to a number asks for that mark first. Between the question and the command the
// number could change hands only if our own device were deleted and another
// array's made in that moment; the driver has no command that takes both.
//
// States, as the driver has them: LIVE while a daemon serves, QUIESCED when it
// died and its clients wait, DEAD before the start and after the stop.
#pragma once

#include <memory>
#include <optional>

#include "md/superblock.h"
#include "ublk/control.h"

namespace rr {

class ublk_device {
public:
    // The mark of a set's device.
    static uint64_t mark_of(const md::uuid& set_uuid);

    // A new device, which destroy() or the next owner removes. @info's mark is set here.
    static Result<ublk_device> add(const md::uuid& set_uuid, ublksrv_ctrl_dev_info info);
    // The set's device with this number. ENODEV: there is none, or it is another's.
    static Result<ublk_device> adopt(const md::uuid& set_uuid, uint32_t number);
    // That with this number and mark.
    static Result<ublk_device> adopt_marked(uint64_t mark, uint32_t number);
    // The set's device, whatever its number; nothing where there is none.
    static Result<std::optional<ublk_device>> find(const md::uuid& set_uuid);

    [[nodiscard]] uint32_t number() const { return number_; }
    [[nodiscard]] std::string block_path() const { return ublk_block_path(number_); }
    [[nodiscard]] const ublksrv_ctrl_dev_info& made() const { return made_; }

    // What it is now; ENODEV: it is gone, or the number is another's.
    Result<ublksrv_ctrl_dev_info> info();
    // Clients may be waiting for a successor, or for who serves.
    bool is_waited_for();
    // A daemon serves it at this moment.
    bool is_live();
    // It has no clients, and a living process has its server's side open: it starts, or
    // stops.
    bool is_made_by_somebody();

    // See ublk_control.
    Status set_params(const ublk_params& params, uint32_t io_opt);
    // The CPUs whose requests come to the queue.
    Result<cpu_set_t> queue_cpus(uint16_t queue) { return control_->queue_cpus(number_, queue); }
    Status start();
    // ublk has no parameter for it. A larger value stays; none is no failure.
    void read_ahead(uint64_t bytes) const;
    Status stop();
    // As stop(), but EBUSY while anybody has the block device open.
    Status stop_unless_used();
    // stop(), or stop_unless_used(), by another process: for who serves the device. The
    // kernel waits in STOP for requests that may take for ever, and would hold the
    // server's own files for as long; killed meanwhile, it could not die, and nobody
    // succeed it. Runs `ringraid ublk-stop`.
    Status stop_apart(bool unless_used);
    // ENODEV: it was gone already.
    Status remove();
    // EBUSY while rings of a dead daemon still hold the device.
    Status begin_recovery();
    Status end_recovery();

private:
    ublk_device(ublk_control control, uint64_t mark, uint32_t number)
        : control_(std::make_unique<ublk_control>(std::move(control))),
          mark_(mark),
          number_(number) {}
    Status ours();

    std::unique_ptr<ublk_control> control_;
    uint64_t mark_;
    uint32_t number_;
    ublksrv_ctrl_dev_info made_{};
};

}  // namespace rr
