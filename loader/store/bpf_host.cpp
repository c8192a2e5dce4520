// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/bpf_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "store/libbpf_words.h"

namespace rr::store {
namespace {

Result<bpf_link_info> link_info(int fd) {
    bpf_link_info info{};
    uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
        return fail(errno, "this is not a BPF link");
    return info;
}

Result<Fd> open_pin(const std::string& path) {
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd)
        return with_hint(fail(errno, "cannot open {}", path), "give the path of a pinned link");
    return fd;
}

std::string program_name(uint32_t id) {
    Fd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0)
        return {};
    return info.name;
}

bool exists(const std::string& path) {
    struct stat s{};
    return ::lstat(path.c_str(), &s) == 0;
}

Status remove_pin(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail(errno, "cannot remove {}", path);
    return {};
}

// What the journal names: it lies in the store, which others may write. Only
// pins in a bpffs are touched on its word.
Result<std::string> journal_pin(const kv_journal_link& j) {
    std::string pin(j.pin, strnlen(j.pin, KV_PATH_MAX));
    struct statfs where{};
    const std::string parent = std::filesystem::path(pin).parent_path().string();
    if (pin.empty() || pin[0] != '/' || pin.size() >= KV_PATH_MAX ||
        ::statfs(parent.c_str(), &where) != 0 ||
        static_cast<uint64_t>(where.f_type) != BPF_FS_MAGIC)
        return with_hint(fail(EBADMSG, "the store's journal names {}, which is no pin", pin),
                         "the store is damaged; the links are where you pinned them");
    return pin;
}

bool can_update(uint32_t type) {
    return type == BPF_LINK_TYPE_XDP || type == BPF_LINK_TYPE_CGROUP ||
           type == BPF_LINK_TYPE_NETNS || type == BPF_LINK_TYPE_TCX || type == BPF_LINK_TYPE_NETKIT;
}

// The kernel cuts names at 15 characters.
bpf_program* find_program(bpf_object* object, const std::string& name) {
    bpf_program* p;
    bpf_object__for_each_program(p, object) {
        const std::string has = bpf_program__name(p);
        if (has == name || (name.size() == BPF_OBJ_NAME_LEN - 1 && has.rfind(name, 0) == 0))
            return p;
    }
    return nullptr;
}

// The gate waits for programs that do not sleep. Converters sleep, and run only
// when they are called.
Status refuse_sleepers(bpf_object* object) {
    bpf_program* p;
    bpf_object__for_each_program(p, object) {
        if ((bpf_program__flags(p) & BPF_F_SLEEPABLE) != 0 &&
            bpf_program__type(p) != BPF_PROG_TYPE_SYSCALL)
            return with_hint(
                fail(ENOTSUP, "the program {} may sleep; the gate does not wait for it",
                     bpf_program__name(p)),
                "its own loader has to park it for the roll-out");
    }
    return {};
}

// The types of a converter's c->from and c->to.
Result<std::pair<uint64_t, uint64_t>> converter_types(const bpf_object* object,
                                                      const std::string& function) {
    const btf* types = bpf_object__btf(object);
    const auto skip = [&](uint32_t id) {
        const btf_type* t = btf__type_by_id(types, id);
        while (t != nullptr && (btf_is_mod(t) || btf_is_typedef(t)))
            t = btf__type_by_id(types, t->type);
        return t;
    };
    const int id = btf__find_by_name_kind(types, function.c_str(), BTF_KIND_FUNC);
    const btf_type* proto =
        id < 0 ? nullptr
               : btf__type_by_id(types, btf__type_by_id(types, static_cast<uint32_t>(id))->type);
    const btf_type* pointer =
        proto == nullptr || btf_vlen(proto) != 1 ? nullptr : skip(btf_params(proto)[0].type);
    const btf_type* context =
        pointer == nullptr || !btf_is_ptr(pointer) ? nullptr : skip(pointer->type);
    if (context == nullptr || !btf_is_struct(context) || btf_vlen(context) != 2)
        return with_hint(fail(EINVAL, "the program has no converter {}()", function),
                         "write it with KV_CONVERTER()");
    const btf_member* m = btf_members(context);
    const type_ref from{types, m[0].type};
    if (m[1].offset / 8 != kv_copy_bytes(type_size(from)))
        return fail(EINVAL, "{}() was not made by KV_CONVERTER()", function);
    return std::pair{type_hash(from), type_hash({types, m[1].type})};
}

