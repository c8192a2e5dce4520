# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# Parity that a job writes is in no log.
s/if (a->log_roles & roles & 1U << s->parity)/if (0)/
