// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/area.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "store/area_types.h"

namespace rr::store {
namespace {

constexpr unsigned tries_max = 1U << 20;

uint64_t header_check(const kv_header& h) {
    return hash_bytes({reinterpret_cast<const uint8_t*>(&h), offsetof(kv_header, check)});
}

std::string text_of(const char* from, size_t size) {
    return {from, strnlen(from, size)};
}

template <typename T>
void copy_text(T& to, const std::string& text) {
    std::memset(to, 0, sizeof(to));
    std::memcpy(to, text.data(), std::min(text.size(), sizeof(to) - 1));
}

const char* const damaged_hint =
    "the store is damaged: make a new one and restore an export with ringraid store import";

uint32_t name_bucket(const std::string& name) {
    uint64_t words[KV_NAME_MAX / 8] = {};
    std::memcpy(words, name.data(), std::min<size_t>(name.size(), KV_NAME_MAX - 1));
    return kv_name_hash(words);
}

// Plain copies that the compiler may not tear or merge with others.
void copy_in(uint8_t* to, const uint8_t* from, size_t size) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    std::memcpy(to, from, size);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

template <typename T>
void load_word(const uint8_t* slot, uint8_t* into) {
    const T v = __atomic_load_n(reinterpret_cast<const T*>(slot), __ATOMIC_SEQ_CST);
    std::memcpy(into, &v, sizeof(v));
}

template <typename T>
void store_word(uint8_t* slot, const uint8_t* from) {
    T v;
    std::memcpy(&v, from, sizeof(v));
    __atomic_store_n(reinterpret_cast<T*>(slot), v, __ATOMIC_SEQ_CST);
}

bool is_word(size_t size) {
    return size == 1 || size == 2 || size == 4 || size == 8;
}

bool is_dead(uint32_t thread) {
    return ::kill(static_cast<pid_t>(thread), 0) != 0 && errno == ESRCH;
}

// The writer's lock, broken when its holder is dead. BPF always lets go.
Status lock_seq(kv_seq* s) {
    const auto self = static_cast<uint32_t>(::syscall(SYS_gettid));
    for (unsigned i = 0; i < tries_max; i++) {
        uint32_t holder = 0;
        if (__atomic_compare_exchange_n(&s->lock, &holder, self, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return {};
        if (holder != KV_LOCK_BPF && i % 1024 == 0 && (holder == self || is_dead(holder)) &&
            __atomic_compare_exchange_n(&s->lock, &holder, self, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return {};
        if (i % 64 == 63)
            ::sched_yield();
    }
    return with_hint(fail(EBUSY, "another writer holds the value"), "try again");
}

}  // namespace

area::area(area&& other) noexcept
    : map_(std::move(other.map_)),
      at_(std::exchange(other.at_, nullptr)),
      size_(other.size_),
      pages_(other.pages_),
      map_id_(other.map_id_),
      read_only_(other.read_only_),
      program_(std::move(other.program_)),
      pauses_(other.pauses_.load()),
      lock_(std::move(other.lock_)),
      locked_by_(other.locked_by_) {}

area& area::operator=(area&& other) noexcept {
    if (this != &other) {
        this->~area();
        new (this) area(std::move(other));
    }
    return *this;
}

area::~area() {
    if (at_ != nullptr)
        ::munmap(at_, size_);
}

Result<area> area::create(const manifest& m) {
    if (Status ok = check_manifest(m); !ok)
        return forward_error(ok.error());
    manifest placed = m;
    if (Status ok = place(placed, 0, m.pages); !ok)
        return forward_error(ok.error());
    const uint64_t all = KV_AREA_BYTES(m.pages);
    auto types = make_area_types(all);
    if (!types)
        return with_hint(forward_error(types.error()),
                         types.error().err == EPERM ? "run as root (CAP_BPF)" : "report this");
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    options.btf_fd = static_cast<uint32_t>(btf__fd(types->loaded.get()));
    options.btf_key_type_id = types->key;
    options.btf_value_type_id = types->value;
    area out;
    out.map_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, KV_SECTION_AREA, 4,
                                  static_cast<uint32_t>(all), 1, &options));
    if (!out.map_)
        return with_hint(fail(errno, "cannot make a map of {} bytes", all),
                         errno == EPERM ? "run as root (CAP_BPF)" : "see dmesg and ulimit -l");
    void* mapped = ::mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_SHARED, out.map_.get(), 0);
    if (mapped == MAP_FAILED)
        return fail(errno, "cannot map the store");
    out.at_ = static_cast<kv_area*>(mapped);
    out.size_ = all;
    kv_header& h = out.at_->h;
    h.abi = KV_ABI;
    h.pages = m.pages;
    h.bytes = all;
    if (::getrandom(h.uuid, sizeof(h.uuid), 0) != static_cast<ssize_t>(sizeof(h.uuid)))
        return fail(errno, "no random numbers");
    copy_text(h.program, m.program);
    out.pages_ = m.pages;
    if (Status ok = out.write_bank(0, placed, 1); !ok)
        return forward_error(ok.error());
    for (const key_entry& k : placed.keys)
        if (k.home == KV_HOME_ARRAY)
            if (Status ok = write_value(out.bytes_at(k.offset), k.sync, k.initial); !ok)
                return forward_error(ok.error());
    out.set_state(KV_IDLE, 0, 1);
    h.gate = 1;
    h.generations = 1;
    h.magic = KV_MAGIC;
    h.check = header_check(h);
    // The same checks as for anybody else's.
    const int copy = ::fcntl(out.map_.get(), F_DUPFD_CLOEXEC, 3);
    return from_fd(Fd(copy));
}

Result<area> area::open(const std::string& pin, bool read_only) {
    // Not BPF_F_RDONLY: the kernel maps such a map for nobody.
    Fd map(bpf_obj_get(pin.c_str()));
    if (!map) {
        const int err = errno;
        return with_hint(fail(err, "cannot open the store {}", pin),
                         err == ENOENT                   ? "make it with ringraid store init"
                         : err == EPERM || err == EACCES ? "run as root, or as the pin's owner"
                                                         : "give the path of a pinned map");
    }
    return from_fd(std::move(map), read_only);
}

Result<area> area::from_fd(Fd map, bool read_only) {
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(map.get(), &info, &length) != 0)
        return with_hint(fail(errno, "this is not a BPF map"), "give the path of a pinned map");
    if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != 4 || info.max_entries != 1 ||
        (info.map_flags & BPF_F_MMAPABLE) == 0 || info.value_size < sizeof(kv_area))
        return with_hint(fail(EINVAL, "the map {} is not a KV store", info.name),
                         "a store is the map .bss.kv of a program with KV_STORE()");
    area out;
    out.map_ = std::move(map);
    out.map_id_ = info.id;
    out.size_ = info.value_size;
    out.read_only_ = read_only;
    if (Status ok = out.map_it(); !ok)
        return forward_error(ok.error());
    return out;
}

