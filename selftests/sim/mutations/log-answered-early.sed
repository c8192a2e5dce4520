# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# A slot goes on before its unit is durable.
s/^    how_.write(role, place, \(.*\));/    auto early = l.in_unit; how_.write(role, place, \1); answer(early, false); l.in_unit.clear();/
