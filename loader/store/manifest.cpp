// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/manifest.h"

#include <bpf/libbpf.h>
#include <elf.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

namespace rr::store {
namespace {

struct close_object {
    void operator()(bpf_object* o) const { bpf_object__close(o); }
};

// The parts of an ELF file that baking needs. Every offset is checked.
class elf_view {
public:
    explicit elf_view(const_bytes file) : file_(file) {}

    Status find(const std::string& wanted) {
        Elf64_Ehdr head{};
        if (!load(0, head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
            head.e_machine != EM_BPF || head.e_ident[EI_CLASS] != ELFCLASS64 ||
            head.e_shentsize != sizeof(Elf64_Shdr))
            return with_hint(fail(EINVAL, "this is not a BPF object file"),
                             "make it with clang -target bpf -g");
        Elf64_Shdr names{};
        if (!section(head, head.e_shstrndx, names))
            return with_hint(fail(EINVAL, "the object file is cut short"), "compile it again");
        index_ = 0;
        for (uint16_t i = 1; i < head.e_shnum; i++) {
            Elf64_Shdr s{};
            if (!section(head, i, s))
                return with_hint(fail(EINVAL, "the object file is cut short"), "compile it again");
            if (s.sh_type == SHT_SYMTAB && s.sh_link < head.e_shnum) {
                symbols_ = s;
                if (!section(head, static_cast<uint16_t>(s.sh_link), strings_))
                    return with_hint(fail(EINVAL, "the object file is cut short"),
                                     "compile it again");
            }
            if (text(names, s.sh_name) == wanted && s.sh_type == SHT_PROGBITS) {
                index_ = i;
                at_ = s;
            }
        }
        if (index_ == 0)
            return with_hint(fail(ENODATA, "the object file declares no KV store"),
                             "declare one with KV_STORE() and KV_KEY() of kv_store.bpf.h");
        for (uint64_t i = 0; i < symbols_.sh_size / sizeof(Elf64_Sym); i++) {
            Elf64_Sym s{};
            if (load(symbols_.sh_offset + i * sizeof(s), s) && s.st_shndx == index_)
                known_[text(strings_, s.st_name)] = s.st_value;
        }
        return {};
    }

    // Where @name's @size bytes are in the file; 0 if it is not in the section.
    [[nodiscard]] uint64_t symbol(const std::string& name, uint64_t size) const {
        const auto found = known_.find(name);
        if (found == known_.end() || found->second > at_.sh_size ||
            size > at_.sh_size - found->second || !inside(at_.sh_offset + found->second, size))
            return 0;
        return at_.sh_offset + found->second;
    }

private:
    [[nodiscard]] bool inside(uint64_t offset, uint64_t size) const {
        return offset <= file_.size() && size <= file_.size() - offset;
    }
    template <typename T>
    bool load(uint64_t offset, T& out) const {
        if (!inside(offset, sizeof(T)))
            return false;
        std::memcpy(&out, file_.data() + offset, sizeof(T));
        return true;
    }
    bool section(const Elf64_Ehdr& head, uint16_t i, Elf64_Shdr& out) const {
        return load(head.e_shoff + uint64_t{i} * sizeof(Elf64_Shdr), out) &&
               (out.sh_type == SHT_NOBITS || inside(out.sh_offset, out.sh_size));
    }
    [[nodiscard]] std::string text(const Elf64_Shdr& table, uint64_t at) const {
        std::string out;
        // A table without contents may say that it lies anywhere.
        if (table.sh_type == SHT_NOBITS)
            return out;
        for (; at < table.sh_size && file_[table.sh_offset + at] != 0; at++)
            out += static_cast<char>(file_[table.sh_offset + at]);
        return out;
    }

    const_bytes file_;
    Elf64_Shdr symbols_{};
    Elf64_Shdr strings_{};
    Elf64_Shdr at_{};
    uint16_t index_ = 0;
    std::map<std::string, uint64_t> known_;  // symbols of the section
};

template <typename T>
bool parse_number(const std::string& text, T& out, int base = 10) {
    const char* from = text.c_str();
    const bool hex = text.rfind("0x", 0) == 0;
    auto [rest, error] =
        std::from_chars(from + (hex ? 2 : 0), from + text.size(), out, hex ? 16 : base);
    return error == std::errc() && (*rest == '\0' || std::strchr("uUlL", *rest) != nullptr);
}

struct tags {
    std::vector<std::pair<std::string, std::string>> all;

