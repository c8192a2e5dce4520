// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// ringraid upgrade ARRAY [OBJECT]: another datapath for a running array.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/io.h"
#include "base/text.h"
#include "cli/commands.h"
#include "engine/program.h"

namespace rr::cli {
namespace {

// The verifier may take its time, and the probation.
constexpr int upgrade_timeout_ms = 10 * 60 * 1000;

struct upgrade_flags {
    std::string array;
    std::string object;
    std::vector<std::string> accept;
    uint32_t probation_ms = 1000;
    bool plan = false;
    bool hold = false;
    bool commit = false;
    bool rollback = false;
};

// The program that this ringraid was built with, where the daemon can read it.
Result<std::string> offer_builtin(const std::string& array) {
    auto state = find_running(array);
    if (!state)
        return forward_error(state.error());
    std::filesystem::path file = std::filesystem::path(state->value("socket", "")).parent_path();
    file /= "offered.bpf.o";
    if (Status ok = write_file(file.string(), builtin_object()); !ok)
        return forward_error(ok.error());
    return file.string();
}

int report(const context& ctx, const upgrade_flags& flags, const nlohmann::json& answer) {
    if (ctx.json) {
        print_json(answer);
        return 0;
    }
    print_changes(answer.value("keys", nlohmann::json::array()));
    for (const nlohmann::json& kept : answer.value("kept_old", nlohmann::json::array()))
        print_line(stdout, "not carried back: {}", kept.get<std::string>());
    if (flags.commit) {
        fmt::print("version {} stays\n", answer.value("version", 0));
        return 0;
    }
    const char* did = flags.plan ? "would go" : flags.rollback ? "went back" : "went";
    fmt::print("{} from version {} to {}", did, answer.value("from_version", 0),
               answer.value("to_version", 0));
    if (!flags.plan)
        fmt::print("; requests waited {:.1f} ms",
                   static_cast<double>(answer.value("pause_ns", uint64_t{0})) / 1e6);
    fmt::print("\n");
    if (answer.value("probation", false))
        print_line(stdout, "on probation: ringraid upgrade {} --commit, or --rollback",
                   flags.array);
    return 0;
}

int upgrade(const context& ctx, const upgrade_flags& flags) {
    nlohmann::json request = {{"command", "upgrade"},
                              {"what", flags.commit     ? "commit"
                                       : flags.rollback ? "rollback"
                                       : flags.plan     ? "plan"
                                                        : "apply"},
                              {"accept", flags.accept},
                              {"probation_ms", flags.probation_ms},
                              {"hold", flags.hold}};
    if (!flags.commit && !flags.rollback) {
        auto offered = flags.object.empty()
                           ? offer_builtin(flags.array)
                           : Result<std::string>(std::filesystem::absolute(flags.object).string());
        if (!offered)
            return print_error(ctx, offered.error());
        request["object"] = *offered;
    }
    auto answer = ask_array(flags.array, request, upgrade_timeout_ms);
    if (!answer)
        return print_error(ctx, answer.error());
    return report(ctx, flags, *answer);
}

}  // namespace

void add_upgrade(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<upgrade_flags>();
    CLI::App* command =
        app.add_subcommand("upgrade", "give a running array another BPF program, under load");
    command->add_option("array", flags->array, "name, uuid or block device")->required();
    CLI::Option* object = command->add_option(
        "object", flags->object, "a .bpf.o file (default: the one this ringraid was built with)");
    command->add_option("--accept", flags->accept,
                        "let this key of the KV store lose what it must");
    command->add_option("--probation-ms", flags->probation_ms,
                        "watch it so long before it is committed (default 1000)");
    CLI::Option* plan = command->add_flag("--plan", flags->plan, "say what would change");
    CLI::Option* hold =
        command->add_flag("--hold", flags->hold, "leave it on probation until told otherwise");
    CLI::Option* commit = command->add_flag("--commit", flags->commit, "end the probation");
    CLI::Option* back = command->add_flag("--rollback", flags->rollback, "the old version again");
    for (CLI::Option* other : {object, plan, hold, back})
        commit->excludes(other);
    for (CLI::Option* other : {object, plan, hold})
        back->excludes(other);
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return upgrade(ctx, *flags); }; });
}

}  // namespace rr::cli
