// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How the loader reports failure: a value, never an exception.
//
// An Error keeps three things apart, because three readers want them: the
// errno (code that decides), the message (a person who reads a log), and the
// hint (the next command to type). Result<T> is tl::expected, which becomes
// std::expected when every compiler we support has it: keep to their common
// part. Exceptions of libraries are caught where the library is called.
#pragma once

#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace rr {

struct Error {
    int err = 0;       // errno value, positive; never 0 in a returned Error
    std::string what;  // one sentence without a full stop, without strerror
    std::string hint;  // empty, or what the user can do about it
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// Makes the failing return value: `return fail(ENOSPC, "{} is full", path);`
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(int err, fmt::format_string<Args...> format,
                                         Args&&... args) {
    return tl::unexpected<Error>(
        Error{err, fmt::format(format, std::forward<Args>(args)...), std::string()});
}

// Adds a hint: `return with_hint(fail(...), "stop the array first");`
[[nodiscard]] inline tl::unexpected<Error> with_hint(tl::unexpected<Error> failure,
                                                     std::string hint) {
    failure.value().hint = std::move(hint);
    return failure;
}

// Hands an error on to the caller of the caller.
[[nodiscard]] inline tl::unexpected<Error> forward_error(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

// The error as one line for a log: message and errno text, without the hint.
[[nodiscard]] inline std::string describe(const Error& error) {
    return fmt::format("{}: {}", error.what, std::strerror(error.err));
}

}  // namespace rr
