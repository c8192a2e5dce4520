# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush that fails is not judged.
s/int judged = res < 0 \&\& .*/int judged = 0;/