Status area::map_it() {
    void* mapped = ::mmap(nullptr, size_, read_only_ ? PROT_READ : PROT_READ | PROT_WRITE,
                          MAP_SHARED, map_.get(), 0);
    if (mapped == MAP_FAILED) {
        const int err = errno;
        return with_hint(
            fail(err, "cannot map the store"),
            err == EPERM ? "it is frozen, or you may only read it: use export" : "see dmesg");
    }
    at_ = static_cast<kv_area*>(mapped);
    kv_header h{};
    std::memcpy(&h, &at_->h, sizeof(h));
    if (h.magic == 0 && h.abi == 0)
        return with_hint(fail(ENODATA, "the map has the size of a store but nobody made one in it"),
                         "make it with ringraid store init, and load the program with that map");
    if (h.magic != KV_MAGIC)
        return with_hint(fail(EBADMSG, "the map does not hold a KV store"),
                         "it belongs to another program, or was overwritten");
    if (h.abi != KV_ABI)
        return with_hint(fail(EPROTONOSUPPORT, "the store has format {}; this program knows {}",
                              h.abi, static_cast<int>(KV_ABI)),
                         "use the ringraid that made it, and export");
    if (h.check != header_check(h))
        return with_hint(fail(EBADMSG, "the header of the store is damaged"), damaged_hint);
    if (h.bytes != size_ || h.pages == 0 || h.pages > KV_PAGES_MAX ||
        KV_AREA_BYTES(h.pages) != size_)
        return with_hint(
            fail(EBADMSG, "the store says it has {} bytes, the map has {}", h.bytes, size_),
            damaged_hint);
    if (kv_state_phase(h.state) > KV_COMMIT || h.links > KV_LINKS_MAX)
        return with_hint(fail(EBADMSG, "the store is in a state that does not exist"),
                         damaged_hint);
    pages_ = h.pages;
    program_ = text_of(h.program, sizeof(h.program));
    return {};
}