Status run_converter(int fd, const std::string& function, const_bytes old,
                     std::span<uint8_t> fresh) {
    const size_t at = kv_copy_bytes(static_cast<uint32_t>(old.size()));
    bytes context(at + kv_copy_bytes(static_cast<uint32_t>(fresh.size())));
    std::memcpy(context.data(), old.data(), old.size());
    std::memcpy(context.data() + at, fresh.data(), fresh.size());
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = context.data(),
                .ctx_size_in = static_cast<uint32_t>(context.size()));
    if (int r = bpf_prog_test_run_opts(fd, &run); r != 0)
        return fail(-r, "cannot run the converter {}()", function);
    if (run.retval != 0)
        return fail(EINVAL, "the converter {}() refuses the value ({})", function,
                    static_cast<int>(run.retval));
    std::memcpy(fresh.data(), context.data() + at, fresh.size());
    return {};
}

std::string down_pin(const std::string& base, uint32_t generation, uint16_t key, uint64_t to_hash) {
    return fmt::format("{}_down_{}_{}_{:x}", base, generation, key, to_hash);
}

}  // namespace

void bpf_host::close_object::operator()(bpf_object* o) const {
    bpf_object__close(o);
}

bpf_host::bpf_host(std::string store_pin, bytes object, std::vector<link_spec> links,
                   const area& at)
    : base_(std::move(store_pin)),
      file_(std::move(object)),
      links_(std::move(links)),
      area_fd_(at.fd()) {}

bpf_host::~bpf_host() = default;

Status bpf_host::check_converters(const manifest& from, const manifest& placed) const {
    if (placed.version < from.version)
        return {};  // what goes down was checked when it came up
    for (const key_entry& k : placed.keys) {
        const key_entry* old = from.find(k.id);
        if (old == nullptr || k.dynamic || old->dynamic ||
            (old->hash == k.hash && old->sem == k.sem))
            continue;
        for (const bool up : {true, false}) {
            const std::string& function = up ? k.up : k.down;
            if (function.empty())
                continue;
            auto types = converter_types(object_.get(), function);
            if (!types)
                return forward_error(types.error());
            if (*types != std::pair{up ? old->hash : k.hash, up ? k.hash : old->hash})
                return with_hint(
                    fail(EINVAL,
                         "{}() converts key {} between other types than versions {} and {} have",
                         function, k.name, from.version, placed.version),
                    "apply the version in between first");
        }
    }
    return {};
}

Status bpf_host::load(const manifest& from, const manifest& placed, const baking& how) {
    if (file_.empty())
        return {};
    bytes baked = file_;
    generation_ = how.generation;
    if (Status ok = bake_object(baked, placed, how); !ok)
        return ok;
    const libbpf_listener hears;
    std::string log(1 << 16, '\0');
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = placed.program.c_str(),
                .kernel_log_buf = log.data(), .kernel_log_size = static_cast<uint32_t>(log.size()));
    object_.reset(bpf_object__open_mem(baked.data(), baked.size(), &options));
    if (!object_)
        return fail(errno, "cannot open the BPF object: {}", last_words());
    bpf_map* map = bpf_object__find_map_by_name(object_.get(), KV_SECTION_AREA);
    if (map == nullptr)
        return with_hint(fail(ENODATA, "the program has keys but uses none of them"),
                         "say KV_STORE() and use a key");
    if (int r = bpf_map__reuse_fd(map, area_fd_); r != 0)
        return fail(-r, "the program does not take the store");
    // Task values stay where they are: the same map for every version.
    map = bpf_object__find_map_by_name(object_.get(), KV_MAP_TASKS);
    if (map != nullptr && exists(base_ + "_tasks"))
        if (int r = bpf_map__set_pin_path(map, (base_ + "_tasks").c_str()); r != 0)
            return fail(-r, "the program does not take the tasks' values");
    if (!parks())
        if (Status ok = refuse_sleepers(object_.get()); !ok)
            return ok;
    if (Status ok = check_converters(from, placed); !ok)
        return ok;
    if (Status ok = prepare(object_.get()); !ok)
        return ok;
    const auto started = std::chrono::steady_clock::now();
    if (int r = bpf_object__load(object_.get()); r != 0) {
        log.resize(std::strlen(log.c_str()));
        const std::string tail = log.size() > 1500 ? log.substr(log.size() - 1500) : log;
        const bool exclusive = log.find("xclusive") != std::string::npos || -r == EACCES;
        return with_hint(
            fail(-r, "the kernel refuses the new program: {}\n{}", last_words(), tail),
            -r == EPERM ? "run as root (CAP_BPF and what the program's type needs); "
                          "an exclusive or signed map cannot be shared: use export and import"
            : exclusive ? "where the store's map is exclusive or signed, no other program may use "
                          "it: use export and import"
                        : "the store is as it was; correct the program");
    }
    load_ns_ = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                         std::chrono::steady_clock::now() - started)
                                         .count());
    down_.clear();
    for (const key_entry& k : placed.keys)
        if (const key_entry* old = from.find(k.id); placed.version > from.version &&
                                                    old != nullptr && !k.down.empty() &&
                                                    (old->hash != k.hash || old->sem != k.sem))
            down_.push_back({k.id, old->hash, k.down});
    return {};
}

