// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/reservation.h"

#include <linux/nvme_ioctl.h>
#include <linux/pr.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace rr {
namespace {

constexpr size_t keys_most = 256;
// What host names are made of; the first one means that nothing is there.
constexpr std::string_view alphabet = " abcdefghijklmnopqrstuvwxyz0123456789-._";
constexpr size_t name_most = 7;
// 40 ^ 7 has 38 bits.
constexpr unsigned chance_bits = 64 - 38;
constexpr uint8_t nvme_reservation_register = 0x0d;
constexpr uint32_t nvme_unregister = 1;

class block_reservations : public reservations {
public:
    explicit block_reservations(int fd) : fd_(fd) {}

    Result<reservation_report> read() override {
        reservation_report out;
        out.keys.resize(keys_most);
        pr_read_keys keys{};
        keys.num_keys = keys_most;
        keys.keys_ptr = reinterpret_cast<uintptr_t>(out.keys.data());
        if (Status ok = ask(IOC_PR_READ_KEYS, &keys, "read the keys"); !ok)
            return forward_error(ok.error());
        out.keys.resize(std::min<size_t>(keys.num_keys, keys_most));
        pr_read_reservation held{};
        if (Status ok = ask(IOC_PR_READ_RESERVATION, &held, "read the reservation"); !ok)
            return forward_error(ok.error());
        // Without a holder the other fields mean nothing.
        if (held.type != 0) {
            out.holder = held.key;
            out.type = held.type;
        }
        return out;
    }

    // NVMe wants to be told whether a key is replaced; SCSI ignores the old one.
    Status enter(uint64_t key) override {
        pr_registration fresh{0, key, 0, 0};
        Status done = ask(IOC_PR_REGISTER, &fresh, "register");
        if (done || done.error().err != EBADE)
            return done;
        pr_registration replaced{key, key, PR_FL_IGNORE_KEY, 0};
        return ask(IOC_PR_REGISTER, &replaced, "register");
    }

    // To NVMe the kernel says "replace it by key 0", and that is a registrant still.
    Status leave(uint64_t key) override {
        const int ns = ::ioctl(fd_, NVME_IOCTL_ID);
        if (ns <= 0) {
            pr_registration none{key, 0, 0, 0};
            return ask(IOC_PR_REGISTER, &none, "unregister");
        }
        std::array<uint64_t, 2> keys{key, 0};
        nvme_passthru_cmd command{};
        command.opcode = nvme_reservation_register;
        command.nsid = static_cast<uint32_t>(ns);
        command.addr = reinterpret_cast<uintptr_t>(keys.data());
        command.data_len = sizeof(keys);
        command.cdw10 = nvme_unregister;
        return ask(NVME_IOCTL_IO_CMD, &command, "unregister");
    }

    Status reserve(uint64_t key) override {
        pr_reservation wanted{key, PR_WRITE_EXCLUSIVE, 0};
        return ask(IOC_PR_RESERVE, &wanted, "reserve");
    }

    Status release(uint64_t key) override {
        pr_reservation held{key, PR_WRITE_EXCLUSIVE, 0};
        return ask(IOC_PR_RELEASE, &held, "release");
    }

    // The kernel calls our own key the old one.
    Status preempt(uint64_t own, uint64_t victim) override {
        pr_preempt how{own, victim, PR_WRITE_EXCLUSIVE, 0};
        return ask(IOC_PR_PREEMPT_ABORT, &how, "preempt");
    }

    Status clear(uint64_t own) override {
        pr_clear how{own, 0, 0};
        return ask(IOC_PR_CLEAR, &how, "clear");
    }

private:
    template <typename T>
    Status ask(unsigned long order, T* how, const char* what) const {
        const int answer = ::ioctl(fd_, order, how);
        if (answer == 0)
            return {};
        if (answer < 0)
            // The kernel makes none for a partition, and says that with EPERM.
            return fail(errno == ENOTTY || errno == EPERM ? EOPNOTSUPP : errno, "cannot {}", what);
        if (answer == PR_STS_RESERVATION_CONFLICT)
            return fail(EBADE, "cannot {}", what);
        const bool path = answer == PR_STS_RETRY_PATH_FAILURE ||
                          answer == PR_STS_PATH_FAST_FAILED || answer == PR_STS_PATH_FAILED;
        return fail(path ? ENOLINK : EIO, "cannot {}: the device answers {:#x}", what, answer);
    }

    int fd_;
};

}  // namespace

bool reservation_report::has(uint64_t key) const {
    return std::ranges::find(keys, key) != keys.end();
}

std::unique_ptr<reservations> reservations_of(int fd) {
    return std::make_unique<block_reservations>(fd);
}

uint64_t make_reservation_key(const std::string& host, uint64_t chance) {
    std::string name = host.substr(0, host.find('.'));
    if (name.size() > name_most)
        name.erase(0, name.size() - name_most);
    name.resize(name_most, ' ');
    uint64_t number = 0;
    for (const char c : name) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        const size_t at = alphabet.find(lower);
        number =
            number * alphabet.size() + (at == std::string_view::npos ? alphabet.size() - 1 : at);
    }
    const uint64_t key = number << chance_bits | (chance & ((1U << chance_bits) - 1));
    return key == 0 ? 1 : key;
}

std::string host_of_key(uint64_t key) {
    uint64_t number = key >> chance_bits;
    std::string out;
    for (size_t i = 0; i < name_most; i++) {
        out.insert(out.begin(), alphabet[number % alphabet.size()]);
        number /= alphabet.size();
    }
    const size_t end = out.find_last_not_of(' ');
    out.resize(end == std::string::npos ? 0 : end + 1);
    return number != 0 || out.find(' ') != std::string::npos ? "" : out;
}

std::string to_hex(uint64_t key) {
    return fmt::format("{:#018x}", key);
}

}  // namespace rr
