// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Words of the arena that queues and the control plane share, as the latter touches them:
// one access, and ordered with all others of these.
//
// Inlined where they are used: the simulator compiles a source so that others may take
// their turns at each of them, and the next source without.
#pragma once

#include <type_traits>

namespace rr {

template <typename T>
[[nodiscard, gnu::always_inline]] inline T load(const T& word) {
    return __atomic_load_n(&word, __ATOMIC_SEQ_CST);
}

template <typename T>
[[gnu::always_inline]] inline void store(T& word, std::type_identity_t<T> value) {
    __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
}

}  // namespace rr
