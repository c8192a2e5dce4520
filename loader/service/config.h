// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// /etc/ringraid/ringraid.conf and conf.d/*.conf: what starts and watches do by default.
//
//   [array]             # all arrays
//   sync-max = 51200
//   [array data]        # the array of this name, with or without its host, or uuid
//   queues = 2
//   [monitor]
//   mail = root
//
// Sections and lines "key = value", as inih reads them. The main file first, then those
// of conf.d by name. Of several lines for one setting the one for the array's uuid
// counts, then the one for its name, then the one for all; of equals the last.
//
// A line that is wrong is a problem, with its file and number, and counts as not there:
// a start at boot goes on with what is right, and says what is not. `ringraid config`
// fails on it. The tables below are all that there is: the check, `ringraid config` and
// a test of the manual page go by them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace rr {

inline constexpr const char* config_file = "/etc/ringraid/ringraid.conf";
inline constexpr const char* config_directory = "/etc/ringraid/conf.d";

struct setting_rule {
    enum class kind : uint8_t { number, size, duration, choice, text, path };
    const char* name = "";
    kind is = kind::text;
    const char* standard = "";  // empty: the program decides
    const char* what = "";      // of a choice its words, else what people are told
    double least = 0, most = 0;
};

std::span<const setting_rule> array_settings();
std::span<const setting_rule> monitor_settings();
std::span<const setting_rule> check_settings();

struct setting {
    std::string value;
    std::string from;  // FILE:LINE, or empty: the default
};
using settings_map = std::map<std::string, setting>;

struct config_problem {
    std::string where;  // FILE:LINE
    std::string what;
    std::string hint;
};

class config {
public:
    // All settings, with defaults. @name: "host:name", "name", or empty; @uuid likewise.
    [[nodiscard]] settings_map array(const std::string& name, const std::string& uuid) const;
    [[nodiscard]] settings_map monitor() const;
    [[nodiscard]] settings_map check() const;
    // Names and uuids that sections are for, as they are written there.
    [[nodiscard]] std::vector<std::string> named() const;

    [[nodiscard]] const std::vector<config_problem>& problems() const { return problems_; }
    [[nodiscard]] const std::vector<std::string>& files() const { return files_; }

    // Adds what @text says, as @file.
    void read(const std::string& text, const std::string& file);
    // Adds a file. One that is not there is none; one that cannot be read is a problem.
    void read_file(const std::string& path);

private:
    struct line {
        std::string section;  // "array", "array NAME", "monitor"
        std::string key;
        setting value;
    };
    struct reading;
    static char* next_line(char* into, int room, void* user);
    static int take(void* user, const char* section, const char* key, const char* value);
    void problem(const std::string& where, std::string what, std::string hint);
    [[nodiscard]] settings_map of(std::span<const setting_rule> rules,
                                  const std::vector<std::string>& sections) const;

    std::vector<line> lines_;
    std::vector<config_problem> problems_;
    std::vector<std::string> files_;
};

// The machine's.
config read_config();

// Why @value does not do for @rule; empty: it does.
std::string flaw_of(const setting_rule& rule, const std::string& value);

}  // namespace rr
