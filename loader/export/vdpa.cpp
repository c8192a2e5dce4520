// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/vdpa.h"

#include <cerrno>
#include <chrono>

#include "base/run_program.h"
#include "export/configfs.h"
#include "export/program.h"

namespace rr::vdpa {
namespace {

constexpr auto vdpa_time = std::chrono::seconds(60);

std::string sysfs(const export_spec& spec) {
    return "/sys/bus/vdpa/devices/" + spec.name;
}

Status run(const std::vector<std::string>& words) {
    auto found = find_program("vdpa", "iproute2");
    if (!found)
        return forward_error(found.error());
    std::vector<std::string> all = {*found};
    all.insert(all.end(), words.begin(), words.end());
    return run_program(all, "", vdpa_time);
}

// The kernel gives it to whichever driver came first.
Status bind(const export_spec& spec) {
    const std::string bound = configfs::leads_to(sysfs(spec) + "/driver");
    if (bound == spec.driver)
        return {};
    if (Status ok = configfs::write(sysfs(spec) + "/driver_override", spec.driver); !ok)
        return ok;
    if (!bound.empty()) {
        if (Status ok = configfs::write(sysfs(spec) + "/driver/unbind", spec.name); !ok)
            return ok;
    }
    return configfs::write(fmt::format("/sys/bus/vdpa/drivers/{}/bind", spec.driver), spec.name);
}

}  // namespace

Status check(const export_spec& spec) {
    if (auto found = find_program("vdpa", "iproute2"); !found)
        return forward_error(found.error());
    for (const std::string& module : {std::string("vduse"), spec.driver}) {
        if (Status ok = load_module(module); !ok)
            return ok;
    }
    if (configfs::is_there(sysfs(spec)))
        return with_hint(fail(EEXIST, "there is a vDPA device {}", spec.name), "another --name");
    return {};
}

Status add(const export_spec& spec) {
    if (Status ok = run({"dev", "add", "name", spec.name, "mgmtdev", "vduse"}); !ok)
        return with_hint(fail(ok.error().err, "cannot put {} on the vDPA bus", spec.name),
                         "vdpa says above why");
    Status bound = bind(spec);
    if (!bound)
        (void)remove(spec);
    return bound;
}

Status remove(const export_spec& spec) {
    if (!configfs::is_there(sysfs(spec)))
        return {};
    if (Status ok = run({"dev", "del", spec.name}); !ok)
        return with_hint(fail(ok.error().err, "cannot take {} off the vDPA bus", spec.name),
                         "is it in use?");
    return {};
}

std::string device(const export_spec& spec) {
    for (const std::string& below : configfs::names(sysfs(spec))) {
        if (below.starts_with("vhost-vdpa-"))
            return "/dev/" + below;
        if (!below.starts_with("virtio"))
            continue;
        for (const std::string& disk : configfs::names(sysfs(spec) + '/' + below + "/block"))
            return "/dev/" + disk;
    }
    return "";
}

}  // namespace rr::vdpa
