# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Bits go while a member is missing, and the events do not tell.
/^bool array_bitmap::may_clear/,/^}/s/(RR_STATE_MISSING | RR_STATE_BROKEN)/RR_STATE_BROKEN/
/^void array_bitmap::clear_idle/,/^}/s/    image_.set_events_cleared.*//
