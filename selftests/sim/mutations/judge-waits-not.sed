# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/judge.cpp
# More that are away than the array can bear have failed.
s/if (std::popcount(needed) > spare) {/if (std::popcount(needed) > RR_MEMBERS_MAX) {/
