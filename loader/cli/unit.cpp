// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/unit.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/io.h"
#include "base/text.h"
#include "cli/start.h"
#include "service/ownership.h"
#include "service/paths.h"
#include "service/places.h"
#include "service/predecessor.h"

namespace rr::cli {
namespace {

constexpr std::array unit_directories = {"/etc/systemd/system", "/run/systemd/system",
                                         "/usr/local/lib/systemd/system",
                                         "/usr/lib/systemd/system"};

// sd_booted(3)'s test.
constexpr const char* booted = "/run/systemd/system";

std::string unit_name(const md::uuid& id) {
    return "ringraid@" + blkid_form(id) + ".service";
}

// The exit code of `systemctl WORDS`; below 0: it cannot be run. Its output goes to @out, if
// that is a descriptor.
int systemctl(std::vector<std::string> words, int out = -1) {
    words.insert(words.begin(), "systemctl");
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    if (::posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    pid_t child = 0;
    int err = out < 0 ? 0 : ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (err == 0)
        err = ::posix_spawnp(&child, "systemctl", &actions, nullptr, pointers.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (err != 0)
        return -1;
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The daemon's last exit code; below 0: systemd does not say.
int last_exit_code(const std::string& unit) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    const Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    // It fits into the pipe.
    const int code =
        systemctl({"show", "--property=ExecMainStatus", "--value", unit}, write_end.get());
    write_end.reset();
    std::array<char, 16> said{};
    const ssize_t n = ::read(read_end.get(), said.data(), said.size());
    int found = -1;
    if (code == 0 && n > 0)
        std::from_chars(said.data(), said.data() + n, found);
    return found;
}

// Words for one start, gone when it is over.
class once_words {
public:
    once_words(const md::uuid& id, const std::string& words) {
        if (words.empty())
            return;
        const array_places places(id);
        written_ = places.make_run_directory();
        path_ = fmt::format("{}/{}.once", run_directory, blkid_form(id));
        const std::string text = "ONCE=" + words + '\n';
        if (written_)
            written_ =
                write_file(path_, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    ~once_words() {
        if (!path_.empty())
            ::unlink(path_.c_str());
    }
    once_words(const once_words&) = delete;
    once_words& operator=(const once_words&) = delete;

    [[nodiscard]] const Status& written() const { return written_; }

private:
    Status written_;
    std::string path_;
};

// Of a file name, and of the value of a property.
std::string link_name(const std::string& set_name) {
    const std::string link = link_path(set_name);
    return link.substr(link.rfind('/') + 1);
}

// What udev is to know of the block device @kernel_name, as lines for IMPORT{program}.
int print_properties(const std::string& kernel_name) {
    for (const nlohmann::json& state : running_arrays()) {
        if (state.value("block_device", "") != "/dev/" + kernel_name)
            continue;
        auto id = md::parse_uuid(state.value("uuid", ""));
        if (!id)
            return 1;
        const std::string uuid = blkid_form(*id);
        const std::string name = link_name(state.value("name", ""));
        fmt::print("ID_RINGRAID_UUID={}\nID_RINGRAID_LEVEL=raid5\nID_RINGRAID_ENGINE={}\n", uuid,
                   printable(state.value("engine", "")));
        fmt::print("ID_MODEL=ringraid\nID_SERIAL=ringraid-{0}\nID_SERIAL_SHORT={0}\n", uuid);
        if (!name.empty())
            fmt::print("ID_RINGRAID_NAME={}\n", name);
        return 0;
    }
    return 1;
}

}  // namespace

bool units_serve() {
    if (::access(booted, F_OK) != 0)
        return false;
    for (const char* directory : unit_directories) {
        const std::string path = std::string(directory) + "/ringraid@.service";
        if (::access(path.c_str(), F_OK) == 0)
            return true;
    }
    return false;
}

Status start_unit(const md::uuid& id, const std::string& once) {
    const once_words words(id, once);
    if (!words.written())
        return words.written();
    const std::string unit = unit_name(id);
    // The first may join a start of udev's, with the disks as they were a moment ago.
    const std::vector<std::string> start = {"--quiet", "start", unit};
    if (systemctl(start) == 0 || systemctl(start) == 0)
        return {};
    if (last_exit_code(unit) == exit_fenced)
        return with_hint(fail(EBADE, "another host has the members reserved"),
                         fmt::format("journalctl -b -u {} says which; if it is dead or cut off: "
                                     "ringraid assemble --take-over",
                                     unit));
    return with_hint(fail(EIO, "{} did not start", unit),
                     fmt::format("journalctl -b -u {} says why", unit));
}

// Not for people: packaging/udev asks.
void add_udev(CLI::App& app, context& ctx) {
    auto name = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("udev-properties", "")->group("");
    command->add_option("name", *name)->required();
    command->callback([name, &ctx] { ctx.run = [name] { return print_properties(*name); }; });
}

}  // namespace rr::cli
