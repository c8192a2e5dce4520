# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# Who does not keep what it wrote leaves the holder from before.
/^RR_FN int rr_kept_release/,/^}/s/rr_u32 unit;/&\n\n\tif (!who)\n\t\treturn 0;/
