/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * interleave.h for the daemon's C++ (loader/service/bitmap.cpp, engine/log_writer.cpp): before each
 * word that it shares with queues, they may take steps, or the daemon dies.
 *
 * Headers come first: theirs are not the words that are meant.
 */
#ifndef RINGRAID_SIM_INTERLEAVE_CONTROL_H
#define RINGRAID_SIM_INTERLEAVE_CONTROL_H

#include <nlohmann/json.hpp>

#include "engine/log_writer.h"
#include "service/bitmap.h"

extern "C" void rr_sim_interleave_control();

/* NOLINTBEGIN(bugprone-reserved-identifier) */
#define __atomic_load_n(...) (rr_sim_interleave_control(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (rr_sim_interleave_control(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (rr_sim_interleave_control(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_add_fetch(...) (rr_sim_interleave_control(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_or_fetch(...) (rr_sim_interleave_control(), __atomic_or_fetch(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) \
    (rr_sim_interleave_control(), __atomic_compare_exchange_n(__VA_ARGS__))
/* NOLINTEND(bugprone-reserved-identifier) */

#endif /* RINGRAID_SIM_INTERLEAVE_CONTROL_H */