Status area::pin(const std::string& path) const {
    if (bpf_obj_pin(map_.get(), path.c_str()) != 0) {
        const int err = errno;
        return with_hint(fail(err, "cannot pin the store at {}", path),
                         err == EEXIST  ? "something is there: ringraid store dump shows what"
                         : err == EPERM ? "pins live in a bpffs, without dots in their names"
                                        : "the directory must exist in a bpffs (/sys/fs/bpf)");
    }
    return {};
}

std::string area::uuid() const {
    std::string out;
    for (size_t i = 0; i < sizeof(at_->h.uuid); i++)
        out += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                           at_->h.uuid[i]);
    return out;
}

bool area::in_bank(uint32_t bank_no, uint64_t offset, uint64_t need) const {
    const uint64_t start = kv_data_start(bank_no, pages_);
    const uint64_t end = start + uint64_t{pages_} * KV_PAGE;
    return offset >= start && offset % 8 == 0 && offset <= end && need <= end - offset;
}

Result<type_set> area::read_types(uint32_t bank_no) const {
    const uint32_t size = header().bank[bank_no & 1].types_bytes;
    if (size > KV_TYPES_BYTES)
        return with_hint(fail(EBADMSG, "the types of bank {} are damaged", bank_no), damaged_hint);
    const bytes copy(bank(bank_no).types, bank(bank_no).types + size);
    return type_set::parse(copy);
}

