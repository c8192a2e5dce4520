// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The version of ringraid: that of the first entry of packaging/debian/changelog.
#pragma once

namespace rr {

extern const char* const version;

}  // namespace rr
