// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/area_types.h"

#include <bpf/btf.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "ringraid/kv_store.h"

namespace rr::store {
namespace {

struct field {
    const char* name;
    size_t at;
    size_t bytes;  // of one element
    size_t count = 1;
};

constexpr field header_fields[] = {
    {"magic", offsetof(kv_header, magic), 8},
    {"abi", offsetof(kv_header, abi), 4},
    {"pages", offsetof(kv_header, pages), 4},
    {"bytes", offsetof(kv_header, bytes), 8},
    {"uuid", offsetof(kv_header, uuid), 1, sizeof(kv_header::uuid)},
    {"program", offsetof(kv_header, program), 1, sizeof(kv_header::program)},
    {"check", offsetof(kv_header, check), 8},
    {"state", offsetof(kv_header, state), 8},
    {"gate", offsetof(kv_header, gate), 4},
    {"changes", offsetof(kv_header, changes), 4},
    {"links", offsetof(kv_header, links), 4},
    {"generations", offsetof(kv_header, generations), 4},
};
static_assert(offsetof(kv_header, bank) == offsetof(kv_header, generations) + 4,
              "the fields up to the banks have names");

// The number of the integer type of so many bytes.
int integer_of(btf* types, size_t bytes) {
    const char* name = bytes == 1   ? "unsigned char"
                       : bytes == 4 ? "unsigned int"
                                    : "unsigned long long";
    int known = btf__find_by_name_kind(types, name, BTF_KIND_INT);
    return known > 0 ? known : btf__add_int(types, name, bytes, 0);
}

int array_of(btf* types, int element, size_t count) {
    return btf__add_array(types, integer_of(types, 4), element, static_cast<uint32_t>(count));
}

}  // namespace

Result<area_types> make_area_types(uint64_t area_bytes) {
    area_types out;
    out.loaded = std::shared_ptr<btf>(btf__new_empty(), btf__free);
    btf* types = out.loaded.get();
    std::vector<int> numbers;
    for (const field& f : header_fields) {
        int number = integer_of(types, f.bytes);
        numbers.push_back(f.count == 1 ? number : array_of(types, number, f.count));
    }
    const size_t named = offsetof(kv_header, bank);
    const int rest = array_of(types, integer_of(types, 1), area_bytes - named);
    int value = btf__add_struct(types, "kv_area", static_cast<uint32_t>(area_bytes));
    int failed = 0;
    for (size_t i = 0; i < numbers.size(); i++)
        failed |= btf__add_field(types, header_fields[i].name, numbers[i],
                                 static_cast<uint32_t>(header_fields[i].at * 8), 0);
    failed |= btf__add_field(types, "banks", rest, static_cast<uint32_t>(named * 8), 0);
    if (failed != 0 || value < 0 || btf__load_into_kernel(types) != 0)
        return fail(errno, "cannot give the store's map its types");
    out.key = static_cast<uint32_t>(integer_of(types, 4));
    out.value = static_cast<uint32_t>(value);
    return out;
}

}  // namespace rr::store
