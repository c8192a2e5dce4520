// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Translation and access: what may be read, and what becomes of a file that is
// cut or replaced. Granularity: blocks of any size and place.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "helpers.h"
#include "test_steps.h"

namespace rr::chained {
namespace {

bytes numbered(uint64_t size) {
    bytes b(size);
    for (uint64_t at = 0; at + 8 <= size; at += 8)
        std::memcpy(&b[at], &at, 8);
    return b;
}

class Files : public ::testing::Test {
protected:
    void open(rr_chain_options more = {}) {
        file_ = {content_.path().c_str(), 0};
        rr_chain_options o = test_options({&file_, 1});
        o.depth = 2;
        o.block_bytes = more.block_bytes != 0 ? more.block_bytes : 4096;
        o.flags = more.flags;
        chain_ = open_chain(o);
    }

    answer read(uint64_t offset, uint32_t length, uint32_t file = 0) {
        test_query q{};
        q.offset = offset;
        q.bytes = length;
        q.file = file;
        rr_chain_lookup l{};
        l.step = TEST_ASK;
        l.bytes = 512;
        l.scratch = &q;
        l.scratch_bytes = sizeof(q);
        return ask(chain_.get(), l);
    }

    static uint64_t value(const answer& a) {
        uint64_t v = ~0ULL;
        if (a.out.size() == 8)
            std::memcpy(&v, a.out.data(), 8);
        return v;
    }

