// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What --help prints: of one screen of 80 columns, without what CLI11 says of types.
#include <algorithm>
#include <map>

#include "cli/commands.h"

namespace rr::cli {
namespace {

// By the words of a command; a test wants one of each.
const std::map<std::string, const char*> examples = {
    {"", "ringraid create data /dev/sd[b-e] && mkfs.ext4 /dev/ringraid/data"},
    {"create", "ringraid create data /dev/sdb /dev/sdc /dev/sdd /dev/sde"},
    {"assemble", "ringraid assemble --scan"},
    {"stop", "umount /srv && ringraid stop data"},
    {"fail", "ringraid fail data /dev/sdc"},
    {"status", "ringraid --json status data | jq .state"},
    {"stats", "ringraid stats data | grep -v ' : 0$'"},
    {"examine", "ringraid examine /dev/sdb"},
    {"features", "ringraid features"},
    {"fence-clear", "ringraid fence-clear /dev/nvme[1-4]n1"},
    {"add", "ringraid add data /dev/sdf && ringraid watch data"},
    {"remove", "ringraid remove data /dev/sdc"},
    {"replace", "ringraid replace data /dev/sdc --with /dev/sdg --wait"},
    {"check", "ringraid check data --wait"},
    {"repair", "ringraid repair data --wait"},
    {"pause", "ringraid pause data"},
    {"resume", "ringraid resume data"},
    {"cancel", "ringraid cancel data"},
    {"set", "ringraid set data sync-max=51200"},
    {"wait", "ringraid wait data && echo healthy"},
    {"watch", "ringraid watch data"},
    {"events", "ringraid events data --follow"},
    {"monitor", "ringraid monitor --test"},
    {"top", "ringraid top --interval 1"},
    {"release", "ringraid stop data && ringraid release data"},
    {"handover", "ringraid handover data"},
    {"upgrade", "ringraid upgrade data --plan"},
    {"export", "ringraid export data nvme-tcp --address 10.0.0.1 --host NQN"},
    {"unexport", "ringraid unexport data-nvme-tcp"},
    {"exports", "ringraid exports"},
    {"config", "ringraid config"},
    {"completion", "ringraid completion bash >/etc/bash_completion.d/ringraid"},
    {"store", "ringraid store dump /sys/fs/bpf/ringraid/UUID/store"},
    {"store init", "ringraid store init /sys/fs/bpf/mine app.bpf.o"},
    {"store bake", "ringraid store bake /sys/fs/bpf/mine app.bpf.o -o baked.bpf.o"},
    {"store dump", "ringraid store dump /sys/fs/bpf/mine"},
    {"store get", "ringraid store get /sys/fs/bpf/mine limits"},
    {"store set", "ringraid store set /sys/fs/bpf/mine limits '{\"most\": 4}'"},
    {"store make", "ringraid store make /sys/fs/bpf/mine 17 00000000 --atomic"},
    {"store delete", "ringraid store delete /sys/fs/bpf/mine 17"},
    {"store diff", "ringraid store diff /sys/fs/bpf/mine new.bpf.o"},
    {"store plan", "ringraid store plan /sys/fs/bpf/mine new.bpf.o"},
    {"store apply", "ringraid store apply /sys/fs/bpf/mine new.bpf.o --link /sys/fs/bpf/l"},
    {"store compact", "ringraid store compact /sys/fs/bpf/mine --parked"},
    {"store rollback", "ringraid store rollback /sys/fs/bpf/mine"},
    {"store commit", "ringraid store commit /sys/fs/bpf/mine"},
    {"store recover", "ringraid store recover /sys/fs/bpf/mine"},
    {"store verify", "ringraid store verify /sys/fs/bpf/mine"},
    {"store export", "ringraid store export /sys/fs/bpf/mine mine.json"},
    {"store import", "ringraid store import /sys/fs/bpf/mine mine.json"},
};

constexpr size_t columns = 80;
constexpr size_t left_most = 24;

// "  NAME   TEXT", the text wrapped behind a column of @left.
std::string row(const std::string& name, const std::string& text, size_t left) {
    std::string out = fmt::format("  {:<{}}", name, left);
    size_t used = out.size();
    if (name.size() >= left && !text.empty()) {
        out += '\n' + std::string(left + 2, ' ');
        used = left + 2;
    }
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size());
        if (used + (end - at) > columns && used > left + 2) {
            out.pop_back();
            out += '\n' + std::string(left + 2, ' ');
            used = left + 2;
        }
        out += text.substr(at, end - at) + (end < text.size() ? " " : "");
        used += end - at + 1;
        at = end + 1;
    }
    while (out.ends_with(' '))
        out.pop_back();
    return out + '\n';
}

std::string name_of(const CLI::Option& option) {
    std::string names;
    for (const std::string& name : option.get_snames())
        names += "-" + name + ", ";
    for (const std::string& name : option.get_lnames())
        names += "--" + name + ", ";
    names.resize(names.size() - std::min<size_t>(names.size(), 2));
    return option.get_items_expected_max() > 0 ? names + " X" : names;
}

std::string place_of(const CLI::Option& option) {
    const std::string dots = option.get_items_expected_max() > 1 ? "..." : "";
    const std::string name = option.get_name(true) + dots;
    return option.get_required() ? name : '[' + name + ']';
}

using rows = std::vector<std::pair<std::string, std::string>>;

std::string table(const rows& all) {
    size_t left = 0;
    for (const auto& [name, text] : all)
        left = std::max(left, name.size() + 2);
    std::string out;
    for (const auto& [name, text] : all)
        out += row(name, text, std::min(left, left_most));
    return out;
}

// "store get"; empty: the program.
std::string words_of(const CLI::App& app) {
    if (app.get_parent() == nullptr)
        return "";
    const std::string before = words_of(*app.get_parent());
    return before.empty() ? app.get_name() : before + ' ' + app.get_name();
}

std::string help(const CLI::App& app, const std::string& name) {
    rows places, options, commands;
    std::string usage = "usage: " + name;
    for (const CLI::Option* option : app.get_options({})) {
        if (option->get_positional())
            places.emplace_back(place_of(*option), option->get_description());
        else if (!option->get_group().empty())
            options.emplace_back(name_of(*option), option->get_description());
    }
    for (const CLI::App* below : app.get_subcommands(nullptr)) {
        if (!below->get_group().empty())
            commands.emplace_back(below->get_name(), below->get_description());
    }
    usage += options.size() > 1 ? " [OPTIONS]" : "";
    for (const auto& [place, text] : places)
        usage += ' ' + place;
    usage += commands.empty() ? "" : " COMMAND";
    std::string out = usage + '\n' + app.get_description() + '\n';
    for (const rows& all : {places, options, commands})
        out += table(all);
    if (auto example = examples.find(words_of(app)); example != examples.end())
        out += std::string("example: ") + example->second + '\n';
    return out;
}

}  // namespace

void use_short_help(CLI::App& app) {
    app.formatter_fn([](const CLI::App* of, const std::string& name, CLI::AppFormatMode /*mode*/) {
        return help(*of, name);
    });
}

}  // namespace rr::cli
