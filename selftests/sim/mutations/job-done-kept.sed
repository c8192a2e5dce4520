# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor relies on cells above the frontier that were done.
s/a->job\.done = a->job\.in_work/a->job.in_work/
