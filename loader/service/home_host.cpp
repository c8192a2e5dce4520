// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/home_host.h"

#include <sys/utsname.h>

namespace rr {

std::string home_host(const std::string& wanted) {
    if (!wanted.empty() && wanted != "<system>")
        return wanted;
    utsname names{};
    return ::uname(&names) == 0 ? names.nodename : "";
}

bool is_at_home(const std::string& set_name, const std::string& host) {
    if (host == "<ignore>" || host == "any")
        return true;
    const size_t colon = set_name.find(':');
    if (colon == std::string::npos || colon == 0)
        return true;
    const std::string theirs = set_name.substr(0, colon);
    return theirs == "any" || theirs == host;
}

}  // namespace rr
