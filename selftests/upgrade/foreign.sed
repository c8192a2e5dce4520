# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Another arena.
s/RR_RETRY_RING = 1024/RR_RETRY_RING = 512/
