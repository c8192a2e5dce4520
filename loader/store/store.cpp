// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace rr::store {
namespace {

bool is_whole(uint64_t meta) {
    const uint32_t size = kv_meta_size(meta);
    return kv_meta_sync(meta) != KV_SYNC_OWNER || size == 1 || size == 2 || size == 4 || size == 8;
}

// Counts up before and after a change of structure, so that readers see it.
class structure_change {
public:
    explicit structure_change(const area& of) : word_(&of.header().changes) {
        __atomic_fetch_add(word_, 1, __ATOMIC_SEQ_CST);
    }
    ~structure_change() { __atomic_fetch_add(word_, 1, __ATOMIC_SEQ_CST); }
    structure_change(const structure_change&) = delete;
    structure_change& operator=(const structure_change&) = delete;

private:
    rr_u32* word_;
};

struct extent {
    uint64_t from = 0;
    uint64_t to = 0;
};

// What is taken in a bank: live values, those not yet reclaimed, defaults.
std::vector<extent> taken(const area& at, uint32_t bank) {
    std::vector<extent> out;
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++) {
        const uint64_t meta = at.word(bank, id);
        if ((meta & (KV_META_LIVE | KV_META_DEAD)) == 0 || kv_meta_home(meta) != KV_HOME_ARRAY)
            continue;
        out.push_back({kv_meta_offset(meta),
                       kv_meta_offset(meta) +
                           uint64_t{kv_slot_bytes(kv_meta_size(meta), kv_meta_sync(meta))}});
        const kv_entry& e = at.bank(bank).entry[id];
        if (e.default_at != 0 && (meta & KV_META_LIVE) != 0)
            out.push_back(
                {e.default_at, e.default_at + uint64_t{kv_copy_bytes(kv_meta_size(meta))}});
    }
    std::sort(out.begin(), out.end(),
              [](const extent& a, const extent& b) { return a.from < b.from; });
    return out;
}

tl::unexpected<Error> bad_size(size_t size) {
    return with_hint(fail(EMSGSIZE, "a value of {} bytes; 1 to {} are possible", size,
                          static_cast<int>(KV_VALUE_MAX)),
                     "split it into several keys");
}

}  // namespace

Result<store> store::create(const manifest& m, const std::string& pin) {
    auto made = area::create(m);
    if (!made)
        return forward_error(made.error());
    if (!pin.empty())
        if (Status ok = made->pin(pin); !ok)
            return forward_error(ok.error());
    return store(std::move(*made));
}

Result<store> store::open(const std::string& pin, bool read_only) {
    auto opened = area::open(pin, read_only);
    if (!opened)
        return forward_error(opened.error());
    return store(std::move(*opened));
}

Status store::settled() const {
    const uint32_t phase = kv_state_phase(area_.state());
    if (phase == KV_IDLE || phase == KV_PROBATION)
        return {};
    return with_hint(fail(EBUSY, "a roll-out is under way, or was cut off"),
                     "wait for it; if it was cut off: ringraid store recover");
}

Status store::may_touch(uint32_t bank, uint32_t id, uint64_t meta, access who) const {
    if ((meta & KV_META_LIVE) == 0)
        return with_hint(fail(ENOENT, "there is no key {}", id), "ringraid store dump lists them");
    if (kv_meta_home(meta) != KV_HOME_ARRAY)
        return with_hint(fail(ENOTSUP, "key {} is kept by each task", id),
                         "its process reads it with kv_store_task_get()");
    if (kv_meta_size(meta) == 0 || kv_meta_size(meta) > KV_VALUE_MAX ||
        kv_meta_sync(meta) > KV_SYNC_SEQ ||
        !area_.in_bank(bank, kv_meta_offset(meta),
                       kv_slot_bytes(kv_meta_size(meta), kv_meta_sync(meta))))
        return with_hint(fail(EBADMSG, "the value of key {} lies outside of the store", id),
                         "the store is damaged: ringraid store verify says more");
    if (who == access::outside && !is_whole(meta) && !area_.paused())
        return with_hint(fail(EBUSY, "key {} may change while it is read: its owner writes it", id),
                         "pause the program (--pause), or declare the key SEQ");
    return {};
}

Result<bytes> store::get(uint32_t id, access who) const {
    if (id >= KV_KEYS_MAX)
        return with_hint(fail(ENOENT, "there is no key {}", id), "numbers end at 1023");
    // Neither deleted nor moved, and no roll-out, while it was read: what was
    // seen meanwhile, a refusal too, counts for nothing.
    return undisturbed(true, [&](uint32_t bank) { return get_from(bank, id, who); });
}

