# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# A bit goes that another region needs.
/^void array_bitmap::clear_bits_of/,/^}/s/used = used || load(word(other)) != 0;/used = false;/
