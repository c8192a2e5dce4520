// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "store/libbpf_words.h"
#include "store/types.h"

// bpf/raid5.bpf.o, placed in the loader by object.S.
extern "C" {
extern const unsigned char rr_bpf_object_start[];
extern const unsigned char rr_bpf_object_end[];
}

namespace rr {
namespace {

constexpr size_t log_bytes = 1 << 20;
constexpr size_t errors_kept_bytes = 16384;
constexpr uint32_t log_reasons = 1;     // BPF_LOG_LEVEL1
constexpr uint32_t log_statistics = 4;  // BPF_LOG_STATS

// The verifier's summary, or the lines before the end of a refusal.
std::string line_with(const std::string& log, const char* word) {
    size_t at = log.rfind(word);
    if (at == std::string::npos)
        return {};
    size_t from = log.rfind('\n', at);
    from = from == std::string::npos ? 0 : from + 1;
    return log.substr(from, log.find('\n', at) - from);
}

std::string tail(const std::string& log, size_t bytes) {
    return log.size() > bytes ? log.substr(log.size() - bytes) : log;
}

// Where the read-only variable @name lies in its section.
Result<size_t> variable_offset(bpf_object* object, const char* section, const char* name) {
    const btf* types = bpf_object__btf(object);
    int id = btf__find_by_name_kind(types, section, BTF_KIND_DATASEC);
    if (id < 0)
        return fail(EINVAL, "the BPF object has no {}", section);
    const btf_type* sec = btf__type_by_id(types, static_cast<uint32_t>(id));
    const btf_var_secinfo* info = btf_var_secinfos(sec);
    for (uint16_t i = 0; i < btf_vlen(sec); i++) {
        const btf_type* var = btf__type_by_id(types, info[i].type);
        if (std::strcmp(btf__name_by_offset(types, var->name_off), name) == 0)
            return info[i].offset;
    }
    return fail(EINVAL, "the BPF object has no variable {}", name);
}

bool kernel_knows(const char* type) {
    btf* kernel = btf__load_vmlinux_btf();
    bool found = kernel != nullptr && btf__find_by_name(kernel, type) > 0;
    btf__free(kernel);
    return found;
}

// An ops map for each queue that there is; the others are not made.
Status set_rings(bpf_object* object, const std::vector<int>& ring_fds) {
    struct ops {
        void* loop_step;
        uint32_t ring_fd;
    };
    size_t used = 0;
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
        if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS)
            continue;
        unsigned queue = RR_QUEUES_MAX;
        std::sscanf(bpf_map__name(map), "raid5_queue%u", &queue);
        size_t bytes = 0;
        void* value = bpf_map__initial_value(map, &bytes);
        if (queue >= ring_fds.size() || value == nullptr || bytes < sizeof(ops)) {
            bpf_map__set_autocreate(map, false);
            continue;
        }
        static_cast<ops*>(value)->ring_fd = static_cast<uint32_t>(ring_fds[queue]);
        used++;
    }
    if (used != ring_fds.size())
        return fail(EINVAL, "the BPF object has programs for {} of {} queues", used,
                    ring_fds.size());
    return {};
}

Status set_config(bpf_object* object, const rr_ring_offsets& at) {
    auto offset = variable_offset(object, ".rodata", "ring_at");
    if (!offset)
        return forward_error(offset.error());
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
        size_t bytes = 0;
        void* value = bpf_map__initial_value(map, &bytes);
        if (!std::string_view(bpf_map__name(map)).ends_with(".rodata") || value == nullptr)
            continue;
        rr_program_config config{at, RR_ARENA_ADDRESS, static_cast<rr_u32>(::getpid()), 0};
        if (*offset + sizeof(config) > bytes)
            return fail(EINVAL, "the BPF object's ring_at is too small");
        std::memcpy(static_cast<char*>(value) + *offset, &config, sizeof(config));
    }
    return {};
}

Status lend_map(bpf_object* object, const char* name, int fd) {
    bpf_map* map = bpf_object__find_map_by_name(object, name);
    if (map == nullptr)
        return fail(EINVAL, "the BPF object has no map {}", name);
    if (int r = bpf_map__reuse_fd(map, fd); r != 0)
        return fail(-r, "the BPF object does not take the map {}", name);
    return {};
}

