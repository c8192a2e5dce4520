# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/judge.cpp
# A degraded array does without one more.
s/const int spare = (state & RR_STATE_MISSING) == 0 ? 1 : 0;/const int spare = 1;/
