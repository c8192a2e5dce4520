/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps that do one thing each, for the tests of the loop. */
#ifndef RINGRAID_TEST_STEPS_H
#define RINGRAID_TEST_STEPS_H

#include "ringraid/chain.h"

enum {
    TEST_FOLLOW = 0,
    TEST_ASK,
    TEST_SILENT,
    TEST_FAN,
    TEST_AGAIN,
    TEST_RESTART,
    TEST_FILL,
    TEST_VERSION,
};

enum {
    TEST_FOR_EVER = 4711,
};

/* A block of a list; the first bytes of a block of any length. */
struct test_node {
    rr_u64 next; /* offset; 0: the end */
    rr_u64 value;
    rr_u64 version;
    rr_u64 next_version;
};

struct test_query {
    rr_u64 offset; /* ASK, FAN: what to read */
    rr_u32 bytes;
    rr_u32 file;
    rr_u32 flags;
    rr_u32 count; /* FAN: how many; FOLLOW: blocks seen */
    rr_u64 sum;   /* of values */
};

#endif /* RINGRAID_TEST_STEPS_H */
