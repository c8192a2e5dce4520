// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whose array it is, by md's set name: "host:name", as mdadm writes it.
//
// A disk that is here for a while (of another machine, a guest's, behind a SAN) may
// be served by its own host at this moment. So an array that is found, not asked
// for, starts only where it is at home. mdadm's --homehost has the same words: a
// name without a host, or of host "any", is at home everywhere; "<ignore>" or "any"
// as our own host takes all; "<system>" is the machine's name.
#pragma once

#include <string>

namespace rr {

// The host that @wanted stands for; empty and "<system>": this machine's name.
[[nodiscard]] std::string home_host(const std::string& wanted = "");

// True when an array of that set name is at home on @host, a result of home_host().
[[nodiscard]] bool is_at_home(const std::string& set_name, const std::string& host);

}  // namespace rr
