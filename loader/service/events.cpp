// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/events.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/log.h"
#include "service/places.h"
#include "service/report.h"

namespace rr {
namespace {

std::string time_now() {
    using namespace std::chrono;
    const auto now = system_clock::now().time_since_epoch();
    const time_t whole = duration_cast<seconds>(now).count();
    tm parts{};
    ::gmtime_r(&whole, &parts);
    std::array<char, 32> text{};
    (void)std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    return fmt::format("{}.{:03}Z", text.data(), duration_cast<milliseconds>(now).count() % 1000);
}

Fd open_events(const std::string& path, int flags) {
    return Fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
}

bool is_same_file(int fd, const std::string& path) {
    struct stat held{}, there{};
    return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &there) == 0 &&
           held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

// The size, of a regular file.
Result<uint64_t> size_of(const Fd& file, const std::string& path) {
    struct stat about{};
    if (!file || ::fstat(file.get(), &about) != 0)
        return fail(errno, "cannot open {}", path);
    if (!S_ISREG(about.st_mode))
        return fail(EINVAL, "{} is no file", path);
    return static_cast<uint64_t>(about.st_size);
}

// A line of which a part was written would spoil the next one.
Status append_whole(const Fd& file, uint64_t size, const std::string& line) {
    const ssize_t n = ::write(file.get(), line.data(), line.size());
    if (n == static_cast<ssize_t>(line.size()))
        return {};
    const int err = n < 0 ? errno : ENOSPC;
    if (n > 0)
        (void)!::ftruncate(file.get(), static_cast<off_t>(size));
    return fail(err, "cannot write it");
}

// Nothing of a line of whose writer nobody knows how far it came.
bool ends_a_line(const Fd& file, uint64_t size) {
    char last = '\n';
    return size == 0 || ::pread(file.get(), &last, 1, static_cast<off_t>(size - 1)) != 1 ||
           last == '\n';
}

}  // namespace

std::string events_before(const std::string& path) {
    return path + ".old";
}

nlohmann::json make_event(const std::string& event, const nlohmann::json& about,
                          const nlohmann::json& more) {
    nlohmann::json out = about;
    out.update(more);
    out["schema"] = json_schema;
    out["time"] = time_now();
    out["event"] = event;
    return out;
}

Status append_event(const std::string& path, const nlohmann::json& event, size_t bytes_most) {
    const std::string line = to_line(event) + '\n';
    Fd file = open_events(path, O_RDWR | O_APPEND | O_CREAT);
    auto size = size_of(file, path);
    if (size && *size != 0 && *size + line.size() > bytes_most) {
        if (::rename(path.c_str(), events_before(path).c_str()) != 0)
            return fail(errno, "cannot rename {}", path);
        file = open_events(path, O_RDWR | O_APPEND | O_CREAT);
        size = size_of(file, path);
    }
    if (!size)
        return forward_error(size.error());
    return append_whole(file, *size, ends_a_line(file, *size) ? line : '\n' + line);
}

event_log::event_log(std::string path, nlohmann::json about)
    : path_(std::move(path)), about_(std::move(about)) {}

void event_log::add(const std::string& event, const nlohmann::json& more) {
    const bool taken =
        scribe_.post([path = path_, line = make_event(event, about_, more), lost = lost_] {
            Status written = append_event(path, line);
            if (!lost->exchange(!written) && !written)
                log_error("events are lost: {}", describe(written.error()));
        });
    if (!taken)
        lost_->store(true);
}

event_reader::event_reader(std::string path, const event_place& from) : path_(std::move(path)) {
    for (const std::string& one : {events_before(path_), path_}) {
        Fd file = open_events(one, O_RDONLY);
        struct stat about{};
        if (from.inode == 0 || !file || ::fstat(file.get(), &about) != 0 ||
            about.st_dev != from.device || about.st_ino != from.inode ||
            static_cast<uint64_t>(about.st_size) < from.offset || !ends_a_line(file, from.offset))
            continue;
        file_ = std::move(file);
        place_ = from;
        at_ = from.offset;
        return;
    }
}

void event_reader::read_on(std::vector<event_line>& lines) {
    std::array<char, 16384> part{};
    struct stat about{};
    // A writer took back what it had no room for.
    if (::fstat(file_.get(), &about) == 0 && static_cast<uint64_t>(about.st_size) < at_) {
        at_ = static_cast<uint64_t>(about.st_size);
        rest_.clear();
    }
    ssize_t n;
    while ((n = ::pread(file_.get(), part.data(), part.size(), static_cast<off_t>(at_))) > 0) {
        at_ += static_cast<uint64_t>(n);
        rest_.append(part.data(), static_cast<size_t>(n));
    }
    size_t begin = 0;
    const uint64_t rest_at = at_ - rest_.size();
    for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
        place_.offset = rest_at + end + 1;
        if (end > begin)
            lines.push_back({rest_.substr(begin, end - begin), place_});
    }
    rest_.erase(0, begin);
}

// Opens the file that comes after the one that is open. False: there is none.
bool event_reader::move_on() {
    const std::string before = events_before(path_);
    const bool was_read = file_ && is_same_file(file_.get(), before);
    Fd next = was_read ? Fd() : open_events(before, O_RDONLY);
    if (!next)
        next = open_events(path_, O_RDONLY);
    if (!next)
        return false;
    struct stat about{};
    if (::fstat(next.get(), &about) != 0)
        return false;
    file_ = std::move(next);
    place_ = {about.st_dev, about.st_ino, 0};
    at_ = 0;
    rest_.clear();
    return true;
}

std::vector<std::string> event_reader::more() {
    std::vector<std::string> out;
    for (event_line& line : more_lines())
        out.push_back(std::move(line.text));
    return out;
}

std::vector<event_line> event_reader::more_lines() {
    std::vector<event_line> lines;
    for (;;) {
        // Looked at before it is read: nothing is added to one that has lost its name.
        const bool is_last = file_ && is_same_file(file_.get(), path_);
        if (file_)
            read_on(lines);
        if (is_last || !move_on())
            return lines;
    }
}

member_news::standing member_news::of(const rr_array& array, uint32_t role) {
    const uint64_t state = __atomic_load_n(&array.state, __ATOMIC_SEQ_CST);
    if ((state >> role & 1) != 0)
        return (state & RR_STATE_REBUILD) != 0 ? standing::rebuilding : standing::out;
    // The second one that failed is in no mask: it has only its error.
    return (state & RR_STATE_BROKEN) != 0 && array.members[role].error != 0 ? standing::out
                                                                            : standing::active;
}

member_news::member_news(const rr_array& array) {
    for (uint32_t role = 0; role < array.geometry.members; role++)
        known_.at(role) = of(array, role);
}

void member_news::heard(const std::string& event, uint32_t role) {
    if (event == "RebuildStarted")
        known_.at(role) = standing::rebuilding;
    else if (event == "SpareActive")
        known_.at(role) = standing::active;
}

std::vector<member_news::item> member_news::look(const rr_array& array) {
    std::vector<item> news;
    for (uint32_t role = 0; role < array.geometry.members; role++) {
        const standing now = of(array, role);
        const standing before = std::exchange(known_.at(role), now);
        if (now == standing::out && before == standing::active)
            news.push_back({"Fail", role});
        else if (now == standing::out && before == standing::rebuilding)
            news.push_back({"FailSpare", role});
    }
    return news;
}

}  // namespace rr