Result<manifest> area::read_manifest(uint32_t bank_no) const {
    bank_no &= 1;
    auto bad = [&](const std::string& what) {
        return with_hint(fail(EBADMSG, "bank {} of the store is damaged: {}", bank_no, what),
                         damaged_hint);
    };
    const kv_bank_info info = header().bank[bank_no];
    auto types = read_types(bank_no);
    if (!types)
        return forward_error(types.error());
    manifest m;
    m.program = program_;
    m.version = info.version;
    m.flags = info.flags;
    m.pages = pages_;
    m.types = *types;
    struct extent {
        uint64_t from, to;
        uint32_t id;
    };
    std::vector<extent> extents;
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++) {
        const uint64_t meta = word(bank_no, id);
        if ((meta & KV_META_LIVE) == 0)
            continue;
        kv_entry e{};
        std::memcpy(&e, &bank(bank_no).entry[id], sizeof(e));
        key_entry k;
        k.id = static_cast<uint16_t>(id);
        k.name = text_of(e.name, sizeof(e.name));
        k.size = kv_meta_size(meta);
        k.sync = kv_meta_sync(meta);
        k.home = kv_meta_home(meta);
        k.offset = kv_meta_offset(meta);
        k.persist = e.persist;
        k.dynamic = (e.flags & KV_ENTRY_DYNAMIC) != 0;
        k.ranged = (e.flags & KV_ENTRY_RANGE) != 0;
        k.min = e.min;
        k.max = e.max;
        k.sem = e.sem;
        k.hash = e.type_hash;
        k.type_id = e.type_id;
        k.default_at = e.default_at;
        k.was = m.types.text(e.was_str);
        k.up = m.types.text(e.up_str);
        k.down = m.types.text(e.down_str);
        if (k.size == 0 || k.size > KV_VALUE_MAX)
            return bad(fmt::format("key {} has {} bytes", id, k.size));
        if ((k.type_id == 0) != k.dynamic || k.type_id >= btf__type_cnt(m.types.get()))
            return bad(fmt::format("key {} has no type", id));
        const uint32_t slot = kv_slot_bytes(k.size, k.sync);
        if (k.home == KV_HOME_ARRAY) {
            if (!in_bank(bank_no, k.offset, slot))
                return bad(fmt::format("the value of key {} lies outside of the bank", id));
            extents.push_back({k.offset, k.offset + uint64_t{slot}, id});
        } else if (uint64_t{k.offset} + slot > uint64_t{KV_TASK_PAGES} * KV_PAGE ||
                   k.offset / KV_PAGE != (k.offset + slot - 1) / KV_PAGE) {
            return bad(fmt::format("the value of key {} lies outside of the task's pages", id));
        }
        k.initial.assign(k.size, 0);
        if (k.default_at != 0) {
            if (!in_bank(bank_no, k.default_at, kv_copy_bytes(k.size)))
                return bad(fmt::format("the default of key {} lies outside of the bank", id));
            extents.push_back({k.default_at, k.default_at + uint64_t{kv_copy_bytes(k.size)}, id});
            std::memcpy(k.initial.data(), bytes_at(k.default_at), k.size);
        }
        m.keys.push_back(std::move(k));
    }
    std::sort(extents.begin(), extents.end(), [](const extent& a, const extent& b) {
        return a.from != b.from ? a.from < b.from : a.id < b.id;
    });
    for (size_t i = 1; i < extents.size(); i++)
        if (extents[i].from < extents[i - 1].to)
            return bad(fmt::format("keys {} and {} overlap", extents[i - 1].id, extents[i].id));
    if (Status ok = check_manifest(m); !ok)
        return bad(ok.error().what);
    if (m.hash() != info.manifest_hash)
        return bad("its manifest is not the one that was written");
    return m;
}

Status area::enter_name(uint32_t bank_no, uint16_t id, const std::string& name) const {
    if (name.empty())
        return {};
    const uint32_t start = name_bucket(name);
    for (uint32_t i = 0; i < KV_PROBES; i++) {
        rr_u16& at = bank(bank_no).hash[(start + i) % KV_BUCKETS];
        // Keys that are gone leave their bucket behind; it is taken over here.
        const bool stale = at != 0 && at != KV_BUCKET_GONE &&
                           (at > KV_KEYS_MAX || (word(bank_no, at - 1U) & KV_META_LIVE) == 0);
        if (at == 0 || at == KV_BUCKET_GONE || stale || at == id + 1) {
            __atomic_store_n(&at, static_cast<rr_u16>(id + 1), __ATOMIC_SEQ_CST);
            return {};
        }
    }
    return with_hint(fail(ENOSPC, "no room for the name {}", name),
                     "take another name, or a number");
}

