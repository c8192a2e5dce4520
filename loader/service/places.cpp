// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/places.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/io.h"
#include "base/log.h"
#include "base/private_directory.h"

namespace rr {
namespace {

// As long as a log line and a state file together: less than that is full.
constexpr size_t room_bytes = 16384;

constexpr const char* aside_mark = ".other-";

Status lock_file(const std::string& path, int flags, Fd& lock) {
    lock.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
    if (!lock)
        return fail(errno, "cannot open {}", path);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        lock.reset();
        return fail(EBUSY, "another process holds {}", path);
    }
    return {};
}

// The open file @fd is what @path names.
bool is_at(int fd, const std::string& path) {
    struct stat held{}, there{};
    return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
           held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

// A file can be written there now: /run may be full, or read-only.
Status room_in(const std::string& directory) {
    const std::string trial = directory + "/room";
    const std::vector<uint8_t> zeros(room_bytes);
    Status written = write_file(trial, zeros);
    ::unlink(trial.c_str());
    if (!written)
        return with_hint(fail(written.error().err, "no file can be written in {}", directory),
                         "make room there, or mount it writable");
    return {};
}

// Of whichever boot, whole or not yet; not what was put aside as another array's.
bool is_arena(const std::filesystem::path& file) {
    const std::string name = file.filename().string();
    return name.starts_with("arena") && name.find(aside_mark) == std::string::npos;
}

}  // namespace

// Names come from superblocks, which hold any bytes; JSON must be UTF-8.
std::string to_line(const nlohmann::json& value, int indent) {
    return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<nlohmann::json> read_json(const std::string& path) {
    std::ifstream in(path);
    nlohmann::json value = nlohmann::json::parse(in, nullptr, false);
    if (value.is_discarded() || !value.is_object())
        return std::nullopt;
    return value;
}

Status array_places::make_run_directory() const {
    for (const std::string& path : {std::string(run_directory), paths_.directory}) {
        if (Status ok = make_private_directory(path); !ok)
            return ok;
    }
    return {};
}

Status array_places::check_room() const {
    return room_in(paths_.directory);
}

bool pins_can_be_seen() {
    const std::string mount = std::filesystem::path(pin_directory).parent_path().string();
    struct statfs about{};
    return ::statfs(mount.c_str(), &about) == 0 && about.f_type == BPF_FS_MAGIC;
}

Status array_places::make_pin_directory() const {
    const std::string mount = std::filesystem::path(pin_directory).parent_path().string();
    if (!pins_can_be_seen())
        return with_hint(fail(ENOTSUP, "no BPF file system is mounted at {}", mount),
                         fmt::format("mount -t bpf -o mode=0700 bpf {}", mount));
    for (const std::string& path : {std::string(pin_directory), paths_.pins}) {
        if (Status ok = make_private_directory(path); !ok)
            return ok;
    }
    return {};
}

Status array_places::check() const {
    for (const std::string& path :
         {std::string(run_directory), paths_.directory, std::string(pin_directory), paths_.pins}) {
        Status ok = check_private_directory(path);
        if (!ok && ok.error().err != ENOENT)
            return ok;
    }
    return {};
}

Status array_places::take_lock() {
    return lock_file(paths_.lock, O_CREAT, lock_);
}

bool array_places::are_there() const {
    return is_at(lock_.get(), paths_.lock) && ::access(paths_.socket.c_str(), F_OK) == 0 &&
           ::access(paths_.state.c_str(), F_OK) == 0;
}

Status array_places::make_again() {
    if (Status ok = make_run_directory(); !ok)
        return ok;
    if (is_at(lock_.get(), paths_.lock))
        return {};
    Fd lock;
    if (Status ok = lock_file(paths_.lock, O_CREAT, lock); !ok)
        return ok;
    lock_ = std::move(lock);
    return {};
}

Status array_places::write_state(const nlohmann::json& state) const {
    const std::string next = paths_.state + ".new";
    const std::string text = to_line(state, 2) + '\n';
    Status written = write_file(next, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    if (written && ::rename(next.c_str(), paths_.state.c_str()) != 0)
        written = fail(errno, "cannot write {}", paths_.state);
    if (!written)
        ::unlink(next.c_str());
    return written;
}

std::optional<nlohmann::json> array_places::read_state() const {
    return read_json(paths_.state);
}

bool array_places::has_older_arena() const {
    std::error_code ignored;
    const auto files = std::filesystem::directory_iterator(paths_.directory, ignored);
    return std::any_of(begin(files), end(files), [this](const auto& entry) {
        return is_arena(entry.path()) && !entry.path().string().starts_with(paths_.arena_file);
    });
}

void array_places::remove_run_files() const {
    std::error_code ignored;
    std::vector<std::filesystem::path> gone = {paths_.state};
    for (const auto& entry : std::filesystem::directory_iterator(paths_.directory, ignored)) {
        if (entry.path().extension() == ".o" || is_arena(entry.path()))
            gone.push_back(entry.path());
    }
    for (const auto& path : gone)
        std::filesystem::remove(path, ignored);
}

void array_places::remove_socket() const {
    ::unlink(paths_.socket.c_str());
}

void array_places::remove_pins() const {
    std::error_code ignored;
    std::filesystem::remove_all(paths_.pins, ignored);
}

namespace {

void put_aside(const std::string& path) {
    std::error_code failed = std::make_error_code(std::errc::file_exists);
    for (int n = 1; failed && n < 100 && std::filesystem::exists(path); n++) {
        const std::string aside = fmt::format("{}{}{}", path, aside_mark, n);
        if (!std::filesystem::exists(aside))
            std::filesystem::rename(path, aside, failed);
        if (!failed)
            log_error("what another array left was at {}: it is at {} now", path, aside);
    }
}

}  // namespace

void array_places::put_foreign_aside() const {
    put_aside(paths_.pins);
    put_aside(paths_.arena_file);
}

}  // namespace rr