    [[nodiscard]] std::string get(const std::string& name) const {
        for (const auto& [n, v] : all)
            if (n == name)
                return v;
        return {};
    }
};

// The decl tags of each variable, in one pass over the BTF.
std::map<uint32_t, tags> tags_of_variables(const btf* types) {
    std::map<uint32_t, tags> out;
    for (uint32_t id = 1; id < btf__type_cnt(types); id++) {
        const btf_type* t = btf__type_by_id(types, id);
        if (!btf_is_decl_tag(t) || btf_decl_tag(t)->component_idx != -1)
            continue;
        std::string text = btf__name_by_offset(types, t->name_off);
        size_t equals = text.find('=');
        if (text.rfind("kv.", 0) == 0 && equals != std::string::npos)
            out[t->type].all.emplace_back(text.substr(3, equals - 3), text.substr(equals + 1));
    }
    return out;
}

Status read_attributes(key_entry& key, const tags& t) {
    auto wrong = [&](const std::string& name) {
        return with_hint(fail(EINVAL, "key {}: {} is not a {}", key.name, t.get(name), name),
                         "write it as a plain number");
    };
    if (!parse_number(t.get("id"), key.id) || key.id >= KV_KEYS_MAX)
        return wrong("id");
    const std::string sync = t.get("sync");
    key.sync = sync == "SEQ" ? KV_SYNC_SEQ : sync == "ATOMIC" ? KV_SYNC_ATOMIC : KV_SYNC_OWNER;
    const std::string persist = t.get("persist");
    key.persist = persist == "cache"   ? KV_PERSIST_CACHE
                  : persist == "reset" ? KV_PERSIST_RESET
                                       : KV_PERSIST_DURABLE;
    key.home = t.get("home") == "TASK" ? KV_HOME_TASK : KV_HOME_ARRAY;
    key.was = t.get("was");
    key.up = t.get("up");
    key.down = t.get("down");
    if (const std::string sem = t.get("sem"); !sem.empty() && !parse_number(sem, key.sem))
        return wrong("sem");
    if (const std::string range = t.get("range"); !range.empty()) {
        size_t dots = range.find("..");
        key.ranged = true;
        if (dots == std::string::npos || !parse_number(range.substr(0, dots), key.min) ||
            !parse_number(range.substr(dots + 2), key.max))
            return wrong("range");
    }
    return {};
}

// The member `value` of a key's variable: its type and its offset.
const btf_member* value_member(const btf* types, uint32_t type_id) {
    const btf_type* t = btf__type_by_id(types, type_id);
    while (t != nullptr && (btf_is_mod(t) || btf_is_typedef(t)))
        t = btf__type_by_id(types, t->type);
    if (t == nullptr || !btf_is_struct(t) || btf_vlen(t) != 3)
        return nullptr;
    const btf_member* m = btf_members(t) + 2;
    const char* name = btf__name_by_offset(types, m->name_off);
    return name != nullptr && std::strcmp(name, "value") == 0 ? m : nullptr;
}

int quiet(libbpf_print_level, const char*, va_list) {
    return 0;
}

}  // namespace

const key_entry* manifest::find(uint32_t id) const {
    for (const key_entry& k : keys)
        if (k.id == id)
            return &k;
    return nullptr;
}

const key_entry* manifest::find(const std::string& name) const {
    for (const key_entry& k : keys)
        if (k.name == name && !name.empty())
            return &k;
    return nullptr;
}

uint64_t manifest::hash() const {
    std::string all = fmt::format("{}/{}/{}", program, version, flags);
    for (const key_entry& k : keys)
        if (!k.dynamic)  // a program knows nothing of these
            all += fmt::format("|{},{},{:x},{},{},{},{},{},{},{},{}", k.id, k.name, k.hash, k.size,
                               k.sync, k.persist, k.home, k.ranged, k.min, k.max, k.sem);
    return hash_bytes({reinterpret_cast<const uint8_t*>(all.data()), all.size()});
}

Result<manifest> manifest_of_object(const_bytes object) {
    elf_view elf(object);
    if (Status ok = elf.find(KV_SECTION_KEYS); !ok)
        return forward_error(ok.error());
    auto* print = libbpf_set_print(quiet);
    std::unique_ptr<bpf_object, close_object> opened(
        bpf_object__open_mem(object.data(), object.size(), nullptr));
    libbpf_set_print(print);
    if (!opened)
        return with_hint(fail(errno, "libbpf cannot open the object file"),
                         "make it with clang -target bpf -g");
    const btf* types = bpf_object__btf(opened.get());
    const int section =
        types == nullptr ? -1 : btf__find_by_name_kind(types, KV_SECTION_KEYS, BTF_KIND_DATASEC);
    if (section < 0)
        return with_hint(fail(ENODATA, "the object file has no BTF of its KV store"),
                         "compile it with -g");

    manifest m;
    kv_program_info info{};
    if (const uint64_t at = elf.symbol(KV_SYMBOL_INFO, sizeof(info)); at != 0)
        std::memcpy(&info, object.data() + at, sizeof(info));
    else
        return with_hint(fail(ENODATA, "the object file has keys but no KV_STORE()"),
                         "say KV_STORE(name, version) once");
    m.program.assign(info.program, strnlen(info.program, sizeof(info.program)));
    m.version = info.version;
    m.flags = info.flags;
    m.pages = info.pages;

    const auto tagged = tags_of_variables(types);
    const btf_type* sec = btf__type_by_id(types, static_cast<uint32_t>(section));
    for (uint32_t i = 0; i < btf_vlen(sec); i++) {
        const uint32_t var_id = btf_var_secinfos(sec)[i].type;
        const btf_type* var = btf__type_by_id(types, var_id);
        const std::string symbol = btf__name_by_offset(types, var->name_off);
        if (symbol.rfind(KV_SYMBOL_KEY, 0) != 0)
            continue;
        key_entry key;
        key.name = symbol.substr(std::strlen(KV_SYMBOL_KEY));
        const btf_member* value = value_member(types, var->type);
        const auto tag = tagged.find(var_id);
        if (value == nullptr || tag == tagged.end())
            return with_hint(fail(EINVAL, "{} was not made by KV_KEY()", symbol),
                             "declare keys with KV_KEY() or KV_TASK_KEY()");
        if (Status ok = read_attributes(key, tag->second); !ok)
            return forward_error(ok.error());
        // Past the typedef that KV_KEY() makes.
        uint32_t declared = value->type;
        for (const btf_type* t = btf__type_by_id(types, declared);
             btf_is_mod(t) ||
             (btf_is_typedef(t) && std::strncmp(btf__name_by_offset(types, t->name_off),
                                                "kv_type_of_", std::strlen("kv_type_of_")) == 0);
             t = btf__type_by_id(types, declared))
            declared = t->type;
        auto type_id = m.types.add({types, declared});
        if (!type_id) {
            Error error = type_id.error();
            error.what = fmt::format("key {}: {}", key.name, error.what);
            return forward_error(error);
        }
        key.type_id = *type_id;
        key.size = type_size(m.types.at(*type_id));
        key.hash = type_hash(m.types.at(*type_id));
        const uint64_t at = elf.symbol(symbol, value->offset / 8 + key.size);
        if (at == 0)
            return with_hint(fail(EINVAL, "the object file is cut short"), "compile it again");
        const uint8_t* from = object.data() + at + value->offset / 8;
        key.initial.assign(from, from + key.size);
        m.keys.push_back(std::move(key));
    }
    m.types.forget_sources();
    std::sort(m.keys.begin(), m.keys.end(),
              [](const key_entry& a, const key_entry& b) { return a.id < b.id; });
    if (Status ok = check_manifest(m); !ok)
        return forward_error(ok.error());
    return m;
}

Status check_range(const manifest& m, const key_entry& key, const_bytes value) {
    const integer kind = key.type_id == 0 ? integer{} : as_integer(m.type(key));
    if (!key.ranged)
        return {};
    if (!kind.is)
        return with_hint(fail(EINVAL, "key {} has a range but is not a number", key.name),
                         "leave KV_RANGE() out");
    const int64_t v = load_integer(kind, value);
    // An unsigned value above all signed ones is above any range that can be said.
    if ((!kind.is_signed && v < 0) || v < key.min || v > key.max)
        return with_hint(fail(ERANGE, "{} is outside of the range of {}, {} to {}",
                              kind.is_signed ? fmt::format("{}", v)
                                             : fmt::format("{}", static_cast<uint64_t>(v)),
                              key.name, key.min, key.max),
                         "take a value in the range");
    return {};
}

Status check_manifest(const manifest& m) {
    if (m.program.empty() || m.program.size() >= KV_NAME_MAX)
        return with_hint(fail(EINVAL, "the manifest names no program"),
                         "name it in KV_STORE(), with 31 characters at most");
    if (m.pages == 0 || m.pages > KV_PAGES_MAX)
        return with_hint(fail(EINVAL, "a store of {} pages; 1 to {} are possible", m.pages,
                              static_cast<int>(KV_PAGES_MAX)),
                         "say another number in KV_STORE()");
    if (m.keys.size() > KV_KEYS_MAX)
        return with_hint(
            fail(E2BIG, "{} keys; {} are possible", m.keys.size(), static_cast<int>(KV_KEYS_MAX)),
            "keep several values in one struct");
    std::set<uint32_t> ids;
    std::set<std::string> names;
    for (const key_entry& k : m.keys) {
        if (k.id >= KV_KEYS_MAX)
            return with_hint(fail(EINVAL, "key {} has the number {}; they end at {}", k.name, k.id,
                                  KV_KEYS_MAX - 1),
                             "take a number that is free");
        if (!ids.insert(k.id).second)
            return with_hint(fail(EEXIST, "two keys have the number {}", k.id),
                             "give each key a number of its own, for ever");
        if (k.name.size() >= KV_NAME_MAX || (k.name.empty() && !k.dynamic))
            return with_hint(fail(EINVAL, "key {} has no good name", k.id),
                             "names have 1 to 31 characters");
        if (!k.name.empty() && !names.insert(k.name).second)
            return with_hint(fail(EEXIST, "two keys are called {}", k.name), "rename one of them");
        if (k.size == 0 || k.size > KV_VALUE_MAX)
            return with_hint(fail(EMSGSIZE, "key {} has {} bytes; 1 to {} are possible", k.name,
                                  k.size, static_cast<int>(KV_VALUE_MAX)),
                             "split it into several keys");
        if (k.sync > KV_SYNC_SEQ || k.persist > KV_PERSIST_RESET || k.home > KV_HOME_TASK)
            return with_hint(fail(EINVAL, "key {} has an attribute of an unknown kind", k.name),
                             "use the ringraid that made it");
        if (k.sync == KV_SYNC_ATOMIC && k.size != 1 && k.size != 2 && k.size != 4 && k.size != 8)
            return with_hint(fail(EINVAL, "key {} is atomic but has {} bytes", k.name, k.size),
                             "declare it SEQ");
        if (k.home == KV_HOME_TASK && (k.sync == KV_SYNC_SEQ || k.dynamic))
            return with_hint(
                fail(EINVAL, "key {}: a task's values are its own, and declared", k.name),
                "declare it OWNER or ATOMIC, or keep it in the array");
        if (k.home == KV_HOME_TASK && (!k.up.empty() || !k.down.empty()))
            return with_hint(
                fail(EINVAL, "key {} is kept by each task, where no converter runs", k.name),
                "give the new meaning to a new key, or keep it in the array");
        if (k.initial.size() != k.size)
            return with_hint(fail(EMSGSIZE, "key {} has a default of {} bytes, not {}", k.name,
                                  k.initial.size(), k.size),
                             "give a default of the value's type");
        if (!k.dynamic) {
            if (Status ok = check_storable(m.type(k)); !ok)
                return with_hint(fail(ok.error().err, "key {}: {}", k.name, ok.error().what),
                                 ok.error().hint.empty()
                                     ? "keep numbers, and structs and arrays of them"
                                     : ok.error().hint);
            if (type_size(m.type(k)) != k.size || type_hash(m.type(k)) != k.hash)
                return with_hint(
                    fail(EBADMSG, "the type of key {} is not the one that was declared", k.name),
                    "the manifest is damaged: make it again from the object file");
        }
        if (k.ranged && k.min > k.max)
            return with_hint(fail(EINVAL, "key {} has an empty range", k.name),
                             "KV_RANGE(lo, hi) includes both");
        if (Status ok = check_range(m, k, k.initial); !ok) {
            Error error = ok.error();
            error.what = "the default: " + error.what;
            return forward_error(error);
        }
    }
    return {};
}

Status place(manifest& m, uint32_t bank, uint32_t area_pages) {
    const uint64_t start = kv_data_start(bank, area_pages);
    const uint64_t end = start + uint64_t{area_pages} * KV_PAGE;
    uint64_t at = start;
    uint64_t task_at = 0;
    auto room = [&](uint32_t size, uint32_t& where) -> Status {
        if (size > end - at)
            return with_hint(
                fail(ENOSPC, "the values need more than the {} pages of the store", area_pages),
                "export it, make one with more pages (KV_STORE's last argument), and import");
        where = static_cast<uint32_t>(at);
        at += size;
        return {};
    };
    for (key_entry& k : m.keys) {
        const uint32_t size = kv_slot_bytes(k.size, k.sync);
        if (k.home == KV_HOME_TASK) {
            if (task_at / KV_PAGE != (task_at + size - 1) / KV_PAGE)
                task_at = (task_at + KV_PAGE - 1) / KV_PAGE * KV_PAGE;
            if (task_at + size > uint64_t{KV_TASK_PAGES} * KV_PAGE)
                return with_hint(fail(ENOSPC, "a task's values need more than {} pages",
                                      static_cast<int>(KV_TASK_PAGES)),
                                 "keep large values in the array");
            k.offset = static_cast<uint32_t>(task_at);
            task_at += size;
        } else if (Status ok = room(size, k.offset); !ok) {
            return ok;
        }
        const bool zeros =
            std::all_of(k.initial.begin(), k.initial.end(), [](uint8_t b) { return b == 0; });
        k.default_at = 0;
        if (zeros)
            continue;
        if (Status ok = room(kv_copy_bytes(k.size), k.default_at); !ok)
            return ok;
    }
    return {};
}

const char* sync_name(uint32_t sync) {
    return sync == KV_SYNC_SEQ ? "seq" : sync == KV_SYNC_ATOMIC ? "atomic" : "owner";
}

const char* persist_name(uint32_t persist) {
    return persist == KV_PERSIST_RESET   ? "reset"
           : persist == KV_PERSIST_CACHE ? "cache"
                                         : "durable";
}

Status bake_object(bytes& object, const manifest& placed, const baking& how) {
    elf_view elf(object);
    if (Status ok = elf.find(KV_SECTION_KEYS); !ok)
        return ok;
    kv_program_info info{};
    const uint64_t at = elf.symbol(KV_SYMBOL_INFO, sizeof(info));
    if (at == 0)
        return with_hint(fail(ENODATA, "the object file has no KV_STORE()"),
                         "say KV_STORE(name, version) once");
    std::memcpy(&info, object.data() + at, sizeof(info));
    info.baked = 1;
    info.bank = how.bank;
    info.generation = how.generation;
    info.bytes = how.area_bytes;
    std::memcpy(object.data() + at, &info, sizeof(info));
    for (const key_entry& k : placed.keys) {
        if (k.dynamic)
            continue;
        const uint64_t key_at = elf.symbol(KV_SYMBOL_KEY + k.name, 4);
        if (key_at == 0)
            return with_hint(fail(EBADMSG, "the object file has no key {}", k.name),
                             "the store is of another version: ringraid store diff");
        const uint32_t offset = k.offset | KV_BAKED;
        std::memcpy(object.data() + key_at, &offset, sizeof(offset));
    }
    return {};
}

}  // namespace rr::store
