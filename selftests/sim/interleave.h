/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Included before the engine as the simulator compiles it (bpf/engine/host.c):
 * wherever the engine touches a word that threads share, the simulator may let
 * another thread take steps first (world::interleave()).
 */
#ifndef RINGRAID_SIM_INTERLEAVE_H
#define RINGRAID_SIM_INTERLEAVE_H

#ifdef __cplusplus
extern "C"
#endif
    void
    rr_sim_interleave(void);

#define rr_interleave() rr_sim_interleave()

#endif /* RINGRAID_SIM_INTERLEAVE_H */
