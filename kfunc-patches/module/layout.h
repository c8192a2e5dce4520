/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RR_MODULE_LAYOUT_H
#define RR_MODULE_LAYOUT_H

/*
 * 0 when the running kernel's structures are those that this module was
 * compiled with. -EPROTO when one differs, -ENOENT when the kernel does not
 * show its types; the kernel log says which, and what to do.
 */
int rr_layout_check(void);

#endif /* RR_MODULE_LAYOUT_H */
