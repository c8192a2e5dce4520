// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How long a program with 64 values takes to load: -DPLAIN, or in a store. */
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "GPL";

/* clang-format off */
#define EACH(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) \
	op(14) op(15) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) \
	op(27) op(28) op(29) op(30) op(31) op(32) op(33) op(34) op(35) op(36) op(37) op(38) op(39) \
	op(40) op(41) op(42) op(43) op(44) op(45) op(46) op(47) op(48) op(49) op(50) op(51) op(52) \
	op(53) op(54) op(55) op(56) op(57) op(58) op(59) op(60) op(61) op(62) op(63)
/* clang-format on */

#ifdef PLAIN
#define DECLARE(n) __u64 value##n;
#define USE(n) __sync_fetch_and_add(&value##n, 1);
#else
KV_STORE(load, 1);
#define DECLARE(n) KV_KEY(n, value##n, __u64, ATOMIC);
#define USE(n) KV_ADD(value##n, 1);
#endif

EACH(DECLARE)

SEC("tc")
int work(struct __sk_buff* skb) {
    EACH(USE)
    return 0;
}
