// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Persistent reservations of a member: who may write it, as the storage itself sees to it.
//
// The kernel's ioctls (linux/pr.h) are the same for NVMe and SCSI. A host registers a key
// and takes the reservation with it; the type is always Write Exclusive, under which
// everybody reads and the holder alone writes, other registrants no more than strangers.
// A positive answer of an ioctl is the device's and no errno: 0x18 is a conflict.
//
// Registrations are by host (the hostid of NVMe, the nexus of SCSI) and not by descriptor:
// they outlive the process. What a reboot of the storage makes of them is the storage's
// affair; Linux's nvmet forgets them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace rr {

struct reservation_report {
    std::vector<uint64_t> keys;  // of all registrants
    uint64_t holder = 0;         // 0: nobody
    uint32_t type = 0;           // enum pr_type

    [[nodiscard]] bool has(uint64_t key) const;
};

// One device, as this host sees it. EBADE: a reservation conflict. EOPNOTSUPP: it has none.
class reservations {
public:
    reservations() = default;
    virtual ~reservations() = default;
    reservations(const reservations&) = delete;
    reservations& operator=(const reservations&) = delete;

    virtual Result<reservation_report> read() = 0;
    // Registers this host with @key, also in place of one that it has; who holds the
    // reservation holds it with the new key from there on.
    virtual Status enter(uint64_t key) = 0;
    virtual Status leave(uint64_t key) = 0;
    virtual Status reserve(uint64_t key) = 0;
    virtual Status release(uint64_t key) = 0;
    // Takes the reservation from @victim, whose requests that are in flight are over when
    // this returns. @own is registered.
    virtual Status preempt(uint64_t own, uint64_t victim) = 0;
    // Nobody is registered any more. @own is registered.
    virtual Status clear(uint64_t own) = 0;
};

// Of a block device that stays open.
std::unique_ptr<reservations> reservations_of(int fd);

// 64 bits that are no other start's: they name the host, as far as there is room (its last
// seven characters), and the rest is by chance. Never 0.
uint64_t make_reservation_key(const std::string& host, uint64_t chance);
std::string host_of_key(uint64_t key);
std::string to_hex(uint64_t key);

}  // namespace rr
