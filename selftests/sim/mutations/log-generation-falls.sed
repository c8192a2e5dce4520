# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# Generations fall.
s/++l.generation/--l.generation/
