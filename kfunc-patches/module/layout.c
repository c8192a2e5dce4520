// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refuses a kernel whose io_uring is not the one that this module knows.
 *
 * The module reads structures of io_uring that no header promises. What it
 * expects is a table of (structure, member, offset, size), made by the
 * compiler from the declarations that the module's code uses; what there is,
 * the running kernel says in its BTF (/sys/kernel/btf/vmlinux), whose format is
 * in Documentation/bpf/btf.rst. Every member of the table must be found, by
 * name, at its offset and with its size, and the private structures must have
 * their size and no other members. A header of another kernel version, or one
 * that a vendor patched, is so found before a pointer is followed.
 *
 * The BTF is read as a file, since the kernel exports no function that tells
 * members' names to modules. It is read once, at load.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/btf.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "layout.h"
#include "rsrc.h"

#define BTF_FILE "/sys/kernel/btf/vmlinux"

struct expected {
	const char *structure;
	const char *member;
	u32 offset;
	u32 size; /* 0: an array without a length */
};

#define EXPECT(s, m) { #s, #m, offsetof(struct s, m), sizeof_field(struct s, m) }

static const struct expected expected[] = {
	EXPECT(io_rsrc_node, type),
	EXPECT(io_rsrc_node, refs),
	EXPECT(io_rsrc_node, tag),
	EXPECT(io_rsrc_node, file_ptr),
	EXPECT(io_rsrc_node, buf),
	EXPECT(io_mapped_ubuf, ubuf),
	EXPECT(io_mapped_ubuf, len),
	EXPECT(io_mapped_ubuf, nr_bvecs),
	EXPECT(io_mapped_ubuf, folio_shift),
	EXPECT(io_mapped_ubuf, refs),
	EXPECT(io_mapped_ubuf, flags),
	EXPECT(io_mapped_ubuf, dir),
	EXPECT(io_mapped_ubuf, release),
	EXPECT(io_mapped_ubuf, priv),
	{ "io_mapped_ubuf", "bvec", offsetof(struct io_mapped_ubuf, bvec), 0 },
	EXPECT(io_rsrc_data, nr),
	EXPECT(io_rsrc_data, nodes),
	EXPECT(io_mapped_region, pages),
	EXPECT(io_mapped_region, ptr),
	EXPECT(io_mapped_region, nr_pages),
	EXPECT(io_ring_ctx, uring_lock),
	EXPECT(io_ring_ctx, buf_table),
	EXPECT(io_ring_ctx, param_region),
	EXPECT(io_uring_task, xa),
};

static const struct {
	const char *structure;
	u32 size;
	u32 members; /* 0: any number */
} sizes[] = {
	{ "io_rsrc_node", sizeof(struct io_rsrc_node), 4 },
	{ "io_mapped_ubuf", sizeof(struct io_mapped_ubuf), 10 },
	{ "io_rsrc_data", sizeof(struct io_rsrc_data), 2 },
	{ "io_mapped_region", sizeof(struct io_mapped_region), 4 },
	{ "io_ring_ctx", sizeof(struct io_ring_ctx), 0 },
	{ "bio_vec", sizeof(struct bio_vec), 3 },
};

struct types {
	void *file;
	const struct btf_type **by_id; /* 1 .. nr - 1 */
	u32 nr;
	const char *strings;
	u32 strings_len;
};

/* Bytes that follow a struct btf_type; negative: a kind that is unknown. */
static int extra_bytes(const struct btf_type *t)
{
	u32 n = btf_type_vlen(t);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		return sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	}
	return -EPROTO;
}

/* Walks the types; with @types->by_id set, notes where each of them is. */
static int walk(struct types *types, const void *from, u32 len)
{
	u32 nr = 1, at = 0;

	while (at < len) {
		const struct btf_type *t = from + at;
		int extra;

		if (len - at < sizeof(*t))
			return -EPROTO;
		extra = extra_bytes(t);
		if (extra < 0 || len - at - sizeof(*t) < extra)
			return -EPROTO;
		if (types->by_id)
			types->by_id[nr] = t;
		nr++;
		at += sizeof(*t) + extra;
	}
	types->nr = nr;
	return 0;
}

/* All of BTF_FILE into @types->file; its length or -errno. */
static ssize_t read_file(struct types *types)
{
	struct file *file = filp_open(BTF_FILE, O_RDONLY, 0);
	loff_t size, at = 0;
	ssize_t got = -EFBIG;

	if (IS_ERR(file))
		return PTR_ERR(file);
	size = i_size_read(file_inode(file));
	if (size > 0 && size < INT_MAX / 2) {
		got = -ENOMEM;
		types->file = kvmalloc(size, GFP_KERNEL);
	}
	while (types->file && at < size) {
		got = kernel_read(file, types->file + at, size - at, &at);
		if (got <= 0)
			break;
	}
	filp_close(file, NULL);
	return got > 0 ? at : got ?: -EIO;
}

