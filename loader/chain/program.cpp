// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "store/libbpf_words.h"

namespace rr::chained {
namespace {

constexpr size_t log_bytes = 1 << 20;
constexpr size_t log_shown_bytes = 2000;
constexpr size_t faults_kept_bytes = 16384;

struct ops {
    void* loop_step;
    uint32_t ring_fd;
};

Status set_up(bpf_object* object, const chain_config& config, int arena_fd, int ring_fd) {
    bool configured = false, has_ops = false;
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
        const std::string_view name = bpf_map__name(map);
        size_t bytes = 0;
        void* value = bpf_map__initial_value(map, &bytes);
        if (name.ends_with(".rodata.chain") && value != nullptr && bytes == sizeof(config)) {
            std::memcpy(value, &config, sizeof(config));
            configured = true;
        } else if (name == "chain_ops" && value != nullptr && bytes >= sizeof(ops)) {
            static_cast<ops*>(value)->ring_fd = static_cast<uint32_t>(ring_fd);
            has_ops = true;
        }
    }
    bpf_map* arena = bpf_object__find_map_by_name(object, "chain_arena");
    if (!configured || !has_ops || arena == nullptr)
        return with_hint(fail(EINVAL, "the object has no steps for chained reads"),
                         "compile a file with CHAIN_PROGRAM() by clang-19 -target bpf -mcpu=v4 "
                         "-O2 -g -fno-builtin, with this library's headers");
    if (const int r = bpf_map__reuse_fd(arena, arena_fd); r != 0)
        return fail(-r, "the object does not take the arena");
    return {};
}

std::string tail(const std::string& log) {
    return log.size() > log_shown_bytes ? log.substr(log.size() - log_shown_bytes) : log;
}

}  // namespace

std::string kernel_lacks() {
    const store::libbpf_listener hears;
    btf* kernel = btf__load_vmlinux_btf();
    if (kernel == nullptr)
        return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
    const bool found = btf__find_by_name_kind(kernel, "io_uring_bpf_ops", BTF_KIND_STRUCT) > 0;
    btf__free(kernel);
    return found ? "" : "the kernel has no io_uring BPF ops (they came with Linux 7.1)";
}

Result<loop_program> loop_program::load(std::span<const uint8_t> object, const chain_config& config,
                                        int arena_fd, int ring_fd) {
    const store::libbpf_listener hears;
    std::string log(log_bytes, '\0');
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "chain", .kernel_log_buf = log.data(),
                .kernel_log_size = log_bytes);
    loop_program p;
    p.object_.reset(bpf_object__open_mem(object.data(), object.size(), &options));
    if (!p.object_)
        return fail(errno, "cannot open the BPF object: {}", store::last_words());
    if (Status ok = set_up(p.object_.get(), config, arena_fd, ring_fd); !ok)
        return forward_error(ok.error());
    if (const int r = bpf_object__load(p.object_.get()); r != 0) {
        log.resize(std::strlen(log.c_str()));
        return with_hint(
            fail(-r, "the kernel refuses the steps: {}\n{}", store::last_words(), tail(log)),
            r == -EPERM ? "run as root (CAP_BPF and CAP_PERFMON)"
                        : "loops of a step are written with rr_for (types.h)");
    }
    p.link_.reset(
        bpf_map__attach_struct_ops(bpf_object__find_map_by_name(p.object_.get(), "chain_ops")));
    if (!p.link_)
        return fail(errno, "cannot attach the steps to the ring");
    return p;
}

uint64_t loop_program::verified() const {
    const bpf_program* program = bpf_object__find_program_by_name(object_.get(), "chain_loop");
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &length) != 0)
        return 0;
    return info.verified_insns;
}

const std::string& loop_program::faults() {
    // Linux 6.17; libbpf 1.5 has no wrapper for it.
    char text[1024];
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), "chain_loop");
    bpf_attr attr{};
    attr.prog_stream_read.stream_buf = reinterpret_cast<uint64_t>(text);
    attr.prog_stream_read.stream_buf_len = sizeof(text);
    attr.prog_stream_read.stream_id = BPF_STREAM_STDERR;
    attr.prog_stream_read.prog_fd = static_cast<uint32_t>(bpf_program__fd(program));
    const long n = ::syscall(SYS_bpf, BPF_PROG_STREAM_READ_BY_FD, &attr, sizeof(attr));
    if (n > 0 && faults_.size() < faults_kept_bytes)
        faults_.append(text, static_cast<size_t>(n));
    return faults_;
}

}  // namespace rr::chained