Status bpf_host::attach(const area& at) {
    const libbpf_listener hears;
    kv_header& h = at.header();
    h.links = 0;
    if (links_.size() > KV_LINKS_MAX)
        return fail(E2BIG, "{} links; {} are possible", links_.size(),
                    static_cast<int>(KV_LINKS_MAX));
    // The journal first: what it names is cleaned up, made or not.
    std::vector<bpf_program*> programs;
    for (size_t i = 0; i < links_.size(); i++) {
        const link_spec& spec = links_[i];
        if (spec.pin.size() + 8 > KV_PATH_MAX)
            return with_hint(fail(ENAMETOOLONG, "the path {} is too long", spec.pin),
                             "use a shorter one");
        bpf_link_info now{};
        if (spec.fresh && exists(spec.pin))
            return with_hint(fail(EEXIST, "{} exists", spec.pin), "replace it: --link");
        if (!spec.fresh) {
            auto link = open_pin(spec.pin);
            if (!link)
                return forward_error(link.error());
            auto info = link_info(link->get());
            if (!info)
                return forward_error(info.error());
            now = *info;
        }
        const std::string name = spec.program.empty() ? program_name(now.prog_id) : spec.program;
        bpf_program* p = find_program(object_.get(), name);
        if (p == nullptr)
            return with_hint(fail(ENOENT, "the new object has no program {}", name),
                             fmt::format("name one: --link {}=PROGRAM", spec.pin));
        programs.push_back(p);
        kv_journal_link& j = h.link[i];
        std::memset(&j, 0, sizeof(j));
        std::memcpy(j.pin, spec.pin.data(), spec.pin.size());
        j.old_program = now.prog_id;
        bpf_prog_info program{};
        uint32_t length = sizeof(program);
        if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &program, &length) != 0)
            return fail(errno, "the new program cannot be asked for its number");
        j.new_program = program.id;
    }
    __atomic_store_n(&h.links, static_cast<rr_u32>(links_.size()), __ATOMIC_SEQ_CST);
    for (const auto& [key, to_hash, function] : down_) {
        bpf_program* p = find_program(object_.get(), function);
        const std::string pin = down_pin(base_, generation_, key, to_hash);
        (void)remove_pin(pin);
        if (p == nullptr || bpf_obj_pin(bpf_program__fd(p), pin.c_str()) != 0)
            return with_hint(fail(errno, "cannot pin the converter {}() at {}", function, pin),
                             "the store's directory must be a bpffs that you may write");
    }
    for (size_t i = 0; i < links_.size(); i++) {
        const std::string& pin = links_[i].pin;
        auto link = links_[i].fresh ? Result<Fd>(Fd()) : open_pin(pin);
        if (!link)
            return forward_error(link.error());
        auto info =
            links_[i].fresh ? Result<bpf_link_info>(bpf_link_info{}) : link_info(link->get());
        if (!info)
            return forward_error(info.error());
        if (!links_[i].fresh && can_update(info->type)) {
            Fd old(bpf_prog_get_fd_by_id(info->prog_id));
            if (!old || bpf_obj_pin(old.get(), (pin + "_old").c_str()) != 0 ||
                bpf_obj_pin(bpf_program__fd(programs[i]), (pin + "_new").c_str()) != 0)
                return fail(errno, "cannot keep the programs of {}", pin);
            continue;
        }
        std::unique_ptr<bpf_link, int (*)(bpf_link*)> next(bpf_program__attach(programs[i]),
                                                           bpf_link__destroy);
        if (!next)
            return with_hint(fail(errno, "cannot attach the new {}: {}",
                                  bpf_program__name(programs[i]), last_words()),
                             "links of this kind must say in their SEC() where they attach");
        if (int r = bpf_link__pin(next.get(), (pin + "_next").c_str()); r != 0)
            return fail(-r, "cannot pin {}_next", pin);
    }
    return {};
}

