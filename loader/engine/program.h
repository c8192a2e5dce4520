// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The BPF program of an array: opened, given its rings, loaded, attached.
//
// The object is bpf/raid5.bpf.c, built into the loader, or any other with the
// same names: a map `rr_arena`, a read-only variable `ring_at` and an ops map
// `raid5_queueN` for each queue. The arena exists before and is lent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ringraid/ring.h"

struct bpf_object;
struct bpf_link;

namespace rr {

class bpf_program_set {
public:
    // ENOTSUP when the kernel has no io_uring BPF ops; the verifier's last
    // lines are in the message when it refuses the program.
    static Result<bpf_program_set> load(int arena_fd, const std::vector<int>& ring_fds,
                                        const rr_ring_offsets& at);

    // What the verifier said of its work: "processed N insns ...".
    [[nodiscard]] const std::string& verifier() const { return verifier_; }
    // What the kernel wrote to the program's error stream: an access to a page
    // of the arena that is not there. Empty in a sound program.
    [[nodiscard]] std::string error_stream() const;
    // SQEs handed to worker threads; nothing where the kernel cannot tell.
    [[nodiscard]] std::optional<rr_punt_counts> punts() const;
    [[nodiscard]] uint32_t program_id() const { return program_id_; }
    [[nodiscard]] int program_fd() const;

private:
    struct close_object {
        void operator()(bpf_object* object) const;
    };
    struct destroy_link {
        void operator()(bpf_link* link) const;
    };
    Status attach_punts();
    Status load_object(int arena_fd, const std::vector<int>& ring_fds, const rr_ring_offsets& at,
                       std::string& log, uint32_t log_level);

    std::unique_ptr<bpf_object, close_object> object_;
    std::vector<std::unique_ptr<bpf_link, destroy_link>> links_;
    const rr_punt_counts* punts_ = nullptr;  // in the object's mapped data
    std::string verifier_;
    uint32_t program_id_ = 0;
};

// Empty when this kernel can run the BPF host, else the reason.
std::string bpf_host_missing();

}  // namespace rr
