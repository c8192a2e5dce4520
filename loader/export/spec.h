// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an export of an array is: by which server, to whom, under which names.
//
// An export is told apart by its name. Everything in it becomes a directory of configfs,
// a word of a unit's command line or a value for another program, so the rules here are
// strict: what passes them needs no quoting anywhere.
//
// Nobody is let in by default: an address that other machines reach needs the names of
// those who may connect, or the plain word that anybody may.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace rr {

enum class export_kind { nvme_tcp, nbd, iscsi, vhost_user, vduse, fuse };

// As on the command line, in the order of the enumeration.
[[nodiscard]] const std::vector<std::string>& export_kinds();
[[nodiscard]] std::string to_string(export_kind kind);
[[nodiscard]] Result<export_kind> parse_export_kind(const std::string& word);

struct export_spec {
    export_kind kind = export_kind::nvme_tcp;
    std::string name;
    std::string array;               // uuid, as md writes it
    std::string array_name;          // for people
    std::string target;              // NQN, IQN, or the export's name of NBD
    std::string address;             // empty: not over the network
    uint16_t port = 0;               // with an address
    std::vector<std::string> hosts;  // NQNs or IQNs that may connect
    bool any_host = false;
    std::string path;     // a socket, or the file of FUSE
    uint16_t queues = 1;  // of vhost-user and vDPA
    std::string driver;   // of the vDPA bus, for VDUSE
};

// What was not given gets its default; what was given and has no meaning for this kind is
// refused, and so is all that breaks a rule (EINVAL).
[[nodiscard]] Status complete(export_spec& spec);

[[nodiscard]] nlohmann::json to_json(const export_spec& spec);
[[nodiscard]] Result<export_spec> export_of_json(const nlohmann::json& from);

// The words after `ringraid export` that make it again.
[[nodiscard]] std::string command_line(const export_spec& spec);

// The array's uuid in the form of blkid, udev and the units; what is no uuid as it stands.
[[nodiscard]] std::string uuid_of(const export_spec& spec);

// ADDRESS:PORT, an address of IPv6 in brackets.
[[nodiscard]] std::string endpoint_of(const export_spec& spec);

// Where clients find it, for people.
[[nodiscard]] std::string place_of(const export_spec& spec);

}  // namespace rr
