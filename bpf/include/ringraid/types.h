/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The C subset that every host of the engine speaks.
 *
 * The same source is compiled by `clang -target bpf`, by a host C compiler and
 * (headers only) by a C++ compiler. What differs is named here once:
 *
 *   __arena      the address space of the shared memory; nothing on a host
 *   RR_ARG_ARENA marks an arena pointer argument of a global function
 *   RR_ARG_HOST  ... the kernel's own object, as the program got it
 *   RR_FN        a function that the BPF verifier checks once, by itself
 *   RR_STEP      a small helper, inlined everywhere
 *   rr_for       a loop that the verifier follows for one round only
 */
#ifndef RINGRAID_TYPES_H
#define RINGRAID_TYPES_H

#ifdef __bpf__

typedef unsigned char rr_u8;
typedef unsigned short rr_u16;
typedef unsigned int rr_u32;
typedef unsigned long long rr_u64;
typedef int rr_s32;
typedef long long rr_s64;

#define __arena	     __attribute__((address_space(1)))
#define RR_ARG_ARENA __attribute__((btf_decl_tag("arg:arena")))
#define RR_ARG_HOST  __attribute__((btf_decl_tag("arg:trusted")))
#define RR_FN	     __attribute__((noinline))
#define RR_STEP	     static inline __attribute__((always_inline))
#define rr_for(i, end)                                                                             \
	for ((i) = (rr_s32)rr_zero; (rr_u32)(i) < (rr_u32)(end) && rr_may_loop(i); (i)++)

/* In the condition of any other loop. */
#define rr_may_go_on()                                                                             \
	({                                                                                         \
		rr_u32 nothing = 0;                                                                \
		rr_may_loop(nothing);                                                              \
	})

/*
 * Zero, which the verifier must not know: else it follows a loop through every
 * round that a constant allows.
 */
extern volatile rr_u32 rr_zero;

/* @n, for a counter that a loop raises, which the verifier must not know either. */
#define rr_counted_from(n) ((n) + rr_zero)

/*
 * may_goto (Linux 6.9): tells the verifier that a loop ends, for a decrement
 * (docs/decisions/0013). It would leave a loop that after 65535 rounds has run
 * for a quarter of a second; the longest here, over a full CQ ring, has 8192.
 *
 * The compiler must not know @i either: it would walk with a pointer instead,
 * and drop the masks that tell the verifier where an index ends.
 */
#define rr_may_loop(i)                                                                             \
	({                                                                                         \
		__label__ enough, more;                                                            \
		int may = 1;                                                                       \
		asm volatile("" : "+r"(i));                                                        \
		asm volatile goto("may_goto %l[enough]" ::: : enough);                             \
		goto more;                                                                         \
	enough:                                                                                    \
		may = 0;                                                                           \
	more:;                                                                                     \
		may;                                                                               \
	})

#else

#include <stdint.h>

typedef uint8_t rr_u8;
typedef uint16_t rr_u16;
typedef uint32_t rr_u32;
typedef uint64_t rr_u64;
typedef int32_t rr_s32;
typedef int64_t rr_s64;

#define __arena
#define RR_ARG_ARENA
#define RR_ARG_HOST
#define RR_FN		   static __attribute__((unused))
#define RR_STEP		   static inline
#define rr_for(i, end)	   for ((i) = 0; (i) < (rr_s32)(end); (i)++)
#define rr_may_go_on()	   1
#define rr_counted_from(n) (n)

#endif

#define rr_compiler_barrier() __asm__ volatile("" ::: "memory")

#ifdef __cplusplus
#define RR_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define RR_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#endif

#endif /* RINGRAID_TYPES_H */
