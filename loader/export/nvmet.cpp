// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/nvmet.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "export/configfs.h"

namespace rr::nvmet {
namespace {

constexpr unsigned port_base = 0x7200;
constexpr unsigned port_last = 0x72ff;
constexpr size_t serial_most = 20;

std::string tree(const std::string& below) {
    return fmt::format("{}/nvmet/{}", configfs::root, below);
}
std::string subsystem_of(const export_spec& spec) {
    return tree("subsystems/" + spec.target);
}
std::string namespace_of(const export_spec& spec) {
    return subsystem_of(spec) + "/namespaces/1";
}
std::string family_of(const std::string& address) {
    return address.find(':') == std::string::npos ? "ipv4" : "ipv6";
}

bool is_ours(const std::string& port) {
    unsigned number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    return number >= port_base && number <= port_last;
}

// Empty: none listens there.
std::string port_at(const export_spec& spec) {
    for (const std::string& port : configfs::names(tree("ports"))) {
        const std::string path = tree("ports/" + port);
        if (configfs::read(path + "/addr_trtype") == "tcp" &&
            configfs::read(path + "/addr_traddr") == spec.address &&
            configfs::read(path + "/addr_trsvcid") == fmt::format("{}", spec.port))
            return path;
    }
    return "";
}

Result<std::string> new_port(steps& undo, const export_spec& spec) {
    for (unsigned n = port_base; n <= port_last; n++) {
        std::string path = tree(fmt::format("ports/{}", n));
        Status made = configfs::group(undo, path);
        if (!made && made.error().err == EEXIST)
            continue;
        if (!made)
            return forward_error(made.error());
        made = configfs::write_all(path, {{"addr_trtype", "tcp"},
                                          {"addr_adrfam", family_of(spec.address)},
                                          {"addr_traddr", spec.address},
                                          {"addr_trsvcid", fmt::format("{}", spec.port)}});
        if (!made)
            return forward_error(made.error());
        return path;
    }
    return fail(ENOSPC, "all ports from {} to {} are there", port_base, port_last);
}

Status listen(steps& undo, const export_spec& spec) {
    std::string port = port_at(spec);
    if (port.empty()) {
        auto fresh = new_port(undo, spec);
        if (!fresh)
            return forward_error(fresh.error());
        port = *fresh;
    }
    Status linked = configfs::link(undo, subsystem_of(spec), port + "/subsystems/" + spec.target);
    if (!linked)
        return with_hint(fail(linked.error().err, "cannot listen at {}", endpoint_of(spec)),
                         "is the address this machine's, and the port free? ss -ltn");
    return {};
}

Status make_subsystem(steps& undo, const export_spec& spec) {
    const std::string path = subsystem_of(spec);
    Status made = configfs::group(undo, path);
    if (!made && made.error().err == EEXIST)
        return with_hint(
            fail(EEXIST, "there is a subsystem {}, and it is not ringraid's", spec.target),
            "use another --target, or remove it: nvmetcli, Pacemaker");
    if (!made)
        return made;
    std::string serial = uuid_of(spec);
    std::erase(serial, '-');
    return configfs::write_all(path, {{"attr_allow_any_host", spec.any_host ? "1" : "0"},
                                      {"attr_serial", serial.substr(0, serial_most)},
                                      {"attr_model", "ringraid"}});
}

Status allow(steps& undo, const export_spec& spec) {
    for (const std::string& host : spec.hosts) {
        const std::string path = tree("hosts/" + host);
        if (!configfs::is_there(path)) {
            if (Status ok = configfs::group(undo, path); !ok)
                return ok;
        }
        if (Status ok = configfs::link(undo, path, subsystem_of(spec) + "/allowed_hosts/" + host);
            !ok)
            return ok;
    }
    return {};
}

Status enable(steps& undo, const export_spec& spec, const std::string& block_device) {
    const std::string path = namespace_of(spec);
    if (Status ok = configfs::group(undo, path); !ok)
        return ok;
    Status set =
        configfs::write_all(path, {{"device_path", block_device}, {"device_uuid", uuid_of(spec)}});
    if (!set)
        return set;
    return configfs::set(undo, path + "/enable", "1", "0");
}

// By all ports that do.
Status offer_no_more(const std::string& subsystem) {
    for (const std::string& port : configfs::names(tree("ports"))) {
        if (Status ok = configfs::remove_link(tree("ports/" + port + "/subsystems/" + subsystem));
            !ok)
            return ok;
    }
    return {};
}

// Ports of ours that offer nothing else end.
Status stop_listening(const export_spec& spec) {
    if (Status ok = offer_no_more(spec.target); !ok)
        return ok;
    for (const std::string& port : configfs::names(tree("ports"))) {
        const std::string offered = tree("ports/" + port + "/subsystems");
        if (is_ours(port) && configfs::names(offered).empty()) {
            if (Status ok = configfs::remove_group(tree("ports/" + port)); !ok)
                return ok;
        }
    }
    return {};
}

// 0: it is no block device.
dev_t number_of(const std::string& path) {
    struct stat about{};
    return ::stat(path.c_str(), &about) == 0 && S_ISBLK(about.st_mode) ? about.st_rdev : 0;
}

bool shows_only(const std::string& subsystem, dev_t device) {
    const std::string path = tree("subsystems/" + subsystem + "/namespaces");
    const std::vector<std::string> all = configfs::names(path);
    return !all.empty() && std::ranges::all_of(all, [&path, device](const std::string& one) {
        return number_of(configfs::read(path + '/' + one + "/device_path")) == device;
    });
}

}  // namespace

Status check() {
    return configfs::need("nvmet", {"nvmet", "nvmet-tcp"});
}

std::vector<std::string> new_hosts(const export_spec& spec) {
    std::vector<std::string> out;
    for (const std::string& host : spec.hosts) {
        if (!configfs::is_there(tree("hosts/" + host)))
            out.push_back(host);
    }
    return out;
}

Status begin(const export_spec& spec, const std::string& block_device) {
    steps undo;
    if (Status ok = make_subsystem(undo, spec); !ok)
        return ok;
    if (Status ok = allow(undo, spec); !ok)
        return ok;
    if (Status ok = enable(undo, spec, block_device); !ok)
        return ok;
    if (Status ok = listen(undo, spec); !ok)
        return ok;
    undo.keep();
    return {};
}

Status end(const export_spec& spec, const std::string& block_device,
           const std::vector<std::string>& hosts) {
    const std::string path = namespace_of(spec);
    const std::string device = configfs::read(path + "/device_path");
    if (configfs::is_there(path) && device != block_device && device != "(null)" && !device.empty())
        return with_hint(fail(EBUSY, "{} exports {} now, not {}", path, device, block_device),
                         "somebody changed it; who did removes it");
    if (Status ok = stop_listening(spec); !ok)
        return ok;
    if (configfs::is_there(path)) {
        if (Status ok = configfs::write(path + "/enable", "0"); !ok)
            return ok;
    }
    if (Status ok = configfs::remove_group(path); !ok)
        return ok;
    for (const std::string& host : configfs::names(subsystem_of(spec) + "/allowed_hosts")) {
        if (Status ok = configfs::remove_link(subsystem_of(spec) + "/allowed_hosts/" + host); !ok)
            return ok;
    }
    if (Status ok = configfs::remove_group(subsystem_of(spec)); !ok)
        return ok;
    // Others may use them by now.
    for (const std::string& host : hosts)
        (void)configfs::remove_group(tree("hosts/" + host));
    return {};
}

void withdraw(const std::string& block_device) {
    const dev_t device = number_of(block_device);
    if (device == 0)
        return;
    for (const std::string& subsystem : configfs::names(tree("subsystems"))) {
        if (shows_only(subsystem, device))
            (void)offer_no_more(subsystem);
    }
}

bool serves(const export_spec& spec, const std::string& block_device) {
    const std::string path = namespace_of(spec);
    if (configfs::read(path + "/enable") != "1" ||
        configfs::read(path + "/device_path") != block_device)
        return false;
    for (const std::string& port : configfs::names(tree("ports"))) {
        if (configfs::is_there(tree("ports/" + port + "/subsystems/" + spec.target)))
            return true;
    }
    return false;
}

}  // namespace rr::nvmet
