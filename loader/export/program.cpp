// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/program.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "base/run_program.h"

namespace rr {
namespace {

constexpr std::array directories = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                    "/usr/bin",        "/sbin",          "/bin"};
constexpr auto module_time = std::chrono::seconds(60);

bool is_loaded(std::string module) {
    std::ranges::replace(module, '-', '_');
    return ::access(("/sys/module/" + module).c_str(), F_OK) == 0;
}

}  // namespace

Result<std::string> find_program(const std::string& name, const std::string& package) {
    for (const char* directory : directories) {
        std::string path = fmt::format("{}/{}", directory, name);
        if (::access(path.c_str(), X_OK) == 0)
            return path;
    }
    return with_hint(fail(ENOENT, "there is no {}", name), fmt::format("apt install {}", package));
}

Status load_module(const std::string& module) {
    if (is_loaded(module))
        return {};
    auto modprobe = find_program("modprobe", "kmod");
    if (!modprobe)
        return forward_error(modprobe.error());
    if (Status ok = run_program({*modprobe, "-q", module}, "", module_time); !ok)
        return with_hint(fail(ENOTSUP, "this kernel has no module {}", module),
                         fmt::format("modprobe {} says more; Debian's cloud and generic kernels "
                                     "have it",
                                     module));
    return {};
}

}  // namespace rr
