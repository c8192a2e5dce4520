// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/ending.h"

#include <algorithm>
#include <cerrno>

#include "export/exports.h"
#include "export/unit.h"
#include "service/ownership.h"

namespace rr {

exports_of_array find_exports(const md::uuid& array, const std::string& block_device) {
    exports_of_array out;
    if (!block_device.empty())
        out.names = exports_of(block_device);
    out.units = export_units_of(blkid_form(array));
    for (const std::string& name : out.units) {
        if (std::ranges::find(out.names, name) == out.names.end() && export_unit_is_active(name))
            out.names.push_back(name);
    }
    return out;
}

Status end_exports(const exports_of_array& which) {
    Status stopped = pause_export_units(which.units);
    for (const std::string& name : which.names) {
        Status ended = end_export(name, true);
        if (!ended && ended.error().err != ENOENT)
            return ended;
    }
    return stopped;
}

}  // namespace rr
