// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is known of an export besides what the kernel and the servers know.
//
//   /run/ringraid/exports/NAME.json   what was asked for, and what is needed to end it
//   /run/ringraid/exports/lock        held while an export is made or ended
//
// The record is there before the first step, so an export whose making was killed can be
// ended like any other. Whether it serves is never read from it: that is asked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "export/spec.h"
#include "export/storage_daemon.h"

namespace rr {

inline constexpr const char* exports_directory = "/run/ringraid/exports";

struct export_record {
    export_spec spec;
    std::string block_device;
    std::vector<std::string> hosts;   // that nvmet did not have
    storage_daemon::process process;  // of the kinds that have one
    bool whole = false;               // its making ended
};

class export_records {
public:
    explicit export_records(std::string directory = exports_directory)
        : directory_(std::move(directory)) {}

    // For one command at a time; it waits. What one that was killed had begun to write goes.
    [[nodiscard]] Result<Fd> lock() const;

    [[nodiscard]] Status write(const export_record& record) const;
    // Those of an earlier boot are none.
    [[nodiscard]] std::optional<export_record> read(const std::string& name) const;
    [[nodiscard]] std::vector<export_record> all() const;
    void remove(const std::string& name) const;

    [[nodiscard]] std::string pid_file(const std::string& name) const;

private:
    [[nodiscard]] std::string path(const std::string& name) const;

    std::string directory_;
};

}  // namespace rr
