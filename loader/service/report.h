// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a running array says of itself, as JSON. Bytes and nanoseconds; the
// text that people read is a view of the same object.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "engine/queue.h"
#include "ringraid/abi.h"

namespace rr {

inline constexpr int json_schema = 1;

// A refusal on the control socket or a pipe, and the Error that it carries.
nlohmann::json error_json(const Error& error);
Error error_of(const nlohmann::json& answer);

// "" where there is none, or no text.
std::string text_in(const nlohmann::json& of, const char* key);

// mdadm --detail's exit codes.
enum class array_health { healthy = 0, degraded = 1, failed = 2, unknown = 4 };

array_health health_of(const rr_array* array);
const char* to_string(array_health health);
const char* layout_name(uint32_t layout);
const char* engine_name(engine_host host);

// Latencies of requests, by op and path, summed over the queues: what rr_latencies has.
nlohmann::json latency_of(rr_array* array);

// All counters, summed over the queues, by name.
nlohmann::json counters_of(rr_array* array);

}  // namespace rr
