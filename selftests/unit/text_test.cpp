// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Text of others: what is printed of any bytes is one line of plain UTF-8.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/text.h"

namespace rr::test {
namespace {

TEST(Text, WhatCanBeReadStaysAsItIs) {
    for (const char* text : {"", "host:data", "a b", "/dev/disk/by-id/usb-x\\x20y", "größe", "磁盘",
                             "диск", "😀", "~`'\"$(x)"})
        EXPECT_EQ(printable(text), text);
}

TEST(Text, WhatATerminalWouldObeyIsEscaped) {
    EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
    EXPECT_EQ(printable("a\nhint: wipefs -a"), "a\\nhint: wipefs -a");
    EXPECT_EQ(printable("a\r\tb\x7f\x01"), "a\\r\\tb\\x7f\\x01");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m"),
              "\\u009b31m");
    EXPECT_EQ(printable("a\xe2\x80\xae"
                        "b\xe2\x80\xa8"
                        "c"),
              "a\\u202eb\\u2028c");
}

TEST(Text, WhatIsNoUtf8IsEscapedByteByByte) {
    EXPECT_EQ(printable("a\xff"
                        "b"),
              "a\\xffb");
    EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // too long for '/'
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
    EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                    // cut off
    EXPECT_EQ(printable("\xe2\x28\xa1"), "\\xe2(\\xa1");
}

// Whatever goes in: no control character comes out, and a second pass changes nothing.
TEST(Text, AnyBytesBecomeOneLine) {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> byte(0, 255), length(0, 40);
    for (int i = 0; i < 20000; i++) {
        std::string text(static_cast<size_t>(length(random)), '\0');
        std::ranges::generate(text, [&] { return static_cast<char>(byte(random)); });
        const std::string shown = printable(text);
        EXPECT_TRUE(std::ranges::none_of(
            shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
        EXPECT_EQ(printable(shown), shown);
    }
}

}  // namespace
}  // namespace rr::test
