// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/exports.h"

#include <fcntl.h>

#include <cerrno>

#include "export/lio.h"
#include "export/nvmet.h"

namespace rr {
namespace {

// Nobody has a file system there: its cache would know nothing of what clients write.
Status check_unused(const std::string& block_device) {
    const Fd device(::open(block_device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (!device && errno == EBUSY)
        return with_hint(
            fail(EBUSY, "{} is used by this machine", block_device),
            "unmount what is on it, or stop what else has it: lsblk, ringraid exports");
    if (!device)
        return fail(errno, "cannot open {}", block_device);
    return {};
}

Status check(const export_spec& spec) {
    switch (spec.kind) {
        case export_kind::nvme_tcp:
            return nvmet::check();
        case export_kind::iscsi:
            return lio::check();
        default:
            return storage_daemon::check(spec);
    }
}

Status begin(const export_records& records, export_record& record) {
    switch (record.spec.kind) {
        case export_kind::nvme_tcp:
            return nvmet::begin(record.spec, record.block_device);
        case export_kind::iscsi:
            return lio::begin(record.spec, record.block_device);
        default:
            break;
    }
    auto process =
        storage_daemon::begin(record.spec, record.block_device, records.pid_file(record.spec.name));
    if (!process)
        return forward_error(process.error());
    record.process = *process;
    return {};
}

Status end(const export_record& record, bool force) {
    switch (record.spec.kind) {
        case export_kind::nvme_tcp:
            return nvmet::end(record.spec, record.block_device, record.hosts);
        case export_kind::iscsi:
            return lio::end(record.spec);
        default:
            return storage_daemon::end(record.spec, record.process, force);
    }
}

}  // namespace

Status make_export(const export_spec& spec, const std::string& block_device) {
    const export_records records;
    auto lock = records.lock();
    if (!lock)
        return forward_error(lock.error());
    if (auto old = records.read(spec.name))
        return with_hint(fail(EEXIST, "there is an export {} of {}, {}", spec.name,
                              old->spec.array_name, to_string(state_of(*old))),
                         fmt::format("ringraid unexport {}, or another --name", spec.name));
    if (Status ok = check(spec); !ok)
        return ok;
    if (Status ok = check_unused(block_device); !ok)
        return ok;
    export_record record{spec, block_device, nvmet::new_hosts(spec), {}, false};
    if (Status ok = records.write(record); !ok)
        return ok;
    Status made = begin(records, record);
    record.whole = true;
    if (made) {
        made = records.write(record);
        if (!made)
            (void)end(record, true);
    }
    if (!made)
        records.remove(spec.name);
    return made;
}

Status end_export(const std::string& name, bool force) {
    const export_records records;
    auto lock = records.lock();
    if (!lock)
        return forward_error(lock.error());
    auto record = records.read(name);
    if (!record)
        return with_hint(fail(ENOENT, "there is no export {}", name), "ringraid exports");
    if (!record->whole)
        record->process = storage_daemon::of_pid_file(records.pid_file(name));
    Status ended = end(*record, force);
    if (ended)
        records.remove(name);
    return ended;
}

const char* to_string(export_state state) {
    switch (state) {
        case export_state::serving:
            return "serving";
        case export_state::dead:
            return "not serving";
        default:
            return "half made";
    }
}

export_state state_of(const export_record& record) {
    if (!record.whole)
        return export_state::half;
    bool serves = false;
    switch (record.spec.kind) {
        case export_kind::nvme_tcp:
            serves = nvmet::serves(record.spec, record.block_device);
            break;
        case export_kind::iscsi:
            serves = lio::serves(record.spec);
            break;
        default:
            serves = storage_daemon::is_alive(record.process);
            break;
    }
    return serves ? export_state::serving : export_state::dead;
}

std::vector<std::string> exports_of(const std::string& block_device) {
    std::vector<std::string> out;
    for (const export_record& record : export_records().all()) {
        if (record.block_device == block_device)
            out.push_back(record.spec.name);
    }
    return out;
}

}  // namespace rr
