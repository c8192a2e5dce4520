// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/settings.h"

namespace rr::cli {
namespace {

// By what the tree calls it, as types of values are all text there.
const std::map<std::string, offered> kinds = {
    {"array", offered::arrays},   {"device", offered::devices}, {"devices", offered::devices},
    {"member", offered::devices}, {"object", offered::files},   {"OBJECT", offered::files},
    {"FILE", offered::files},     {"STORE", offered::files},    {"--output", offered::files},
    {"--file", offered::files},   {"--config", offered::files}};

// "TEXT:{auto,bpf,user}" of CLI::IsMember.
std::vector<std::string> members_of(const std::string& type) {
    std::vector<std::string> out;
    const size_t begin = type.find('{'), end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos)
        return out;
    std::string rest = type.substr(begin + 1, end - begin - 1);
    for (size_t comma; !rest.empty(); rest.erase(0, comma)) {
        comma = std::min(rest.find(','), rest.size());
        out.push_back(rest.substr(0, comma));
        comma += comma < rest.size() ? 1 : 0;
    }
    return out;
}

completed_value value_of(const CLI::Option& option, const std::string& name) {
    if (name == "settings")
        return {offered::words, live_setting_words()};
    if (auto words = members_of(option.get_type_name()); !words.empty())
        return {offered::words, std::move(words)};
    auto kind = kinds.find(name);
    return {kind == kinds.end() ? offered::nothing : kind->second, {}};
}

completed_option option_of(const CLI::Option& option) {
    completed_option out;
    for (const std::string& name : option.get_lnames())
        out.names.push_back("--" + name);
    for (const std::string& name : option.get_snames())
        out.names.push_back("-" + name);
    out.text = option.get_description();
    out.takes_value = option.get_items_expected_max() > 0;
    if (out.takes_value && !out.names.empty())
        out.value = value_of(option, out.names[0]);
    return out;
}

void add_commands(const CLI::App& app, const std::string& words,
                  const std::vector<completed_option>& of_all,
                  std::vector<completed_command>& out) {
    completed_command command{words, app.get_description(), {}, {}, {}};
    for (const CLI::Option* option : app.get_options({})) {
        if (option->get_positional())
            command.places.push_back(
                {value_of(*option, option->get_name(true)), option->get_items_expected_max() > 1});
        else if (!option->get_group().empty())
            command.options.push_back(option_of(*option));
    }
    for (const completed_option& option : of_all) {
        const auto same = [&option](const completed_option& o) { return o.names == option.names; };
        if (std::ranges::none_of(command.options, same))
            command.options.push_back(option);
    }
    const auto below =
        app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); });
    for (const CLI::App* one : below)
        command.commands.emplace_back(one->get_name(), one->get_description());
    const std::vector<completed_option> options = command.options;
    out.push_back(std::move(command));
    for (const CLI::App* one : below)
        add_commands(*one, words.empty() ? one->get_name() : words + ' ' + one->get_name(),
                     words.empty() ? options : of_all, out);
}

