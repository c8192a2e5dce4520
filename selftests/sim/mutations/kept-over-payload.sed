# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A plan that is made again takes the payload for what was kept.
/The payload lies over it/,/return/s/s->keeps = RR_KEEPS_NOTHING;/s->keeps = RR_KEEPS;/
