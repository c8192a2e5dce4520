// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ublk/device.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/log.h"

namespace rr {
namespace {

constexpr std::string_view server_node = "ublkc";

// The numbers of all ublk devices, from the names of their server sides.
std::vector<uint32_t> numbers() {
    std::vector<uint32_t> out;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/ublk-char", failed)) {
        const std::string name = entry.path().filename().string();
        uint32_t number = 0;
        if (!name.starts_with(server_node))
            continue;
        const char* digits = name.data() + server_node.size();
        if (std::from_chars(digits, name.data() + name.size(), number).ec == std::errc())
            out.push_back(number);
    }
    return out;
}

}  // namespace

uint64_t ublk_device::mark_of(const md::uuid& set_uuid) {
    // FNV-1a: all of the uuid counts, and a stranger's 0 is nobody's mark.
    uint64_t mark = 0xcbf29ce484222325;
    for (const uint8_t byte : set_uuid)
        mark = (mark ^ byte) * 0x100000001b3;
    return mark != 0 ? mark : 1;
}

Result<ublk_device> ublk_device::add(const md::uuid& set_uuid, ublksrv_ctrl_dev_info info) {
    auto control = ublk_control::open();
    if (!control)
        return forward_error(control.error());
    info.ublksrv_flags = mark_of(set_uuid);
    auto added = control->add(info);
    if (!added)
        return forward_error(added.error());
    ublk_device out(std::move(*control), info.ublksrv_flags, added->dev_id);
    out.made_ = *added;
    return out;
}

Result<ublk_device> ublk_device::adopt(const md::uuid& set_uuid, uint32_t number) {
    return adopt_marked(mark_of(set_uuid), number);
}

Result<ublk_device> ublk_device::adopt_marked(uint64_t mark, uint32_t number) {
    auto control = ublk_control::open();
    if (!control)
        return forward_error(control.error());
    ublk_device out(std::move(*control), mark, number);
    if (Status ok = out.ours(); !ok)
        return forward_error(ok.error());
    return out;
}

Result<std::optional<ublk_device>> ublk_device::find(const md::uuid& set_uuid) {
    for (uint32_t number : numbers()) {
        auto found = adopt(set_uuid, number);
        if (found)
            return std::optional(std::move(*found));
        if (found.error().err != ENODEV)
            return forward_error(found.error());
    }
    return std::nullopt;
}

Result<ublksrv_ctrl_dev_info> ublk_device::info() {
    auto now = control_->info(number_);
    if (!now && now.error().err != ENODEV && now.error().err != EINVAL)
        return forward_error(now.error());
    if (!now || now->ublksrv_flags != mark_)
        return fail(ENODEV, "ublk device {} is gone, or is not this array's", number_);
    return now;
}

Status ublk_device::ours() {
    auto now = info();
    return now ? Status{} : forward_error(now.error());
}

bool ublk_device::is_waited_for() {
    auto now = info();
    // A question that failed is no answer: who deletes it must be sure.
    return now ? now->state != UBLK_S_DEV_DEAD : now.error().err != ENODEV;
}

bool ublk_device::is_made_by_somebody() {
    auto now = info();
    if (!now || now->state != UBLK_S_DEV_DEAD)
        return false;
    const Fd server(
        ::open(fmt::format("/dev/ublkc{}", number_).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    return !server && errno == EBUSY;
}

bool ublk_device::is_live() {
    auto now = info();
    return now && now->state == UBLK_S_DEV_LIVE;
}

Status ublk_device::set_params(const ublk_params& params, uint32_t io_opt) {
    Status mine = ours();
    return mine ? control_->set_params(number_, params, io_opt) : mine;
}

Status ublk_device::start() {
    Status mine = ours();
    return mine ? control_->start(number_) : mine;
}

void ublk_device::read_ahead(uint64_t bytes) const {
    const std::string path = fmt::format("/sys/block/ublkb{}/queue/read_ahead_kb", number_);
    uint64_t now_kib = 0;
    if (!(std::ifstream(path) >> now_kib) || now_kib >= bytes / 1024)
        return;
    std::ofstream file(path);
    if (!(file << bytes / 1024 << std::flush))
        log_error("{} stays {}: {}", path, now_kib, std::strerror(errno));
}

Status ublk_device::stop() {
    Status mine = ours();
    return mine ? control_->stop(number_) : mine;
}

Status ublk_device::stop_unless_used() {
    if (Status mine = ours(); !mine)
        return mine;
    auto known = control_->features();
    if (known && (*known & UBLK_F_SAFE_STOP_DEV) != 0)
        return control_->try_stop(number_);
    // Older kernels: exclusive users (mounts, md, swap) at least are seen.
    Fd claim(::open(block_path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    if (!claim && errno == EBUSY)
        return fail(EBUSY, "{} is in use", block_path());
    claim.reset();
    return control_->stop(number_);
}

Status ublk_device::stop_apart(bool unless_used) {
    if (Status mine = ours(); !mine)
        return mine;
    std::string name = "ringraid", verb = "ublk-stop", number = fmt::format("{}", number_),
                mark = fmt::format("{}", mark_), how = "--unless-used";
    char* words[] = {
        name.data(), verb.data(), number.data(), mark.data(), unless_used ? how.data() : nullptr,
        nullptr};
    pid_t pid = -1;
    // Nothing of ours goes along: every descriptor closes on exec.
    if (int r = ::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, words, environ); r != 0)
        return fail(r, "cannot start the process that stops {}", block_path());
    int ended = 0;
    while (::waitpid(pid, &ended, 0) < 0) {
        if (errno != EINTR)
            return fail(errno, "cannot wait for the process that stops {}", block_path());
    }
    const int err = WIFEXITED(ended) ? WEXITSTATUS(ended) : EINTR;
    return err == 0 ? Status{} : Status(fail(err, "cannot stop {}", block_path()));
}

Status ublk_device::remove() {
    Status mine = ours();
    return mine ? control_->remove(number_) : mine;
}

Status ublk_device::begin_recovery() {
    Status mine = ours();
    return mine ? control_->begin_recovery(number_) : mine;
}

Status ublk_device::end_recovery() {
    Status mine = ours();
    return mine ? control_->end_recovery(number_) : mine;
}

}  // namespace rr