// The structures that an object shares with the daemon.
store::type_ref shared_types(const btf* types) {
    int id = btf__find_by_name_kind(types, "rr_shared", BTF_KIND_STRUCT);
    return {types, id < 0 ? 0 : static_cast<uint32_t>(id)};
}

using open_object = std::unique_ptr<bpf_object, void (*)(bpf_object*)>;

open_object open_quietly(std::span<const uint8_t> object) {
    const store::libbpf_listener hears;
    return {bpf_object__open_mem(object.data(), object.size(), nullptr), bpf_object__close};
}

}  // namespace

void bpf_program_set::close_object::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

void bpf_program_set::destroy_link::operator()(bpf_link* link) const {
    bpf_link__destroy(link);
}

std::span<const uint8_t> builtin_object() {
    return {rr_bpf_object_start, rr_bpf_object_end};
}

Status check_shared_types(std::span<const uint8_t> object) {
    open_object ours = open_quietly(builtin_object());
    open_object theirs = open_quietly(object);
    if (!ours || !theirs)
        return with_hint(fail(EINVAL, "this is not a BPF object: {}", store::last_words()),
                         "give a .bpf.o file");
    store::type_ref here = shared_types(bpf_object__btf(ours.get()));
    store::type_ref there = shared_types(bpf_object__btf(theirs.get()));
    if (there.id == 0)
        return with_hint(fail(EINVAL, "this is no datapath of ringraid: it has no rr_shared"),
                         "build it as bpf/raid5.bpf.c is built");
    if (store::type_hash(here) == store::type_hash(there))
        return {};
    std::string notes;
    for (const std::string& note : store::compare(here, there).notes)
        notes += (notes.empty() ? "" : "; ") + note;
    return with_hint(fail(EINVAL, "its arena is another one: {}", notes),
                     "stop the array, and assemble it with the ringraid of that program");
}

Status prepare_program(bpf_object* object, const program_setting& setting) {
    if (Status ok = lend_map(object, "rr_arena", setting.arena_fd); !ok)
        return ok;
    if (Status ok = lend_map(object, ".bss.kv", setting.store_fd); !ok)
        return ok;
    if (Status ok = set_config(object, setting.at); !ok)
        return ok;
    if (bpf_program* punts = bpf_object__find_program_by_name(object, "raid5_punt"))
        bpf_program__set_autoload(punts, kernel_knows("btf_trace_io_uring_queue_async_work"));
    return set_rings(object, setting.ring_fds);
}

Status bpf_program_set::attach_punts() {
    bpf_program* punts = bpf_object__find_program_by_name(object_.get(), "raid5_punt");
    if (punts == nullptr || !bpf_program__autoload(punts))
        return {};
    bpf_link* link = bpf_program__attach(punts);
    if (link == nullptr)
        return fail(errno, "cannot count punts");
    links_.emplace_back(link);
    counts_punts_ = true;
    return {};
}

Status bpf_program_set::load_object(std::span<const uint8_t> object, const program_setting& setting,
                                    std::string& log, uint32_t log_level) {
    log.assign(log_bytes, '\0');
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "raid5", .kernel_log_buf = log.data(),
                .kernel_log_size = log_bytes, .kernel_log_level = log_level);
    object_.reset(bpf_object__open_mem(object.data(), object.size(), &options));
    if (!object_)
        return fail(errno, "cannot open the BPF object: {}", store::last_words());
    if (Status ok = prepare_program(object_.get(), setting); !ok)
        return ok;
    int r = bpf_object__load(object_.get());
    log.resize(std::strlen(log.c_str()));
    if (r != 0)
        return fail(-r, "the kernel refuses the BPF program: {}", store::last_words());
    return {};
}