Result<bytes> store::get_from(uint32_t bank, uint32_t id, access who) const {
    const uint64_t meta = area_.word(bank, id);
    if (Status ok = may_touch(bank, id, meta, who); !ok)
        return forward_error(ok.error());
    bytes out(kv_meta_size(meta));
    if (Status ok = read_value(area_.bytes_at(kv_meta_offset(meta)), kv_meta_sync(meta), out); !ok)
        return forward_error(ok.error());
    if (area_.word(bank, id) != meta)
        return with_hint(fail(EAGAIN, "key {} was moved", id), "try again");
    return out;
}

Result<manifest> store::describe() const {
    return undisturbed(false, [&](uint32_t bank) { return area_.read_manifest(bank); });
}

Status store::put(uint32_t id, const_bytes value, access who) const {
    if (id >= KV_KEYS_MAX)
        return with_hint(fail(ENOENT, "there is no key {}", id), "numbers end at 1023");
    if (area_.read_only())
        return with_hint(fail(EROFS, "the store was opened for reading"), "open it for writing");
    for (unsigned i = 0; i < KV_TRIES; i++) {
        const uint64_t state = area_.state();
        const uint32_t bank = kv_state_active(state);
        if (!settled())
            break;
        const uint64_t meta = area_.word(bank, id);
        const Status ok = put_into(bank, id, meta, value, who);
        // A roll-out or a resize that began meanwhile may have read it before.
        if (area_.state() == state && area_.word(bank, id) == meta)
            return ok;
    }
    if (Status ok = settled(); !ok)
        return ok;
    return with_hint(fail(EAGAIN, "the store changes faster than it can be written"), "try again");
}

Status store::put_into(uint32_t bank, uint32_t id, uint64_t meta, const_bytes value,
                       access who) const {
    if (Status ok = may_touch(bank, id, meta, who); !ok)
        return ok;
    if (who != access::owner && kv_meta_sync(meta) == KV_SYNC_OWNER && !area_.paused())
        return with_hint(fail(EBUSY, "key {} is written by its owner only", id),
                         "pause the program (--pause), or declare the key ATOMIC or SEQ");
    if (value.size() != kv_meta_size(meta))
        return with_hint(fail(EMSGSIZE, "key {} has {} bytes, the value {}", id, kv_meta_size(meta),
                              value.size()),
                         "give the whole value; a new size is a new version of the program");
    const kv_entry entry = area_.bank(bank).entry[id];
    if ((entry.flags & KV_ENTRY_RANGE) != 0) {
        auto types = area_.read_types(bank);
        if (!types)
            return forward_error(types.error());
        manifest m;
        m.types = *types;
        key_entry key;
        key.name.assign(entry.name, strnlen(entry.name, sizeof(entry.name)));
        key.type_id = entry.type_id;
        key.ranged = true;
        key.min = entry.min;
        key.max = entry.max;
        if (Status ok = check_range(m, key, value); !ok)
            return ok;
    }
    return write_value(area_.bytes_at(kv_meta_offset(meta)), kv_meta_sync(meta), value);
}

Result<uint16_t> store::find(const std::string& name) const {
    if (name.empty() || name.size() >= KV_NAME_MAX)
        return with_hint(fail(ENOENT, "there is no key {}", name), "names have 1 to 31 characters");
    return undisturbed(true, [&](uint32_t bank) { return find_in(bank, name); });
}

Result<uint16_t> store::find_in(uint32_t bank_no, const std::string& name) const {
    uint64_t words[KV_NAME_MAX / 8] = {};
    std::memcpy(words, name.data(), name.size());
    const kv_bank& bank = area_.bank(bank_no);
    for (uint32_t i = 0; i < KV_PROBES; i++) {
        const uint16_t key =
            __atomic_load_n(&bank.hash[(kv_name_hash(words) + i) % KV_BUCKETS], __ATOMIC_SEQ_CST);
        if (key == 0)
            break;
        if (key > KV_KEYS_MAX || (area_.word(bank_no, key - 1U) & KV_META_LIVE) == 0)
            continue;
        if (std::memcmp(bank.entry[key - 1].name, words, KV_NAME_MAX) == 0)
            return static_cast<uint16_t>(key - 1);
    }
    return with_hint(fail(ENOENT, "there is no key {}", name), "ringraid store dump lists them");
}

