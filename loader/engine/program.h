// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The BPF program of an array: opened, given its rings, loaded, attached.
//
// The object is bpf/raid5.bpf.c, built into the loader, or any other that has
// the same names: a map `rr_arena`, read-only variables `ring_at` and
// `rr_shared`, an ops map `raid5_queueN` for each queue, and keys of the KV
// store `raid5`. The arena, the rings and the store exist before and are lent.
//
// Loading and attaching are apart: an upgrade loads the next program, which
// takes the verifier its time, while the old one serves.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ringraid/ring.h"

struct bpf_object;
struct bpf_link;

namespace rr {

// What a program is lent.
struct program_setting {
    int arena_fd = -1;
    int store_fd = -1;
    std::vector<int> ring_fds;  // by queue
    rr_ring_offsets at{};
};

// Between open and load. EINVAL for an object that is not of this kind.
Status prepare_program(bpf_object* object, const program_setting& setting);

// The object that the loader was built with.
std::span<const uint8_t> builtin_object();

// EINVAL, with the differences, when the object does not share this loader's
// structures: it must not meet this arena.
Status check_shared_types(std::span<const uint8_t> object);

class bpf_program_set {
public:
    // @object has its keys resolved. ENOTSUP when the kernel has no io_uring
    // BPF ops; the verifier's last lines are in the message when it refuses
    // the program.
    static Result<bpf_program_set> load(std::span<const uint8_t> object,
                                        const program_setting& setting);
    // An object that is prepared and loaded.
    static bpf_program_set adopt(bpf_object* object, size_t queues);

    // To all rings. EBUSY when one has a program.
    Status attach();
    // The rings' threads must be out of the program.
    void detach();

    // What the verifier said of its work: "processed N insns ...".
    [[nodiscard]] const std::string& verifier() const { return verifier_; }
    // What the kernel wrote to the program's error stream: an access to a page
    // of the arena that is not there. Empty in a sound program. What was read
    // is gone from the stream, so it is kept here, its beginning at least.
    const std::string& error_stream();
    // Whether the kernel tells of SQEs that were handed to worker threads.
    [[nodiscard]] bool counts_punts() const { return counts_punts_; }
    [[nodiscard]] uint32_t program_id() const { return program_id_; }
    [[nodiscard]] int program_fd() const;

private:
    struct close_object {
        void operator()(bpf_object* object) const;
    };
    struct destroy_link {
        void operator()(bpf_link* link) const;
    };
    Status load_object(std::span<const uint8_t> object, const program_setting& setting,
                       std::string& log, uint32_t log_level);
    void know_program();
    Status attach_punts();

    std::unique_ptr<bpf_object, close_object> object_;
    size_t queues_ = 0;
    std::vector<std::unique_ptr<bpf_link, destroy_link>> links_;
    bool counts_punts_ = false;
    std::string verifier_;
    std::string errors_;
    uint32_t program_id_ = 0;
};

// Empty when this kernel can run the BPF host, else the reason.
std::string bpf_host_missing();

// Whether this kernel, or a module of it, has uring_bpf_xor (kfunc-patches/).
// The program decides by the same when it is loaded.
bool kernel_has_xor();

// Whether its ublk driver takes io_opt in bytes (kfunc-patches/ublk-7.3/). A driver ignores
// parameters that it does not know, but the number may be another's by then.
bool kernel_has_io_opt();

// What computes parity, in words.
const char* xor_name(bool fused);

}  // namespace rr