Status bpf_host::swap(const area& at, bool to_new) {
    const kv_header& h = at.header();
    for (uint32_t i = 0; i < h.links && i < KV_LINKS_MAX; i++) {
        auto named = journal_pin(h.link[i]);
        if (!named)
            return forward_error(named.error());
        const std::string& pin = *named;
        const std::string from = pin + (to_new ? "_new" : "_old");
        if (!exists(from))
            continue;  // attached beside, or not yet
        auto link = open_pin(pin);
        auto program = open_pin(from);
        if (!link)
            return forward_error(link.error());
        if (!program)
            return forward_error(program.error());
        auto info = link_info(link->get());
        if (info && info->prog_id == (to_new ? h.link[i].new_program : h.link[i].old_program))
            continue;
        if (bpf_link_update(link->get(), program->get(), nullptr) != 0)
            return with_hint(fail(errno, "the link {} does not take the program", pin),
                             "both versions must be of the same type");
    }
    return {};
}

Status bpf_host::finish(const area& at, bool keep_new) {
    kv_header& h = at.header();
    for (uint32_t i = 0; i < h.links && i < KV_LINKS_MAX; i++) {
        auto named = journal_pin(h.link[i]);
        if (!named)
            return forward_error(named.error());
        const std::string& pin = *named;
        const std::string next = pin + "_next";
        if (exists(next)) {
            // Renaming over the pin detaches the old version.
            if (keep_new ? ::rename(next.c_str(), pin.c_str()) != 0 : ::unlink(next.c_str()) != 0)
                return fail(errno, "cannot {} {}", keep_new ? "rename" : "remove", next);
        }
        for (const char* end : {"_old", "_new"})
            if (Status ok = remove_pin(pin + end); !ok)
                return ok;
    }
    if (!base_.empty()) {
        const std::filesystem::path path(base_);
        const std::string start = path.filename().string() + "_down_";
        const std::string keep = fmt::format("{}{}_", start, kv_state_generation(at.state()));
        std::error_code ignored;
        std::vector<std::filesystem::path> found;
        for (const auto& e : std::filesystem::directory_iterator(path.parent_path(), ignored))
            if (const std::string name = e.path().filename().string();
                name.rfind(start, 0) == 0 && name.rfind(keep, 0) != 0)
                found.push_back(e.path());
        for (const auto& p : found)
            if (Status ok = remove_pin(p.string()); !ok)
                return ok;
    }
    __atomic_store_n(&h.links, 0, __ATOMIC_SEQ_CST);
    return {};
}

Status bpf_host::convert(const std::string& function, uint16_t key_id, uint64_t to_hash,
                         direction way, const_bytes old, std::span<uint8_t> fresh) {
    if (way == direction::up) {
        bpf_program* p = object_ ? find_program(object_.get(), function) : nullptr;
        if (p == nullptr)
            return fail(ENOENT, "the program has no converter {}()", function);
        return run_converter(bpf_program__fd(p), function, old, fresh);
    }
    auto pinned = open_pin(down_pin(base_, from_, key_id, to_hash));
    if (!pinned)
        return with_hint(
            fail(pinned.error().err, "the converter {}() does not lead to this version", function),
            "go through the version in between");
    return run_converter(pinned->get(), function, old, fresh);
}

Result<bytes> bake_for(const store& in, const_bytes object) {
    auto declared = manifest_of_object(object);
    if (!declared)
        return forward_error(declared.error());
    auto here = in.describe();
    if (!here)
        return forward_error(here.error());
    if (declared->program != here->program)
        return with_hint(fail(EINVAL, "the store belongs to the program {}, not to {}",
                              here->program, declared->program),
                         "give the store of this program, or make one: ringraid store init");
    if (declared->hash() != here->hash())
        return with_hint(
            fail(EINVAL, "the object has version {}, the store version {}, or other keys",
                 declared->version, here->version),
            "ringraid store diff says what differs; apply moves the store");
    bytes out(object.begin(), object.end());
    const uint64_t state = in.at().state();
    if (Status ok = bake_object(
            out, *here, {kv_state_active(state), kv_state_generation(state), in.at().size()});
        !ok)
        return forward_error(ok.error());
    return out;
}

Result<bytes> read_file(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat s{};
    if (!fd || ::fstat(fd.get(), &s) != 0)
        return with_hint(fail(errno, "cannot read {}", path), "give the path of a file");
    if (!S_ISREG(s.st_mode) || s.st_size > (64 << 20))
        return with_hint(fail(EINVAL, "{} is not a file, or too large", path),
                         "give an object file");
    bytes out(static_cast<size_t>(s.st_size));
    for (size_t done = 0; done < out.size();) {
        const ssize_t n = ::read(fd.get(), out.data() + done, out.size() - done);
        if (n <= 0)
            return fail(n < 0 ? errno : EIO, "cannot read {}", path);
        done += static_cast<size_t>(n);
    }
    return out;
}

}  // namespace rr::store
