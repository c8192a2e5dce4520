# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/md/bitmap.cpp
# Copies that lack what another has are left so.
s/        out->changed_.assign(out->pages(), true);/        out->changed_.assign(out->pages(), false);/
