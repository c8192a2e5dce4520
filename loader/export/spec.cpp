// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/spec.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "md/superblock.h"
#include "service/ownership.h"
#include "service/paths.h"

namespace rr {
namespace {

constexpr size_t name_most = 64;
// Both of NVMe and of iSCSI.
constexpr size_t target_most = 223;
constexpr uint16_t queues_most = 64;

// What a kind has.
struct kind_rule {
    export_kind kind;
    const char* word;
    uint16_t port;  // its own; 0: it is not for the network
    bool hosts;     // clients have names
    bool path;      // takes a path
    bool queues;
};

constexpr std::array<kind_rule, 6> rules = {{
    {export_kind::nvme_tcp, "nvme-tcp", 4420, true, false, false},
    {export_kind::nbd, "nbd", 10809, false, true, false},
    {export_kind::iscsi, "iscsi", 3260, true, false, false},
    {export_kind::vhost_user, "vhost-user", 0, false, true, true},
    {export_kind::vduse, "vduse", 0, false, false, true},
    {export_kind::fuse, "fuse", 0, false, true, false},
}};

const kind_rule& rule_of(export_kind kind) {
    return rules[static_cast<size_t>(kind)];
}

bool is_made_of(const std::string& text, const char* marks) {
    return std::ranges::all_of(text, [marks](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string_view(marks).find(c) != std::string_view::npos;
    });
}

Status check_name(const std::string& name) {
    if (name.empty() || name.size() > name_most || !is_made_of(name, "._-") ||
        std::isalnum(static_cast<unsigned char>(name[0])) == 0)
        return with_hint(fail(EINVAL, "'{}' is no name of an export", name),
                         fmt::format("letters, digits, '.', '_' and '-', at most {}, the first a "
                                     "letter or a digit: --name",
                                     name_most));
    return {};
}

// A directory of configfs, so no slash and no ".."; a word, so no blank.
Status check_nqn(const std::string& nqn) {
    if (!nqn.starts_with("nqn.") || nqn.size() > target_most || !is_made_of(nqn, ".:-_"))
        return with_hint(fail(EINVAL, "'{}' is no NVMe qualified name", nqn),
                         "as nqn.2014-08.org.nvmexpress:uuid:UUID; a client has its own in "
                         "/etc/nvme/hostnqn");
    return {};
}

Status check_iqn(const std::string& iqn) {
    const bool begins =
        iqn.starts_with("iqn.") || iqn.starts_with("naa.") || iqn.starts_with("eui.");
    const bool lower = std::ranges::none_of(
        iqn, [](char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; });
    if (!begins || !lower || iqn.size() > target_most || !is_made_of(iqn, ".:-"))
        return with_hint(fail(EINVAL, "'{}' is no iSCSI name", iqn),
                         "as iqn.2026-01.org.example:data, in lower case; a client has its own in "
                         "/etc/iscsi/initiatorname.iscsi");
    return {};
}

Status check_target(export_kind kind, const std::string& target) {
    switch (kind) {
        case export_kind::nvme_tcp:
            return check_nqn(target);
        case export_kind::iscsi:
            return check_iqn(target);
        default:
            return check_name(target);
    }
}

bool is_address(const std::string& text) {
    std::array<uint8_t, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

// Only this machine gets there.
bool is_local(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

Status check_path(const std::string& path, bool is_socket) {
    if (!path.starts_with('/') || !is_made_of(path, "/._-+@:") || path.ends_with('/'))
        return with_hint(fail(EINVAL, "'{}' is no path that can be used here", path),
                         "from the root, of letters, digits and /._-+@:");
    if (is_socket && path.size() >= sizeof(sockaddr_un::sun_path))
        return with_hint(fail(ENAMETOOLONG, "{}", path), "a socket's path has 107 bytes at most");
    return {};
}

std::string default_target(const export_spec& spec) {
    const std::string uuid = uuid_of(spec);
    switch (spec.kind) {
        case export_kind::nvme_tcp:
            return "nqn.2014-08.org.nvmexpress:uuid:" + uuid;
        case export_kind::iscsi:
            return "iqn.2003-01.org.linux-iscsi.ringraid:" + uuid;
        case export_kind::nbd:
            return spec.name;
        default:
            return "";
    }
}

// "data-nbd" of "host:data".
std::string default_name(const export_spec& spec) {
    const std::string link = link_path(spec.array_name);
    return link.substr(link.rfind('/') + 1) + '-' + to_string(spec.kind);
}

Status refuse_senseless(const export_spec& spec) {
    const kind_rule& rule = rule_of(spec.kind);
    const std::array<std::pair<bool, const char*>, 6> given = {{
        {rule.port == 0 && (!spec.address.empty() || spec.port != 0), "--address and --port"},
        {!rule.hosts && !spec.hosts.empty(), "--host"},
        {rule.port == 0 && spec.any_host, "--any-host"},
        {!rule.path && !spec.path.empty(), "--path"},
        {!rule.queues && spec.queues > 1, "--queues"},
        {spec.kind != export_kind::vduse && !spec.driver.empty(), "--driver"},
    }};
    for (const auto& [senseless, what] : given) {
        if (senseless)
            return with_hint(fail(EINVAL, "{} has no {}", rule.word, what),
                             "ringraid export --help");
    }
    if (rule.port == 0 && !spec.target.empty())
        return with_hint(fail(EINVAL, "{} has no --target", rule.word), "--name names it");
    if (!spec.path.empty() && !spec.address.empty())
        return with_hint(fail(EINVAL, "a path and an address"), "name one of them");
    return {};
}

void fill_in(export_spec& spec) {
    const kind_rule& rule = rule_of(spec.kind);
    if (spec.name.empty())
        spec.name = default_name(spec);
    if (spec.target.empty())
        spec.target = default_target(spec);
    if (rule.port != 0 && spec.path.empty()) {
        if (spec.address.empty())
            spec.address = "127.0.0.1";
        if (spec.port == 0)
            spec.port = rule.port;
    }
    if (spec.kind == export_kind::vhost_user && spec.path.empty())
        spec.path = fmt::format("{}/exports/{}.sock", run_directory, spec.name);
    if (spec.kind == export_kind::fuse && spec.path.empty())
        spec.path = fmt::format("{}/exports/{}.img", run_directory, spec.name);
    if (spec.kind == export_kind::vduse && spec.driver.empty())
        spec.driver = "virtio_vdpa";
    // Who reaches the address may connect, where clients have no names, or none are told.
    if (rule.port != 0 && spec.hosts.empty() && spec.address.empty())
        spec.any_host = true;
    if (is_local(spec.address) && spec.hosts.empty())
        spec.any_host = true;
}

Status check_network(const export_spec& spec) {
    if (spec.address.empty())
        return {};
    const kind_rule& rule = rule_of(spec.kind);
    if (!is_address(spec.address))
        return with_hint(fail(EINVAL, "'{}' is no address", spec.address),
                         "an IPv4 or IPv6 address of this machine, no name");
    for (const std::string& host : spec.hosts) {
        if (Status ok = check_target(spec.kind, host); !ok)
            return ok;
    }
    if (!spec.hosts.empty() && spec.any_host)
        return with_hint(fail(EINVAL, "--host and --any-host"), "use one of them");
    if (spec.hosts.empty() && !spec.any_host)
        return with_hint(
            fail(EPERM, "{} would be open to whoever reaches {}", spec.name, spec.address),
            rule.hosts ? "say who may connect: --host NAME, or --any-host"
                       : "its clients have no names; --any-host if that network is only yours");
    return {};
}

}  // namespace

const std::vector<std::string>& export_kinds() {
    static const std::vector<std::string> words = [] {
        std::vector<std::string> out;
        out.reserve(rules.size());
        for (const kind_rule& rule : rules)
            out.emplace_back(rule.word);
        return out;
    }();
    return words;
}

std::string to_string(export_kind kind) {
    return rule_of(kind).word;
}

Result<export_kind> parse_export_kind(const std::string& word) {
    for (const kind_rule& rule : rules) {
        if (word == rule.word)
            return rule.kind;
    }
    return with_hint(fail(EINVAL, "'{}' is no kind of export", word),
                     fmt::format("{}", fmt::join(export_kinds(), ", ")));
}

Status complete(export_spec& spec) {
    if (Status ok = refuse_senseless(spec); !ok)
        return ok;
    fill_in(spec);
    if (Status ok = check_name(spec.name); !ok)
        return ok;
    if (!spec.target.empty()) {
        if (Status ok = check_target(spec.kind, spec.target); !ok)
            return ok;
    }
    if (!spec.path.empty()) {
        if (Status ok = check_path(spec.path, spec.kind != export_kind::fuse); !ok)
            return ok;
    }
    if (spec.queues == 0 || spec.queues > queues_most)
        return with_hint(fail(EINVAL, "{} queues", spec.queues),
                         fmt::format("from 1 to {}", queues_most));
    if (!spec.driver.empty() && spec.driver != "virtio_vdpa" && spec.driver != "vhost_vdpa")
        return with_hint(fail(EINVAL, "no driver {}", spec.driver), "virtio_vdpa or vhost_vdpa");
    return check_network(spec);
}

nlohmann::json to_json(const export_spec& spec) {
    return {{"name", spec.name},         {"kind", to_string(spec.kind)},
            {"array", spec.array},       {"array_name", spec.array_name},
            {"target", spec.target},     {"address", spec.address},
            {"port", spec.port},         {"hosts", spec.hosts},
            {"any_host", spec.any_host}, {"path", spec.path},
            {"queues", spec.queues},     {"driver", spec.driver}};
}

Result<export_spec> export_of_json(const nlohmann::json& from) {
    try {
        auto kind = parse_export_kind(from.at("kind"));
        if (!kind)
            return forward_error(kind.error());
        export_spec spec;
        spec.kind = *kind;
        from.at("name").get_to(spec.name);
        from.at("array").get_to(spec.array);
        from.at("array_name").get_to(spec.array_name);
        from.at("target").get_to(spec.target);
        from.at("address").get_to(spec.address);
        from.at("port").get_to(spec.port);
        from.at("hosts").get_to(spec.hosts);
        from.at("any_host").get_to(spec.any_host);
        from.at("path").get_to(spec.path);
        from.at("queues").get_to(spec.queues);
        from.at("driver").get_to(spec.driver);
        if (Status ok = complete(spec); !ok)
            return forward_error(ok.error());
        return spec;
    } catch (const nlohmann::json::exception&) {
        return fail(EINVAL, "no record of an export");
    }
}

std::string command_line(const export_spec& spec) {
    std::string out = fmt::format("{} {} --name {}", spec.array, to_string(spec.kind), spec.name);
    const std::array<std::pair<const char*, std::string>, 5> values = {{
        {"--target", spec.target},
        {"--address", spec.address},
        {"--path", spec.path},
        {"--driver", spec.driver},
        {"--port", spec.port != 0 ? fmt::format("{}", spec.port) : ""},
    }};
    for (const auto& [option, value] : values) {
        if (!value.empty())
            out += fmt::format(" {} {}", option, value);
    }
    if (spec.queues > 1)
        out += fmt::format(" --queues {}", spec.queues);
    for (const std::string& host : spec.hosts)
        out += " --host " + host;
    if (spec.any_host)
        out += " --any-host";
    return out;
}

std::string uuid_of(const export_spec& spec) {
    auto id = md::parse_uuid(spec.array);
    return id ? blkid_form(*id) : spec.array;
}

std::string endpoint_of(const export_spec& spec) {
    return spec.address.find(':') == std::string::npos
               ? fmt::format("{}:{}", spec.address, spec.port)
               : fmt::format("[{}]:{}", spec.address, spec.port);
}

std::string place_of(const export_spec& spec) {
    std::string where = spec.path;
    if (!spec.address.empty())
        where = endpoint_of(spec);
    if (where.empty())
        return spec.name;
    return spec.target.empty() ? where : spec.target + " at " + where;
}

}  // namespace rr
