# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor's job goes on behind the cells that were in work.
/a->job\.next = a->job\.frontier;/d