Status area::write_bank(uint32_t bank_no, const manifest& m, uint32_t generation) const {
    bank_no &= 1;
    wipe_bank(bank_no);
    kv_bank& b = bank(bank_no);
    kv_bank_info& info = header().bank[bank_no];
    type_set types = m.types;
    for (const key_entry& k : m.keys) {
        kv_entry e{};
        e.type_hash = k.hash;
        e.type_id = k.type_id;
        e.min = k.min;
        e.max = k.max;
        e.sem = k.sem;
        e.default_at = k.default_at;
        e.persist = static_cast<rr_u16>(k.persist);
        e.flags = static_cast<rr_u16>((k.dynamic ? KV_ENTRY_DYNAMIC : 0) |
                                      (k.ranged ? KV_ENTRY_RANGE : 0));
        for (auto [text, at] : {std::pair{&k.was, &e.was_str}, std::pair{&k.up, &e.up_str},
                                std::pair{&k.down, &e.down_str}}) {
            auto offset = types.add_text(*text);
            if (!offset)
                return forward_error(offset.error());
            *at = *offset;
        }
        copy_text(e.name, k.name);
        b.entry[k.id] = e;
        if (k.default_at != 0)
            std::memcpy(bytes_at(k.default_at), k.initial.data(), k.size);
    }
    const bytes raw = types.raw();
    if (raw.empty() || raw.size() > KV_TYPES_BYTES)
        return with_hint(fail(E2BIG, "the types of the values take {} bytes, {} at most",
                              raw.size(), static_cast<int>(KV_TYPES_BYTES)),
                         "keep fewer different types");
    std::memcpy(b.types, raw.data(), raw.size());
    uint64_t end = kv_data_start(bank_no, pages_);
    for (const key_entry& k : m.keys) {
        if (k.home == KV_HOME_ARRAY)
            end = std::max(end, k.offset + uint64_t{kv_slot_bytes(k.size, k.sync)});
        end = std::max(end, k.default_at + uint64_t{k.default_at != 0 ? kv_copy_bytes(k.size) : 0});
        const uint64_t meta = kv_meta(k.offset, k.size, k.sync, k.home);
        __atomic_store_n(&b.dir[k.id], k.dynamic ? meta : meta | KV_META_FIXED, __ATOMIC_SEQ_CST);
        if (Status ok = enter_name(bank_no, k.id, k.name); !ok)
            return ok;
    }
    info.manifest_hash = m.hash();
    info.version = m.version;
    info.generation = generation;
    info.types_bytes = static_cast<uint32_t>(raw.size());
    info.pages =
        static_cast<uint32_t>((end - kv_data_start(bank_no, pages_) + KV_PAGE - 1) / KV_PAGE);
    info.flags = m.flags;
    return {};
}

void area::wipe_bank(uint32_t bank_no) const {
    kv_bank& b = bank(bank_no);
    for (rr_u64& w : b.dir)
        __atomic_store_n(&w, 0, __ATOMIC_SEQ_CST);
    std::memset(&b, 0, sizeof(b));
    std::memset(bytes_at(kv_data_start(bank_no & 1, pages_)), 0, size_t{pages_} * KV_PAGE);
    std::memset(&header().bank[bank_no & 1], 0, sizeof(kv_bank_info));
}

// Nothing is left in /run: whoever lets go removes the file, and whoever took
// one that was removed meanwhile tries again.
struct lock_file {
    Fd fd;
    std::string path;

    lock_file() = default;
    lock_file(const lock_file&) = delete;
    lock_file& operator=(const lock_file&) = delete;
    ~lock_file() {
        if (fd)
            ::unlink(path.c_str());
    }
};

Result<store_lock> store_lock::take(const area& of) {
    if (of.read_only())
        return with_hint(fail(EROFS, "the store was opened for reading"), "open it for writing");
    store_lock out;
    out.file_ = of.lock_.lock();
    if (out.file_ && of.locked_by_ == std::this_thread::get_id())
        return out;
    const std::string path = fmt::format("/run/ringraid-store-{}.lock", of.map_id());
    for (unsigned i = 0; i < KV_TRIES; i++) {
        Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd)
            return with_hint(fail(errno, "cannot open {}", path), "run as root");
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
            return with_hint(
                fail(errno == EWOULDBLOCK ? EBUSY : errno, "the store is being changed"),
                "another ringraid store command runs; wait for it");
        struct stat mine{};
        struct stat there{};
        if (::fstat(fd.get(), &mine) != 0 || ::stat(path.c_str(), &there) != 0 ||
            mine.st_ino != there.st_ino)
            continue;
        out.file_ = std::make_shared<lock_file>();
        out.file_->fd = std::move(fd);
        out.file_->path = path;
        of.lock_ = out.file_;
        of.locked_by_ = std::this_thread::get_id();
        return out;
    }
    return with_hint(fail(EBUSY, "the store is being changed"), "try again");
}

