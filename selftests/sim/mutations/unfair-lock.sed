# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# No patience ever ends: a wide write waits for ever behind small ones.
s/RR_LOCK_PATIENCE ? who : who | RR_LOCK_CLAIM;/RR_LOCK_PATIENCE ? who : who;/