Status store::reclaim() const {
    const uint32_t bank = area_.active();
    bool any = false;
    for (uint32_t id = 0; id < KV_KEYS_MAX && !any; id++)
        any = (area_.word(bank, id) & KV_META_DEAD) != 0;
    if (!any)
        return {};
    // Keys that a program deletes from now on wait for the next time.
    std::vector<uint64_t> dead(KV_KEYS_MAX);
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++)
        dead[id] = area_.word(bank, id);
    if (Status ok = wait_for_programs(); !ok)
        return ok;
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++)
        if ((dead[id] & KV_META_DEAD) != 0 && area_.word(bank, id) == dead[id])
            __atomic_store_n(&area_.bank(bank).dir[id], 0, __ATOMIC_SEQ_CST);
    count_pages();
    return {};
}

void store::count_pages() const {
    const uint32_t bank = area_.active();
    const auto used = taken(area_, bank);
    uint64_t end = kv_data_start(bank, area_.pages());
    for (const extent& e : used)
        end = std::max(end, e.to);
    area_.header().bank[bank].pages =
        static_cast<uint32_t>((end - kv_data_start(bank, area_.pages()) + KV_PAGE - 1) / KV_PAGE);
}

uint32_t store::pages_used() const {
    return area_.header().bank[area_.active()].pages;
}

// The first gap that is large enough; new pages are taken as they are needed.
Result<uint32_t> store::allocate(uint32_t size) const {
    const uint32_t bank = area_.active();
    uint64_t at = kv_data_start(bank, area_.pages());
    const uint64_t end = at + uint64_t{area_.pages()} * KV_PAGE;
    for (const extent& e : taken(area_, bank)) {
        if (e.from >= at && e.from - at >= size)
            break;
        at = std::max(at, e.to);
    }
    at = (at + 7) / 8 * 8;
    if (at > end || size > end - at)
        return with_hint(
            fail(ENOSPC, "no {} bytes in one piece are free in {} pages", size, area_.pages()),
            "delete keys, or compact the store");
    return static_cast<uint32_t>(at);
}

Status store::make(uint32_t id, const std::string& name, uint32_t sync, const_bytes value) const {
    if (id >= KV_KEYS_MAX)
        return with_hint(fail(EINVAL, "there is no number {}", id), "numbers end at 1023");
    if (value.empty() || value.size() > KV_VALUE_MAX)
        return bad_size(value.size());
    if (name.size() >= KV_NAME_MAX)
        return with_hint(
            fail(ENAMETOOLONG, "the name {} has more than {} characters", name, KV_NAME_MAX - 1),
            "take a shorter one");
    if (sync > KV_SYNC_SEQ || (sync == KV_SYNC_ATOMIC && value.size() != 1 && value.size() != 2 &&
                               value.size() != 4 && value.size() != 8))
        return with_hint(fail(EINVAL, "an atomic value has 1, 2, 4 or 8 bytes"), "make it SEQ");
    auto lock = store_lock::take(area_);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = settled(); !ok)
        return ok;
    const uint32_t bank = area_.active();
    if ((area_.word(bank, id) & KV_META_LIVE) != 0)
        return with_hint(fail(EEXIST, "key {} exists", id), "put a value into it");
    if (!name.empty() && find(name))
        return with_hint(fail(EEXIST, "a key is called {}", name), "put a value into it");
    const auto size = static_cast<uint32_t>(value.size());
    const uint32_t slot = kv_slot_bytes(size, sync);
    if ((area_.word(bank, id) & KV_META_DEAD) != 0)
        if (Status ok = reclaim(); !ok)
            return ok;
    auto at = allocate(slot);
    if (!at) {
        if (Status ok = reclaim(); !ok)
            return ok;
        at = allocate(slot);
        if (!at)
            return forward_error(at.error());
    }
    const structure_change changing(area_);
    std::memset(area_.bytes_at(*at), 0, slot);
    if (Status ok = write_value(area_.bytes_at(*at), sync, value); !ok)
        return ok;
    kv_entry& e = area_.bank(bank).entry[id];
    std::memset(&e, 0, sizeof(e));
    e.flags = KV_ENTRY_DYNAMIC;
    std::memcpy(e.name, name.data(), name.size());
    if (Status ok = area_.enter_name(bank, static_cast<uint16_t>(id), name); !ok)
        return ok;
    __atomic_store_n(&area_.bank(bank).dir[id], kv_meta(*at, size, sync, KV_HOME_ARRAY),
                     __ATOMIC_SEQ_CST);
    count_pages();
    return {};
}