std::string shell_word(const std::string& text) {
    std::string out = "'";
    for (char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + '\'';
}

// One line of a case: "'create|--engine' | 'assemble|--engine') WHAT ;;"
std::string arm(const std::vector<std::string>& patterns, const std::string& what) {
    std::vector<std::string> all;
    all.reserve(patterns.size());
    for (const std::string& pattern : patterns)
        all.push_back(shell_word(pattern));
    return patterns.empty() ? "" : fmt::format("\t{}) {} ;;\n", fmt::join(all, " | "), what);
}

// Where the cursor is: the same in both shells, but for what the words are called.
std::string find_place(const std::vector<completed_command>& commands) {
    std::vector<std::string> paths, valued;
    for (const completed_command& command : commands) {
        if (!command.words.empty()) {
            const size_t blank = command.words.find(' ');
            paths.push_back(blank == std::string::npos ? '|' + command.words
                                                       : command.words.substr(0, blank) + '|' +
                                                             command.words.substr(blank + 1));
        }
        for (const completed_option& option : command.options) {
            for (const std::string& name : option.names) {
                if (option.takes_value)
                    valued.push_back(command.words + '|' + name);
            }
        }
    }
    return "\t\tif [ -n \"$skip\" ]; then skip=''; continue; fi\n"
           "\t\tcase \"$at|$word\" in\n" +
           arm(valued, "skip=1") + "\t*'|-'*) ;;\n" + arm(paths, "at=${at:+$at }$word place=0") +
           "\t*) place=$((place + 1)) ;;\n\t\tesac\n";
}

// The cases of a value, an option and a place: @offer makes a line that offers.
template <typename Offer>
std::string offer_values(const std::vector<completed_command>& commands, const Offer& offer) {
    std::string out = "\tcase \"$at|$before\" in\n";
    for (const completed_command& command : commands) {
        for (const completed_option& option : command.options) {
            std::vector<std::string> names;
            names.reserve(option.names.size());
            for (const std::string& name : option.names)
                names.push_back(command.words + '|' + name);
            if (option.takes_value)
                out += arm(names, offer(option.value) + "return");
        }
    }
    return out + "\tesac\n";
}

template <typename Offer>
std::string offer_places(const std::vector<completed_command>& commands, const Offer& offer) {
    std::string out = "\tcase \"$at|$place\" in\n";
    for (const completed_command& command : commands) {
        for (size_t i = 0; i < command.places.size(); i++) {
            const completed_place& place = command.places[i];
            const std::string at = shell_word(command.words + '|');
            out += fmt::format("\t{}{}) {}return ;;\n", at,
                               place.repeats ? std::string("*") : std::to_string(i),
                               offer(place.value));
        }
    }
    return out + "\tesac\n";
}

constexpr const char* bash_head = R"sh(# bash completion of ringraid, by `ringraid completion bash`
_ringraid_offer() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_ringraid_arrays() {
	local f names=''
	for f in /dev/ringraid/*; do [ ! -e "$f" ] || names+="${f##*/} "; done
	_ringraid_offer "$names"
}
_ringraid_devices() { _ringraid_offer "$(lsblk -lnpo NAME 2>/dev/null)"; }
_ringraid_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
_ringraid_words() {
	_ringraid_offer "$1"
	[[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
}
_ringraid() {
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} at='' place=0 skip='' word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
)sh";

constexpr const char* zsh_head = R"sh(#compdef ringraid
# zsh completion of ringraid, by `ringraid completion zsh`
_ringraid_arrays() { local -a names; names=(/dev/ringraid/*(N:t)); compadd -a names; }
_ringraid_devices() { compadd -- ${(f)"$(lsblk -lnpo NAME 2>/dev/null)"}; }
_ringraid() {
	local before=${words[CURRENT-1]} at='' place=0 skip='' word i
	local -a offer
	for ((i = 2; i < CURRENT; i++)); do
		word=${words[i]}
)sh";

std::string bash_offer(const completed_value& value) {
    switch (value.kind) {
        case offered::words:
            return fmt::format("_ringraid_words {}; ",
                               shell_word(fmt::format("{}", fmt::join(value.words, " "))));
        case offered::arrays:
            return "_ringraid_arrays; ";
        case offered::devices:
            return "_ringraid_devices; ";
        case offered::files:
            return "_ringraid_files; ";
        case offered::nothing:
            break;
    }
    return "";
}

std::string zsh_offer(const completed_value& value) {
    switch (value.kind) {
        case offered::words: {
            std::string ends, goes_on;
            for (const std::string& word : value.words)
                (word.ends_with('=') ? goes_on : ends) += ' ' + shell_word(word);
            return (ends.empty() ? "" : "compadd --" + ends + "; ") +
                   (goes_on.empty() ? "" : "compadd -S '' --" + goes_on + "; ");
        }
        case offered::arrays:
            return "_ringraid_arrays; ";
        case offered::devices:
            return "_ringraid_devices; ";
        case offered::files:
            return "_files; ";
        case offered::nothing:
            break;
    }
    return "";
}

// "'--chunk:4K to 1M'" for _describe.
std::string described(const std::string& name, const std::string& text) {
    std::string escaped;
    for (char c : name)
        escaped += c == ':' ? std::string("\\:") : std::string(1, c);
    return ' ' + shell_word(escaped + ':' + text);
}

}  // namespace

std::vector<completed_command> completed_commands(const CLI::App& app) {
    std::vector<completed_command> out;
    add_commands(app, "", {}, out);
    return out;
}

std::string bash_completion(const std::vector<completed_command>& commands) {
    std::string options, below;
    for (const completed_command& command : commands) {
        std::string names;
        for (const completed_option& option : command.options)
            names += fmt::format("{} ", fmt::join(option.names, " "));
        options += arm({command.words}, "_ringraid_offer " + shell_word(names));
        names.clear();
        for (const auto& [name, text] : command.commands)
            names += name + ' ';
        if (!names.empty())
            below +=
                arm({command.words + "|0"}, "_ringraid_offer " + shell_word(names) + "; return");
    }
    return bash_head + find_place(commands) + "\tdone\n" + offer_values(commands, bash_offer) +
           "\tif [[ $cur = -* ]]; then\n\tcase $at in\n" + options + "\tesac\n\treturn\n\tfi\n" +
           "\tcase \"$at|$place\" in\n" + below + "\tesac\n" + offer_places(commands, bash_offer) +
           "}\ncomplete -F _ringraid ringraid\n";
}

std::string zsh_completion(const std::vector<completed_command>& commands) {
    std::string options, below;
    for (const completed_command& command : commands) {
        std::string all;
        for (const completed_option& option : command.options) {
            for (const std::string& name : option.names)
                all += described(name, option.text);
        }
        options += arm({command.words}, "offer=(" + all + " )");
        all.clear();
        for (const auto& [name, text] : command.commands)
            all += described(name, text);
        if (!all.empty())
            below += arm({command.words + "|0"},
                         "offer=(" + all + " ); _describe -t commands command offer; return");
    }
    return zsh_head + find_place(commands) + "\tdone\n" + offer_values(commands, zsh_offer) +
           "\tif [[ ${words[CURRENT]} = -* ]]; then\n\tcase $at in\n" + options +
           "\tesac\n\t_describe -o option offer; return\n\tfi\n\tcase \"$at|$place\" in\n" + below +
           "\tesac\n" + offer_places(commands, zsh_offer) +
           "}\nif [ \"$funcstack[1]\" = _ringraid ]; then _ringraid \"$@\"; else compdef _ringraid "
           "ringraid; fi\n";
}

void add_completion(CLI::App& app, context& ctx) {
    auto shell = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("completion", "print the completion for a shell");
    command->add_option("shell", *shell, "bash or zsh")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh"}));
    command->callback([&app, shell, &ctx] {
        ctx.run = [&app, shell] {
            const auto commands = completed_commands(app);
            const std::string text =
                *shell == "bash" ? bash_completion(commands) : zsh_completion(commands);
            return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
        };
    });
}

}  // namespace rr::cli