    static constexpr uint64_t size = 1 << 20;
    test_file content_{numbered(size)};
    rr_chain_file file_{};
    chain_ptr chain_;
};

TEST_F(Files, ReadsWithinTheFileAndNothingElse) {
    open();
    EXPECT_EQ(value(read(8192, 4096)), 8192U);
    EXPECT_EQ(value(read(size - 8, 8)), size - 8);
    EXPECT_EQ(read(size - 8, 16).error, -ERANGE);
    EXPECT_EQ(read(size, 8).error, -ERANGE);
    EXPECT_EQ(read(~0ULL - 7, 8).error, -ERANGE);
    EXPECT_EQ(read(0, 8, 1).error, -EBADF);
    EXPECT_EQ(read(0, 8, 77).error, -EBADF);
    EXPECT_EQ(read(0, 0).error, -E2BIG);
    EXPECT_EQ(read(0, 4097).error, -E2BIG);
    // None of them reached the disk; the first block of each did.
    rr_chain_counts n;
    rr_chain_count(chain_.get(), &n);
    EXPECT_EQ(n.reads, 9U + 2U);
    // A first block that is not there is no different.
    rr_chain_lookup l{};
    l.offset = size;
    l.bytes = 512;
    EXPECT_EQ(ask(chain_.get(), l).error, -ERANGE);
}

TEST_F(Files, BlocksNeedNoAlignment) {
    open();
    std::mt19937 rng(seed);
    for (int i = 0; i < 200; i++) {
        const uint64_t at = rng() % (size / 8 - 1024) * 8;
        ASSERT_EQ(value(read(at, 8 + rng() % 4000)), at);
    }
}

TEST_F(Files, OneHopIsOneBlockHoweverLarge) {
    rr_chain_options o{};
    o.block_bytes = 1 << 20;
    open(o);
    const answer a = read(0, 1 << 20);
    EXPECT_EQ(a.error, 0);
    EXPECT_EQ(a.hops, 2U);
    EXPECT_EQ(value(a), 0U);
    EXPECT_EQ(value(read(8, (1 << 20) - 8)), 8U);
}

TEST_F(Files, BufferedReadsGoThroughThePageCache) {
    rr_chain_options o{};
    o.flags = RR_CHAIN_BUFFERED;
    open(o);
    EXPECT_EQ(value(read(24, 100)), 24U);
    // What was written and is not on disk yet is seen.
    const int fd = ::open(content_.path().c_str(), O_WRONLY | O_CLOEXEC);
    const uint64_t other = 4711;
    ASSERT_EQ(::pwrite(fd, &other, 8, 40960), 8);
    ::close(fd);
    EXPECT_EQ(value(read(40960, 8)), 4711U);
}

TEST_F(Files, ATruncatedFileGivesAnError) {
    open();
    EXPECT_EQ(value(read(size - 4096, 4096)), size - 4096);
    content_.truncate(size / 2 + 100);
    EXPECT_EQ(read(size - 4096, 4096).error, -ENODATA);
    // The end is within the block, and within the unit of O_DIRECT.
    EXPECT_EQ(read(size / 2, 4096).error, -ENODATA);
    EXPECT_EQ(read(size / 2 + 96, 8).error, -ENODATA);
    EXPECT_EQ(value(read(size / 2 + 80, 8)), size / 2 + 80);
    EXPECT_EQ(rr_chain_check(chain_.get(), 0), -ESTALE);
    EXPECT_NE(std::string(rr_chain_error()).find("bytes, and was"), std::string::npos);
    // Known to be shorter, the same is out of the file.
    ASSERT_EQ(rr_chain_refresh(chain_.get(), 0), 0);
    EXPECT_EQ(rr_chain_check(chain_.get(), 0), 0);
    EXPECT_EQ(read(size / 2, 4096).error, -ERANGE);
}

TEST_F(Files, WhatIsAddedIsSeenAfterARefresh) {
    open();
    content_.write(size, numbered(4096));
    EXPECT_EQ(read(size, 8).error, -ERANGE);
    ASSERT_EQ(rr_chain_refresh(chain_.get(), 0), 0);
    EXPECT_EQ(value(read(size + 8, 8)), 8U);
}

TEST_F(Files, AReplacedFileIsTheOldOneAndSaysSo) {
    open();
    EXPECT_EQ(rr_chain_check(chain_.get(), 0), 0);
    {
        const test_file other(bytes(size, 0xee));
        ASSERT_EQ(::rename(other.path().c_str(), content_.path().c_str()), 0);
        // The descriptor is of the old file: never other data.
        EXPECT_EQ(value(read(4096, 4096)), 4096U);
        EXPECT_EQ(rr_chain_check(chain_.get(), 0), -ESTALE);
    }
    ASSERT_EQ(::unlink(content_.path().c_str()), 0);
    EXPECT_EQ(rr_chain_check(chain_.get(), 0), -ESTALE);
    EXPECT_EQ(value(read(4096, 4096)), 4096U);
}

TEST_F(Files, SeveralFilesAndDescriptorsOfTheCaller) {
    const test_file other(bytes(8192, 0x11));
    const int fd = ::open(other.path().c_str(), O_RDONLY | O_CLOEXEC);
    const rr_chain_file files[] = {{content_.path().c_str(), 0}, {nullptr, fd}};
    chain_ = open_chain(test_options(files));
    ::close(fd);  // the chain has its own
    EXPECT_EQ(value(read(512, 8, 0)), 512U);
    EXPECT_EQ(value(read(512, 8, 1)), 0x1111111111111111ULL);
    EXPECT_EQ(read(8192, 8, 1).error, -ERANGE);
}

TEST_F(Files, RefusalsSayWhatToDo) {
    rr_chain* c = nullptr;
    auto refused = [&](rr_chain_options o, int error, const char* says) {
        EXPECT_EQ(rr_chain_open(&o, &c), error) << rr_chain_error();
        EXPECT_NE(std::string(rr_chain_error()).find(says), std::string::npos) << rr_chain_error();
    };
    const rr_chain_file none{"/nonexistent/file", 0}, folder{"/", 0};
    refused(test_options({&none, 1}), -ENOENT, "cannot open");
    refused(test_options({}), -EINVAL, "1 to 16");
    refused(test_options({&folder, 1}), -EISDIR, "cannot read /");
    file_ = {content_.path().c_str(), 0};
    rr_chain_options o = test_options({&file_, 1});
    o.size = 8;
    refused(o, -EINVAL, "sizeof");
    o = test_options({&file_, 1});
    o.depth = 513;
    refused(o, -EINVAL, "at most 512");
    o = test_options({&file_, 1});
    o.cache_blocks = 3;
    refused(o, -EINVAL, "power of two");
    o = test_options({&file_, 1});
    o.depth = 512;
    o.fan_out = 8;
    o.block_bytes = 1 << 20;
    refused(o, -E2BIG, "take less depth");
    const int fd = ::open(content_.path().c_str(), O_WRONLY | O_CLOEXEC);
    const rr_chain_file writes{nullptr, fd};
    refused(test_options({&writes, 1}), -EBADF, "not open for reading");
    ::close(fd);
}

}  // namespace
}  // namespace rr::chained