Result<uint16_t> store::free_id() const {
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++)
        if ((area_.word(area_.active(), id) & KV_META_LIVE) == 0)
            return static_cast<uint16_t>(id);
    return with_hint(fail(ENOSPC, "all {} numbers are taken", static_cast<int>(KV_KEYS_MAX)),
                     "delete keys");
}

Status store::remove(uint32_t id) const {
    auto lock = store_lock::take(area_);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = settled(); !ok)
        return ok;
    const uint32_t bank = area_.active();
    const uint64_t meta = id < KV_KEYS_MAX ? area_.word(bank, id) : 0;
    if ((meta & KV_META_LIVE) == 0)
        return with_hint(fail(ENOENT, "there is no key {}", id), "ringraid store dump lists them");
    if ((area_.bank(bank).entry[id].flags & KV_ENTRY_DYNAMIC) == 0)
        return with_hint(fail(EPERM, "key {} is declared by the program", id),
                         "leave it out of the program's next version");
    const structure_change changing(area_);
    __atomic_store_n(&area_.bank(bank).dir[id], (meta & ~KV_META_LIVE) | KV_META_DEAD,
                     __ATOMIC_SEQ_CST);
    return {};
}

Status store::resize(uint32_t id, uint32_t size, access who) const {
    if (size == 0 || size > KV_VALUE_MAX)
        return bad_size(size);
    auto lock = store_lock::take(area_);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = settled(); !ok)
        return ok;
    const uint32_t bank = area_.active();
    const uint64_t meta = id < KV_KEYS_MAX ? area_.word(bank, id) : 0;
    if (Status ok = may_touch(bank, id, meta, access::racy); !ok)
        return ok;
    if ((area_.bank(bank).entry[id].flags & KV_ENTRY_DYNAMIC) == 0)
        return with_hint(fail(EPERM, "key {} is declared by the program", id),
                         "change its type in the program's next version");
    const uint32_t sync = kv_meta_sync(meta);
    if (sync == KV_SYNC_ATOMIC)
        return with_hint(fail(EINVAL, "an atomic value keeps its size"),
                         "delete it and make it anew");
    uint8_t* from = area_.bytes_at(kv_meta_offset(meta));
    if (sync == KV_SYNC_OWNER && who != access::owner && !area_.paused())
        return with_hint(fail(EBUSY, "key {} is written by its owner only", id),
                         "pause the program (--pause), or declare the key SEQ");
    if (Status ok = reclaim(); !ok)
        return ok;
    // Held until the value has moved: what a program writes meanwhile is
    // refused (-EBUSY), not lost.
    value_lock held;
    if (sync == KV_SYNC_SEQ)
        if (Status ok = held.take(from); !ok)
            return ok;
    bytes value(kv_meta_size(meta));
    if (Status ok = read_value(from, sync, value); !ok)
        return ok;
    value.resize(size);
    auto at = allocate(kv_slot_bytes(size, sync));
    if (!at)
        return forward_error(at.error());
    const structure_change changing(area_);
    std::memset(area_.bytes_at(*at), 0, kv_slot_bytes(size, sync));
    if (Status ok = write_value(area_.bytes_at(*at), sync, value); !ok)
        return ok;
    // Offset and size change in one store; the old place is not reused before
    // all programs that may be in it are over.
    __atomic_store_n(&area_.bank(bank).dir[id], kv_meta(*at, size, sync, KV_HOME_ARRAY),
                     __ATOMIC_SEQ_CST);
    if (Status ok = wait_for_programs(); !ok)
        return ok;
    count_pages();
    return {};
}

store::pause::pause(const area& of, store_lock lock) : of_(&of), lock_(std::move(lock)) {
    of_->count_pause(true);
}

store::pause::~pause() {
    if (of_ == nullptr)
        return;
    of_->count_pause(false);
    if (!of_->paused())
        of_->set_gate(kv_state_generation(of_->state()));
}

Result<store::pause> store::shut_gate() const {
    if ((area_.header().bank[area_.active()].flags & KV_GATED) == 0)
        return with_hint(fail(ENOTSUP, "the programs of the store do not look at its gate"),
                         "declare KV_GATED and begin each with KV_GATE(), or detach them first");
    auto lock = store_lock::take(area_);
    if (!lock)
        return forward_error(lock.error());
    if (Status ok = settled(); !ok)
        return forward_error(ok.error());
    area_.set_gate(0);
    if (Status ok = wait_for_programs(); !ok) {
        area_.set_gate(kv_state_generation(area_.state()));
        return forward_error(ok.error());
    }
    return pause(area_, std::move(*lock));
}

}  // namespace rr::store