static int read_types(struct types *types)
{
	const struct btf_header *h;
	const void *from;
	ssize_t got;
	int ret;

	got = read_file(types);
	if (got < 0)
		return got;
	h = types->file;
	if (got < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len > got ||
	    (u64)h->hdr_len + h->type_off + h->type_len > got ||
	    (u64)h->hdr_len + h->str_off + h->str_len > got || !h->str_len)
		return -EPROTO;
	from = types->file + h->hdr_len + h->type_off;
	types->strings = types->file + h->hdr_len + h->str_off;
	types->strings_len = h->str_len;
	if (types->strings[h->str_len - 1])
		return -EPROTO;
	ret = walk(types, from, h->type_len);
	if (ret)
		return ret;
	types->by_id = kvcalloc(types->nr, sizeof(*types->by_id), GFP_KERNEL);
	if (!types->by_id)
		return -ENOMEM;
	return walk(types, from, h->type_len);
}

static const char *name_at(const struct types *types, u32 offset)
{
	return offset < types->strings_len ? types->strings + offset : "";
}

static const struct btf_type *find_struct(const struct types *types, const char *name)
{
	u32 id;

	for (id = 1; id < types->nr; id++) {
		const struct btf_type *t = types->by_id[id];

		if (BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT &&
		    !strcmp(name_at(types, t->name_off), name))
			return t;
	}
	return NULL;
}

/* The bytes of a type; 0 for one that has none of its own. */
static u32 size_of(const struct types *types, u32 id)
{
	u32 count = 1, depth;

	for (depth = 0; depth < 16 && id && id < types->nr; depth++) {
		const struct btf_type *t = types->by_id[id];
		const struct btf_array *array = (const void *)(t + 1);

		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_PTR:
			return count * sizeof(void *);
		case BTF_KIND_ARRAY:
			count *= array->nelems;
			id = array->type;
			break;
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			id = t->type;
			break;
		default:
			return count * t->size;
		}
	}
	return 0;
}

static u32 member_bits(const struct btf_type *t, const struct btf_member *m)
{
	return btf_type_kflag(t) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
}

/* Looks in @t and in its members without a name, two levels deep. */
static bool has_member(const struct types *types, const struct btf_type *t,
		       const struct expected *want, u32 base_bits, int depth)
{
	const struct btf_member *m = (const void *)(t + 1);
	u32 i;

	for (i = 0; i < btf_type_vlen(t); i++, m++) {
		u32 bits = base_bits + member_bits(t, m);
		const char *name = name_at(types, m->name_off);

		if (!strcmp(name, want->member))
			return bits == want->offset * 8 && size_of(types, m->type) == want->size;
		if (!*name && depth && m->type < types->nr) {
			const struct btf_type *inner = types->by_id[m->type];

			if ((BTF_INFO_KIND(inner->info) == BTF_KIND_STRUCT ||
			     BTF_INFO_KIND(inner->info) == BTF_KIND_UNION) &&
			    has_member(types, inner, want, bits, depth - 1))
				return true;
		}
	}
	return false;
}

/* The enumerator of that name has that value, in whichever enum it is. */
static bool has_value(const struct types *types, const char *name, s32 value)
{
	u32 id, i;

	for (id = 1; id < types->nr; id++) {
		const struct btf_type *t = types->by_id[id];
		const struct btf_enum *e = (const void *)(t + 1);

		if (BTF_INFO_KIND(t->info) != BTF_KIND_ENUM)
			continue;
		for (i = 0; i < btf_type_vlen(t); i++)
			if (!strcmp(name_at(types, e[i].name_off), name))
				return e[i].val == value;
	}
	return false;
}

static int compare(const struct types *types)
{
	const struct btf_type *t;
	int i, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		t = find_struct(types, sizes[i].structure);
		if (t && t->size == sizes[i].size &&
		    (!sizes[i].members || btf_type_vlen(t) == sizes[i].members))
			continue;
		pr_err("this kernel's struct %s is another one: %u bytes, not %u\n",
		       sizes[i].structure, t ? t->size : 0, sizes[i].size);
		wrong++;
	}
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		t = find_struct(types, expected[i].structure);
		if (t && has_member(types, t, &expected[i], 0, 2))
			continue;
		pr_err("this kernel has no %s.%s of %u bytes at %u\n", expected[i].structure,
		       expected[i].member, expected[i].size, expected[i].offset);
		wrong++;
	}
	if (!has_value(types, "IO_REGBUF_F_KBUF", IO_REGBUF_F_KBUF)) {
		pr_err("this kernel's IO_REGBUF_F_KBUF is not %d\n", IO_REGBUF_F_KBUF);
		wrong++;
	}
	return wrong ? -EPROTO : 0;
}

int rr_layout_check(void)
{
	struct types types = {};
	int ret;

	ret = read_types(&types);
	if (ret)
		pr_err("cannot read the kernel's types in " BTF_FILE ": %d (is sysfs mounted?)\n", ret);
	else
		ret = compare(&types);
	if (ret == -EPROTO)
		pr_err("not loaded: rebuild the module against this kernel's headers; if that does not help, its io_uring is not the one of Linux 7.3\n");
	kvfree(types.by_id);
	kvfree(types.file);
	return ret;
}
