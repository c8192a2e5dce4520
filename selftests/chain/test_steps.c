/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test_steps.h"
#include "ringraid/chain.bpf.h"

typedef const struct test_node __arena test_node_t;
typedef struct test_query __arena test_query_t;

/* A list, to its end. */
CHAIN_STEP(follow) {
    test_query_t* q = chain_scratch(c, struct test_query);
    test_node_t* n = (test_node_t*)block;
    int ret;

    if (!q)
        return -CHAIN_EINVAL;
    q->count++;
    q->sum += n->value;
    ret = n->next ? chain_read(c, c->file, n->next, bytes, q->flags) : chain_emit_u64(c, n->value);
    return ret ? ret : n->next ? CHAIN_MORE : CHAIN_DONE;
}

/* Reads what the query says, then gives its first eight bytes. */
CHAIN_STEP(ask) {
    test_query_t* q = chain_scratch(c, struct test_query);
    int ret;

    if (!q)
        return -CHAIN_EINVAL;
    if (c->hop) {
        ret = chain_emit_u64(c, chain_get64(block, 0));
        return ret ? ret : CHAIN_DONE;
    }
    ret = chain_read(c, q->file, q->offset, q->bytes, q->flags);
    return ret ? ret : CHAIN_MORE;
}

/* Neither done, nor is there anything to read; for ever, if the query says so. */
CHAIN_STEP(silent) {
    test_query_t* q = chain_scratch(c, struct test_query);

    while (q && *(volatile rr_u32 __arena*)&q->flags == TEST_FOR_EVER && rr_may_go_on())
        ;
    return CHAIN_MORE;
}

/* Several reads at a time, as many as the query says. */
CHAIN_STEP(fan) {
    test_query_t* q = chain_scratch(c, struct test_query);
    rr_s32 i;

    if (!q)
        return -CHAIN_EINVAL;
    if (!c->hop) {
        rr_for(i, q->count) {
            int ret = chain_read_tagged(c, q->file, q->offset + (rr_u64)i * q->bytes, q->bytes,
                                        q->flags, i);

            if (ret)
                return ret;
        }
        return CHAIN_MORE;
    }
    q->sum += ((test_node_t*)block)->value * (c->tag + 1);
    return c->under_way ? CHAIN_MORE : CHAIN_DONE;
}

CHAIN_STEP(again) {
    return CHAIN_AGAIN;
}

CHAIN_STEP(restart) {
    return CHAIN_RESTART;
}

/* More than the caller has room for. */
CHAIN_STEP(fill) {
    int ret = chain_emit(c, block, bytes);

    if (!ret)
        ret = chain_read(c, c->file, c->offset, bytes, 0);
    return ret ? ret : CHAIN_MORE;
}

/* A list whose blocks have versions: any other is a stale path. */
CHAIN_STEP(version) {
    test_node_t* n = (test_node_t*)block;
    test_query_t* q = chain_scratch(c, struct test_query);
    int ret;

    if (!q)
        return -CHAIN_EINVAL;
    if (c->tag && n->version != c->tag)
        return CHAIN_RESTART;
    ret = n->next ? chain_read_tagged(c, c->file, n->next, bytes, q->flags, n->next_version)
                  : chain_emit_u64(c, n->value);
    return ret ? ret : n->next ? CHAIN_MORE : CHAIN_DONE;
}

CHAIN_LICENSE("Dual BSD/GPL");
CHAIN_PROGRAM(test, follow, ask, silent, fan, again, restart, fill, version);
