#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# installed.sh BUILD DIR: a program of somebody else, in C, that has nothing of
# ringraid but the installed tree. DIR is in a bpffs.
set -eu
build=$1 dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component store --prefix "$work/usr" >"$work/log" ||
	{ cat "$work/log"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name rr_store.pc)")
export PKG_CONFIG_PATH

cat >"$work/flow.bpf.c" <<'EOF'
#include <ringraid/kv_store.bpf.h>
char LICENSE[] SEC("license") = "GPL";
KV_STORE(mine, 1, KV_GATED);
KV_KEY(1, count, __u64, ATOMIC) = KV_DEFAULT(5);
SEC("tc") int bump(struct __sk_buff *skb)
{
	KV_GATE(0);
	KV_ADD(count, 1);
	return 0;
}
EOF
cat >"$work/app.c" <<'EOF'
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ringraid/kv_store_api.h>
#include <stdio.h>

#define TRY(call)                                                       \
	do {                                                            \
		if ((call) < 0) {                                       \
			fprintf(stderr, #call ": %s\n", kv_store_error()); \
			return 1;                                       \
		}                                                       \
	} while (0)

int main(int argc, char **argv)
{
	struct kv_store *kvs;
	struct bpf_object *obj;
	unsigned long long count = 0;
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = 10);

	(void)argc;
	TRY(kv_store_init(argv[1], argv[2], &kvs));
	TRY(kv_store_reuse(kvs, argv[1], &obj));
	TRY(bpf_object__load(obj));
	TRY(bpf_prog_test_run_opts(
		bpf_program__fd(bpf_object__find_program_by_name(obj, "bump")), &run));
	TRY(kv_store_get(kvs, kv_store_find(kvs, "count"), &count, sizeof(count), 0));
	bpf_object__close(obj);
	kv_store_close(kvs);
	printf("%llu\n", count);
	return 0;
}
EOF
# shellcheck disable=SC2046 # several words
clang-19 -target bpf -mcpu=v4 -O2 -g -fno-builtin "-D__TARGET_ARCH_$(uname -m | sed s/x86_64/x86/)" \
	-isystem "/usr/include/$(uname -m)-linux-gnu" $(pkg-config --cflags rr_store) \
	-c "$work/flow.bpf.c" -o "$work/flow.bpf.o"
# shellcheck disable=SC2046
cc -Wall -Wextra -Werror "$work/app.c" -o "$work/app" $(pkg-config --cflags --libs rr_store)
said=$("$work/app" "$work/flow.bpf.o" "$dir/mine")
[ "$said" = 15 ] || { echo "the count is $said, not 15"; exit 1; }
