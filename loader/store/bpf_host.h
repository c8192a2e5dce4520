// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs of a BPF object file, attached by pinned links: anybody's.
//
// A link that can be updated (tcx, XDP, cgroup, netns, netkit) gets the new
// program during the pause. Of any other kind the new version's link is
// attached beside the old one, where the gate keeps it quiet, and takes over
// the pin at commit. Beside a link's pin P there may be, until the roll-out
// ends: P_old and P_new (programs), P_next (a link); beside the store's pin S:
// S_down_G_N_T (converters of key N back from generation G to type T), which stay as long as G is
// the active version. Nothing else is left in the bpffs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/rollout.h"

struct bpf_object;

namespace rr::store {

struct link_spec {
    std::string pin;
    std::string program;  // in the new object; empty: called as the link's is now
    bool fresh = false;   // no link yet: a program that the old version had not
};

class bpf_host : public program_host {
public:
    // For commit, rollback and recover: what the header's journal says.
    explicit bpf_host(std::string store_pin) : base_(std::move(store_pin)) {}
    bpf_host(std::string store_pin, bytes object, std::vector<link_spec> links, const area& at);
    bpf_host(const bpf_host&) = delete;
    bpf_host& operator=(const bpf_host&) = delete;
    ~bpf_host() override;

    Status load(const manifest& from, const manifest& placed, const baking& how) override;
    Status attach(const area& at) override;
    Status swap(const area& at, bool to_new) override;
    Status finish(const area& at, bool keep_new) override;
    void come_from(uint32_t generation) override { from_ = generation; }
    Status convert(const std::string& function, uint16_t key_id, uint64_t to_hash, direction way,
                   const_bytes old, std::span<uint8_t> fresh) override;

    // Leaves the loaded object to the caller.
    [[nodiscard]] bpf_object* take_object() { return object_.release(); }

    // How long the kernel took to load the new programs.
    [[nodiscard]] uint64_t load_ns() const { return load_ns_; }
    [[nodiscard]] bpf_object* object() const { return object_.get(); }

protected:
    // Between open and load, for what else the program needs.
    virtual Status prepare(bpf_object* object) {
        (void)object;
        return {};
    }

private:
    struct close_object {
        void operator()(bpf_object* o) const;
    };
    Status check_converters(const manifest& from, const manifest& placed) const;

    std::string base_;
    bytes file_;
    std::vector<link_spec> links_;
    int area_fd_ = -1;
    uint32_t from_ = 0;
    uint32_t generation_ = 0;  // of what was loaded
    std::unique_ptr<bpf_object, close_object> object_;
    struct way_back {
        uint16_t key;
        uint64_t to_hash;
        std::string function;
    };
    std::vector<way_back> down_;
    uint64_t load_ns_ = 0;
};

// Opens an object that is baked for @at's active bank, with its maps set:
// load it with bpf_object__load(). For loaders that use libbpf themselves.
Result<bytes> bake_for(const store& in, const_bytes object);

Result<bytes> read_file(const std::string& path);

}  // namespace rr::store
