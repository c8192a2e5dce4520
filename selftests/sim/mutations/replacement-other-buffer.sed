# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# The replacement gets what another member gets.
s/r < a->geometry.members ? r : a->replaced)/r < a->geometry.members ? r : (a->replaced + 1) % a->geometry.members)/
