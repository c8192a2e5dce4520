// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an array says of itself, for people: on a terminal, in a file, in a mail.
//
// Colours are for terminals only, and for none where NO_COLOR is set or TERM is "dumb".
// Text of others is made printable before a colour is put around it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace rr::cli {

struct text_style {
    bool colour = false;
};

// Of what standard output is.
text_style style_of_output();

enum class tone : uint8_t { plain, good, warning, bad, faint };
// "healthy" is good, "degraded" a warning.
tone tone_of(const std::string& state);
// @text, printable, in its colour.
std::string paint(const std::string& text, tone how, const text_style& style);

// "[UU_U]", as /proc/mdstat has it: a letter for each member.
std::string member_letters(const nlohmann::json& status);
// "[=====>..............]"
std::string bar(double percent, int width);
// What job runs, on one line; empty: none does.
std::string job_line(const nlohmann::json& status);

// Lines, each with its end.
std::string status_text(const nlohmann::json& status, const text_style& style);

}  // namespace rr::cli
