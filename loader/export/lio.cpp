// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/lio.h"

#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "export/configfs.h"

namespace rr::lio {
namespace {

// Numbers of adapters in target/core that we look for a free one in.
constexpr unsigned adapter_base = 29184;
constexpr unsigned adapter_last = adapter_base + 255;

std::string tree(const std::string& below) {
    return fmt::format("{}/target/{}", configfs::root, below);
}
std::string target_of(const export_spec& spec) {
    return tree("iscsi/" + spec.target);
}
std::string group_of(const export_spec& spec) {
    return target_of(spec) + "/tpgt_1";
}
std::string portal_of(const export_spec& spec) {
    return fmt::format("{}/np/{}", group_of(spec), endpoint_of(spec));
}

// The adapter of ours that has the device. Empty: none.
std::string adapter_of(const export_spec& spec) {
    for (unsigned n = adapter_base; n <= adapter_last; n++) {
        std::string path = tree(fmt::format("core/iblock_{}", n));
        if (configfs::is_there(path + '/' + spec.name))
            return path;
    }
    return "";
}

Result<std::string> new_adapter(steps& undo) {
    for (unsigned n = adapter_base; n <= adapter_last; n++) {
        std::string path = tree(fmt::format("core/iblock_{}", n));
        Status made = configfs::group(undo, path);
        if (made)
            return path;
        if (made.error().err != EEXIST)
            return forward_error(made.error());
    }
    return fail(ENOSPC, "no adapter of target/core is free");
}

Result<std::string> make_device(steps& undo, const export_spec& spec,
                                const std::string& block_device) {
    auto adapter = new_adapter(undo);
    if (!adapter)
        return forward_error(adapter.error());
    std::string path = *adapter + '/' + spec.name;
    if (Status ok = configfs::group(undo, path); !ok)
        return forward_error(ok.error());
    Status set = configfs::write_all(path, {{"control", "udev_path=" + block_device},
                                            {"udev_path", block_device},
                                            {"enable", "1"},
                                            {"wwn/vpd_unit_serial", uuid_of(spec)}});
    if (!set)
        return forward_error(set.error());
    return path;
}

Status make_target(steps& undo, const export_spec& spec) {
    Status made = configfs::group(undo, target_of(spec));
    if (!made && made.error().err == EEXIST)
        return with_hint(
            fail(EEXIST, "there is a target {}, and it is not ringraid's", spec.target),
            "use another --target, or remove it: targetcli");
    return made ? configfs::group(undo, group_of(spec)) : made;
}

Status offer(steps& undo, const export_spec& spec, const std::string& device) {
    const std::string lun = group_of(spec) + "/lun/lun_0";
    if (Status ok = configfs::group(undo, lun); !ok)
        return ok;
    return configfs::link(undo, device, lun + '/' + spec.name);
}

Status allow(steps& undo, const export_spec& spec) {
    const std::string any = spec.any_host ? "1" : "0";
    Status set =
        configfs::write_all(group_of(spec) + "/attrib", {{"authentication", "0"},
                                                         {"generate_node_acls", any},
                                                         {"cache_dynamic_acls", any},
                                                         {"demo_mode_write_protect", "0"}});
    if (!set)
        return set;
    for (const std::string& host : spec.hosts) {
        const std::string acl = group_of(spec) + "/acls/" + host;
        if (Status ok = configfs::group(undo, acl); !ok)
            return ok;
        if (Status ok = configfs::group(undo, acl + "/lun_0"); !ok)
            return ok;
        if (Status ok =
                configfs::link(undo, group_of(spec) + "/lun/lun_0", acl + "/lun_0/" + spec.name);
            !ok)
            return ok;
    }
    return {};
}

Status listen(steps& undo, const export_spec& spec) {
    if (Status ok = configfs::group(undo, portal_of(spec)); !ok)
        return with_hint(fail(ok.error().err, "cannot listen at {}", endpoint_of(spec)),
                         "is the address this machine's, and the port free? ss -ltn");
    return configfs::set(undo, group_of(spec) + "/enable", "1", "0");
}

// What is linked in a directory that has attributes and groups besides.
std::vector<std::string> links(const std::string& path) {
    std::vector<std::string> out;
    for (const std::string& name : configfs::names(path)) {
        if (!configfs::leads_to(path + '/' + name).empty())
            out.push_back(name);
    }
    return out;
}

Status remove_acls(const std::string& group) {
    for (const std::string& host : configfs::names(group + "/acls")) {
        const std::string lun = group + "/acls/" + host + "/lun_0";
        for (const std::string& name : links(lun)) {
            if (Status ok = configfs::remove_link(lun + '/' + name); !ok)
                return ok;
        }
        for (const std::string& path : {lun, group + "/acls/" + host}) {
            if (Status ok = configfs::remove_group(path); !ok)
                return ok;
        }
    }
    return {};
}

Status remove_target(const export_spec& spec) {
    const std::string group = group_of(spec);
    if (!configfs::is_there(group))
        return configfs::remove_group(target_of(spec));
    for (const std::string& name : links(group + "/lun/lun_0")) {
        if (name != spec.name)
            return with_hint(fail(EBUSY, "{} offers {} now", spec.target, name),
                             "somebody changed it; who did removes it");
    }
    (void)configfs::write(group + "/enable", "0");
    if (Status ok = remove_acls(group); !ok)
        return ok;
    if (Status ok = configfs::remove_link(group + "/lun/lun_0/" + spec.name); !ok)
        return ok;
    for (const std::string& path :
         {group + "/lun/lun_0", portal_of(spec), group, target_of(spec)}) {
        if (Status ok = configfs::remove_group(path); !ok)
            return ok;
    }
    return {};
}

}  // namespace

Status check() {
    if (Status ok = configfs::need("target/core",
                                   {"target_core_mod", "target_core_iblock", "iscsi_target_mod"});
        !ok)
        return ok;
    // The fabric is one for all its targets, and stays.
    if (::mkdir(tree("iscsi").c_str(), 0755) != 0 && errno != EEXIST)
        return fail(errno, "cannot make {}", tree("iscsi"));
    return {};
}

Status begin(const export_spec& spec, const std::string& block_device) {
    steps undo;
    auto device = make_device(undo, spec, block_device);
    if (!device)
        return forward_error(device.error());
    if (Status ok = make_target(undo, spec); !ok)
        return ok;
    if (Status ok = offer(undo, spec, *device); !ok)
        return ok;
    if (Status ok = allow(undo, spec); !ok)
        return ok;
    if (Status ok = listen(undo, spec); !ok)
        return ok;
    undo.keep();
    return {};
}

Status end(const export_spec& spec) {
    if (Status ok = remove_target(spec); !ok)
        return ok;
    const std::string adapter = adapter_of(spec);
    if (adapter.empty())
        return {};
    if (Status ok = configfs::remove_group(adapter + '/' + spec.name); !ok)
        return ok;
    return configfs::remove_group(adapter);
}

bool serves(const export_spec& spec) {
    return configfs::read(group_of(spec) + "/enable") == "1" &&
           configfs::is_there(portal_of(spec)) && !adapter_of(spec).empty();
}

}  // namespace rr::lio