Result<bpf_program_set> bpf_program_set::load(std::span<const uint8_t> object,
                                              const program_setting& setting) {
    const store::libbpf_listener hears;
    bpf_program_set set;
    std::string log;
    Status loaded = set.load_object(object, setting, log, log_statistics);
    if (!loaded) {
        // Once more, for the verifier's reasons.
        Error error = loaded.error();
        (void)set.load_object(object, setting, log, log_reasons);
        error.what += '\n' + tail(log, 2000);
        error.hint = error.err == EPERM ? "run as root (CAP_BPF and CAP_PERFMON)"
                                        : "use --engine user on this kernel, and report this";
        return forward_error(error);
    }
    set.queues_ = setting.ring_fds.size();
    set.know_program();
    set.verifier_ = line_with(log, "processed ");
    return set;
}

bpf_program_set bpf_program_set::adopt(bpf_object* object, size_t queues) {
    bpf_program_set set;
    set.object_.reset(object);
    set.queues_ = queues;
    set.know_program();
    return set;
}

void bpf_program_set::know_program() {
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (bpf_prog_get_info_by_fd(program_fd(), &info, &length) != 0)
        return;
    program_id_ = info.id;
    verifier_ = fmt::format("processed {} insns", info.verified_insns);
}

Status bpf_program_set::attach() {
    const store::libbpf_listener hears;
    Status attached = attach_punts();
    for (size_t i = 0; i < queues_ && attached; i++) {
        std::string name = fmt::format("raid5_queue{}", i);
        bpf_map* ops = bpf_object__find_map_by_name(object_.get(), name.c_str());
        bpf_link* link = bpf_map__attach_struct_ops(ops);
        if (link == nullptr)
            attached = fail(errno, "cannot attach the BPF program to the ring of queue {}", i);
        else
            links_.emplace_back(link);
    }
    if (!attached)
        detach();
    return attached;
}

void bpf_program_set::detach() {
    links_.clear();
}

const std::string& bpf_program_set::error_stream() {
    // Linux 6.17; libbpf 1.5 has no wrapper for it.
    char text[1024];
    bpf_attr attr{};
    attr.prog_stream_read.stream_buf = reinterpret_cast<uint64_t>(text);
    attr.prog_stream_read.stream_buf_len = sizeof(text);
    attr.prog_stream_read.stream_id = BPF_STREAM_STDERR;
    attr.prog_stream_read.prog_fd = static_cast<uint32_t>(program_fd());
    long n = ::syscall(SYS_bpf, BPF_PROG_STREAM_READ_BY_FD, &attr, sizeof(attr));
    if (n > 0 && errors_.size() < errors_kept_bytes)
        errors_.append(text, static_cast<size_t>(n));
    return errors_;
}

int bpf_program_set::program_fd() const {
    bpf_program* p = bpf_object__find_program_by_name(object_.get(), "raid5_loop_step");
    return p == nullptr ? -1 : ::bpf_program__fd(p);
}

std::string bpf_host_missing() {
    btf* kernel = btf__load_vmlinux_btf();
    if (kernel == nullptr)
        return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
    bool found = btf__find_by_name_kind(kernel, "io_uring_bpf_ops", BTF_KIND_STRUCT) > 0;
    btf__free(kernel);
    return found ? "" : "the kernel has no io_uring BPF ops (they came with Linux 7.1)";
}

namespace {

// The kernel's types, or a module's, have @name.
bool kernel_has(const char* name, uint32_t kind) {
    auto has = [name, kind](const btf* types) {
        return types != nullptr && btf__find_by_name_kind(types, name, kind) > 0;
    };
    btf* kernel = btf__load_vmlinux_btf();
    bool found = has(kernel);
    // Every module's types have an id of their own.
    for (__u32 id = 0; kernel != nullptr && !found && bpf_btf_get_next_id(id, &id) == 0;) {
        btf* module = btf__load_from_kernel_by_id_split(id, kernel);
        found = has(module);
        btf__free(module);
    }
    btf__free(kernel);
    return found;
}

}  // namespace

bool kernel_has_xor() {
    return kernel_has("uring_bpf_xor", BTF_KIND_FUNC);
}

bool kernel_has_io_opt() {
    return kernel_has("ublk_param_io_opt", BTF_KIND_STRUCT);
}

const char* xor_name(bool fused) {
    return fused ? "the kernel's uring_bpf_xor" : "the engine's own loop";
}

}  // namespace rr
