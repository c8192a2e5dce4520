// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/configfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "export/program.h"

#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif

namespace rr::configfs {
namespace {

constexpr size_t attribute_most = 4096;

bool is_mounted() {
    struct statfs about{};
    return ::statfs(root, &about) == 0 && about.f_type == CONFIGFS_MAGIC;
}

}  // namespace

Status need(const std::string& subsystem, const std::vector<std::string>& modules) {
    if (!is_mounted())
        return with_hint(fail(ENOTSUP, "configfs is not mounted at {}", root),
                         fmt::format("modprobe configfs; mount -t configfs configfs {}", root));
    for (const std::string& module : modules) {
        if (Status ok = load_module(module); !ok)
            return ok;
    }
    const std::string path = fmt::format("{}/{}", root, subsystem);
    if (!is_there(path))
        return with_hint(fail(ENOTSUP, "the kernel makes no {}", path), "dmesg may say why");
    return {};
}

bool is_there(const std::string& path) {
    struct stat about{};
    return ::lstat(path.c_str(), &about) == 0;
}

std::string read(const std::string& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, attribute_most> text{};
    const ssize_t n = file ? ::read(file.get(), text.data(), text.size()) : 0;
    std::string out(text.data(), n > 0 ? static_cast<size_t>(n) : 0);
    while (!out.empty() && (out.back() == '\n' || out.back() == '\0'))
        out.pop_back();
    return out;
}

std::vector<std::string> names(const std::string& path) {
    std::vector<std::string> out;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
        out.push_back(entry.path().filename().string());
    std::ranges::sort(out);
    return out;
}

std::string leads_to(const std::string& link) {
    std::error_code error;
    return std::filesystem::read_symlink(link, error).filename().string();
}

Status write(const std::string& path, const std::string& value) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const ssize_t n = file ? ::write(file.get(), value.data(), value.size()) : -1;
    if (n != static_cast<ssize_t>(value.size()))
        return fail(n < 0 ? errno : EIO, "the kernel does not take '{}' for {}", value, path);
    return {};
}

Status write_all(const std::string& group, const attributes& values) {
    for (const auto& [name, value] : values) {
        if (Status ok = write(fmt::format("{}/{}", group, name), value); !ok)
            return ok;
    }
    return {};
}

Status group(steps& undo, const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0)
        return fail(errno, "cannot make {}", path);
    undo.done([path] { ::rmdir(path.c_str()); });
    return {};
}

Status link(steps& undo, const std::string& to, const std::string& path) {
    if (::symlink(to.c_str(), path.c_str()) != 0)
        return fail(errno, "cannot link {} to {}", path, to);
    undo.done([path] { ::unlink(path.c_str()); });
    return {};
}

Status set(steps& undo, const std::string& path, const std::string& value,
           const std::string& before) {
    Status written = write(path, value);
    if (written)
        undo.done([path, before] { (void)write(path, before); });
    return written;
}

Status remove_group(const std::string& path) {
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT)
        return fail(errno, "cannot remove {}", path);
    return {};
}

Status remove_link(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail(errno, "cannot remove {}", path);
    return {};
}

}  // namespace rr::configfs
