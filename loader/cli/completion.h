// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a shell may offer behind `ringraid`, from the command tree itself: a command, an
// option or a value that is added there is offered, and what is not there cannot be.
//
// The tree is read into a list of commands, which two printers write as tables of a
// shell function. What is only known when the key is pressed, the function looks up:
// arrays in /dev/ringraid, devices by lsblk. It never starts ringraid.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace rr::cli {

enum class offered : uint8_t { nothing, words, arrays, devices, files };

struct completed_value {
    offered kind = offered::nothing;
    std::vector<std::string> words;  // one that ends in '=' goes on
};

struct completed_option {
    std::vector<std::string> names;  // "--follow", "-f"
    std::string text;
    bool takes_value = false;
    completed_value value;
};

struct completed_place {
    completed_value value;
    bool repeats = false;  // this one, for all that follow
};

struct completed_command {
    std::string words;  // "store get"; empty: the program itself
    std::string text;
    std::vector<completed_option> options;
    std::vector<completed_place> places;
    std::vector<std::pair<std::string, std::string>> commands;  // below it: name and text
};

// The program first, then each command that people see.
std::vector<completed_command> completed_commands(const CLI::App& app);

std::string bash_completion(const std::vector<completed_command>& commands);
std::string zsh_completion(const std::vector<completed_command>& commands);

}  // namespace rr::cli
