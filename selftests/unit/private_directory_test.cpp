// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/private_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace rr {
namespace {

namespace fs = std::filesystem;

class PrivateDirectory : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root: what is refused is a directory of others";
        std::string made = (fs::temp_directory_path() / "rr-XXXXXX").string();
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        base_ = made;
        path_ = base_ / "private";
    }
    void TearDown() override {
        if (!base_.empty())
            fs::remove_all(base_);
    }
    static mode_t mode(const fs::path& path) {
        struct stat about{};
        EXPECT_EQ(::lstat(path.c_str(), &about), 0);
        return about.st_mode & 07777;
    }
    int refusal() {
        Status made = make_private_directory(path_);
        return made ? 0 : made.error().err;
    }

    fs::path base_;
    fs::path path_;
};

TEST_F(PrivateDirectory, IsMadeClosedWhateverTheUmask) {
    for (mode_t mask : {0, 022, 077}) {
        const mode_t before = ::umask(mask);
        EXPECT_EQ(refusal(), 0);
        ::umask(before);
        EXPECT_EQ(mode(path_), 0700U);
        fs::remove(path_);
    }
}

TEST_F(PrivateDirectory, OneThatIsThereIsTakenAndClosedToReaders) {
    ASSERT_EQ(::mkdir(path_.c_str(), 0755), 0);
    EXPECT_EQ(refusal(), 0);
    EXPECT_EQ(mode(path_), 0700U);
}

TEST_F(PrivateDirectory, OneThatOthersMayWriteToIsRefused) {
    for (mode_t open : {0777, 0720, 0702}) {
        ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
        ASSERT_EQ(::chmod(path_.c_str(), open), 0);
        EXPECT_EQ(refusal(), EPERM);
        EXPECT_EQ(mode(path_), open);
        fs::remove(path_);
    }
}

TEST_F(PrivateDirectory, OneOfAnotherUserIsRefused) {
    ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
    ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
    EXPECT_EQ(refusal(), EPERM);
}

TEST_F(PrivateDirectory, ALinkOrAFileIsRefused) {
    ASSERT_EQ(::mkdir((base_ / "elsewhere").c_str(), 0700), 0);
    fs::create_directory_symlink(base_ / "elsewhere", path_);
    EXPECT_EQ(refusal(), EPERM);
    fs::remove(path_);
    Status made = make_private_directory(base_ / "elsewhere");
    ASSERT_EQ(::mknod(path_.c_str(), S_IFREG | 0600, 0), 0);
    EXPECT_EQ(refusal(), EPERM);
}

TEST_F(PrivateDirectory, AParentInWhichOthersMayRenameItIsRefused) {
    ASSERT_EQ(::chmod(base_.c_str(), 0777), 0);
    EXPECT_EQ(refusal(), EPERM);
    ASSERT_EQ(::chmod(base_.c_str(), 01777), 0);
    EXPECT_EQ(refusal(), 0);
    ASSERT_EQ(::chown(base_.c_str(), 65534, 65534), 0);
    EXPECT_EQ(refusal(), EPERM);
}

TEST_F(PrivateDirectory, IsNotMadeWithoutAParent) {
    Status made = make_private_directory(path_ / "below");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().err, ENOENT);
    EXPECT_EQ(check_private_directory(path_).error().err, ENOENT);
}

}  // namespace
}  // namespace rr