Status wait_for_programs() {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
        return with_hint(fail(errno, "cannot wait for running BPF programs"),
                         "the kernel needs CONFIG_MEMBARRIER and no nohz_full");
    return {};
}

Status read_value(const uint8_t* slot, uint32_t sync, std::span<uint8_t> into) {
    if (sync != KV_SYNC_SEQ) {
        switch (into.size()) {
            case 1:
                load_word<uint8_t>(slot, into.data());
                return {};
            case 2:
                load_word<uint16_t>(slot, into.data());
                return {};
            case 4:
                load_word<uint32_t>(slot, into.data());
                return {};
            case 8:
                load_word<uint64_t>(slot, into.data());
                return {};
            default:
                copy_in(into.data(), slot, into.size());
                return {};
        }
    }
    const auto* s = reinterpret_cast<const kv_seq*>(slot);
    for (unsigned i = 0; i < tries_max; i++) {
        const uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST);
        copy_in(into.data(),
                s->copy + ((seq & 1) != 0 ? kv_copy_bytes(static_cast<uint32_t>(into.size())) : 0),
                into.size());
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (__atomic_load_n(&s->seq, __ATOMIC_SEQ_CST) == seq)
            return {};
    }
    return with_hint(fail(EAGAIN, "the value changes faster than it can be read"), "try again");
}

Status write_value(uint8_t* slot, uint32_t sync, const_bytes value) {
    if (sync != KV_SYNC_SEQ) {
        if (!is_word(value.size())) {
            copy_in(slot, value.data(), value.size());
            return {};
        }
        switch (value.size()) {
            case 1:
                store_word<uint8_t>(slot, value.data());
                break;
            case 2:
                store_word<uint16_t>(slot, value.data());
                break;
            case 4:
                store_word<uint32_t>(slot, value.data());
                break;
            default:
                store_word<uint64_t>(slot, value.data());
                break;
        }
        return {};
    }
    auto* s = reinterpret_cast<kv_seq*>(slot);
    if (Status ok = lock_seq(s); !ok)
        return ok;
    const uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST);
    copy_in(s->copy + ((seq & 1) != 0 ? 0 : kv_copy_bytes(static_cast<uint32_t>(value.size()))),
            value.data(), value.size());
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&s->seq, seq + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&s->lock, 0, __ATOMIC_SEQ_CST);
    return {};
}

value_lock::~value_lock() {
    if (slot_ != nullptr)
        __atomic_store_n(&reinterpret_cast<kv_seq*>(slot_)->lock, 0, __ATOMIC_SEQ_CST);
}

Status value_lock::take(uint8_t* slot) {
    if (Status ok = lock_seq(reinterpret_cast<kv_seq*>(slot)); !ok)
        return ok;
    slot_ = slot;
    return {};
}

uint32_t break_dead_locks(const area& of, const manifest& m, uint32_t bank) {
    uint32_t broken = 0;
    for (const key_entry& k : m.keys) {
        if (k.sync != KV_SYNC_SEQ || !of.in_bank(bank, k.offset, kv_slot_bytes(k.size, k.sync)))
            continue;
        auto* s = reinterpret_cast<kv_seq*>(of.bytes_at(k.offset));
        uint32_t holder = __atomic_load_n(&s->lock, __ATOMIC_SEQ_CST);
        if (holder != 0 && holder != KV_LOCK_BPF && is_dead(holder) &&
            __atomic_compare_exchange_n(&s->lock, &holder, 0, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            broken++;
    }
    return broken;
}

}  // namespace rr::store
