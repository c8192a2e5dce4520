// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What libbpf says of an error, kept for the sentence that reports it.
#pragma once

#include <bpf/libbpf.h>

#include <string>

namespace rr::store {

// While it lives, libbpf's warnings go to last_words() instead of standard
// error; the application's own printing comes back with its end.
class libbpf_listener {
public:
    libbpf_listener();
    ~libbpf_listener() { libbpf_set_print(before_); }
    libbpf_listener(const libbpf_listener&) = delete;
    libbpf_listener& operator=(const libbpf_listener&) = delete;

private:
    libbpf_print_fn_t before_;
};

// The calling thread's last warning since its last listener was made.
[[nodiscard]] const std::string& last_words();

}  // namespace rr::store
