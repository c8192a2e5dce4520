// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The reader of LevelDB's tables against LevelDB: a database of 10^5 keys, each of
// which, and as many that are not there, is looked up by both (one in eleven, unless
// the level is full); and damaged tables.
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>
#include <leveldb/table_builder.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tables.h"

namespace rr::chained {
namespace {

namespace fs = std::filesystem;

// Even numbers are keys; every seventh of them was deleted, some were overwritten.
class Database {
public:
    Database() : path_(directory + "/chain-leveldb." + std::to_string(::getpid())) {
        fs::remove_all(path_);
        options_.create_if_missing = true;
        options_.compression = leveldb::kNoCompression;
        filter_.reset(leveldb::NewBloomFilterPolicy(10));
        options_.filter_policy = filter_.get();
        leveldb::DB* db = nullptr;
        const leveldb::Status s = leveldb::DB::Open(options_, path_, &db);
        EXPECT_TRUE(s.ok()) << s.ToString();
        db_.reset(db);
    }
    ~Database() {
        db_.reset();
        fs::remove_all(path_);
    }

    void fill(unsigned count) {
        const leveldb::WriteOptions w;
        leveldb::WriteBatch batch;
        for (unsigned n = 0; n < count; n++) {
            batch.Put(key_of(2 * n), value_of(n % 5 == 0 ? 0 : n));
            if (n % 1000 == 999)
                flush(batch);
        }
        for (unsigned n = 0; n < count; n += 5)
            batch.Put(key_of(2 * n), value_of(n));
        flush(batch);
        for (unsigned n = 0; n < count; n += 7)
            batch.Delete(key_of(2 * n));
        flush(batch);
        // Memory becomes a table; the tables stay of several levels.
        db_->CompactRange(nullptr, nullptr);
    }

    std::optional<std::string> get(const std::string& key) {
        std::string value;
        const leveldb::Status s = db_->Get({}, key, &value);
        EXPECT_TRUE(s.ok() || s.IsNotFound());
        return s.ok() ? std::optional(value) : std::nullopt;
    }

    [[nodiscard]] std::vector<std::string> paths() const { return files_of(path_, ".ldb"); }

private:
    void flush(leveldb::WriteBatch& batch) {
        EXPECT_TRUE(db_->Write({}, &batch).ok());
        batch.Clear();
    }

    std::string path_;
    leveldb::Options options_;
    std::unique_ptr<const leveldb::FilterPolicy> filter_;
    std::unique_ptr<leveldb::DB> db_;
};

TEST(Sstable, FindsWhatLevelDbFinds) {
    const unsigned count = keys_of_the_database();
    Database db;
    db.fill(count);
    const std::vector<std::string> paths = db.paths();
    ASSERT_GT(paths.size(), count > 50000 ? 2U : 0U);
    ASSERT_LE(paths.size(), static_cast<size_t>(CHAIN_FILES_MAX));
    tables all(paths);
    ASSERT_TRUE(all.chain());

    unsigned found = 0;
    const unsigned step = keys_between_lookups();
    for (unsigned n = 0; n < 2 * count; n += step) {
        const std::string key = key_of(n);
        const auto entries =
            all.look(key,
                     CHAIN_SSTABLE_INTERNAL | (n % 16 == 0 ? CHAIN_SSTABLE_CHECK : 0) |
                         (n % 3 == 0 ? CHAIN_SSTABLE_NO_FILTER : 0),
                     CHAIN_SSTABLE_FOOTER);
        // Tables of one level do not overlap.
        ASSERT_LE(std::count_if(entries.begin(), entries.end(), [](auto& e) { return !!e; }), 1)
            << key;
        const auto value = tables::newest(entries);
        ASSERT_EQ(value, db.get(key)) << key;
        found += value.has_value();
    }
    EXPECT_GT(found, count / step / 2);
    EXPECT_GT(all.filtered(), count / step / 4);
    EXPECT_STREQ(rr_chain_faults(all.chain()), "");
}

bytes plain_table(const std::map<std::string, std::string>& all, unsigned block_bytes,
                  bool filter) {
    const std::string path = directory + "/chain-table." + std::to_string(::getpid());
    const std::unique_ptr<const leveldb::FilterPolicy> policy(leveldb::NewBloomFilterPolicy(10));
    leveldb::Options options;
    options.compression = leveldb::kNoCompression;
    options.block_size = block_bytes;
    if (filter)
        options.filter_policy = policy.get();
    leveldb::WritableFile* out = nullptr;
    EXPECT_TRUE(leveldb::Env::Default()->NewWritableFile(path, &out).ok());
    leveldb::TableBuilder builder(options, out);
    for (const auto& [key, value] : all)
        builder.Add(key, value);
    EXPECT_TRUE(builder.Finish().ok());
    EXPECT_TRUE(out->Close().ok());
    delete out;
    const bytes file = whole_file(path);
    fs::remove(path);
    return file;
}

answer look(const bytes& table, const std::string& key, uint8_t flags) {
    return look_in(table, key, flags, CHAIN_SSTABLE_FOOTER);
}

TEST(Sstable, ReadsTablesWithPlainKeys) {
    std::mt19937 rng(seed);
    for (const bool filter : {false, true}) {
        const auto all = some_pairs(rng, 2000);
        const bytes table = plain_table(all, filter ? 4096 : 300, filter);
        for (unsigned n = 0; n < 3000; n++) {
            const std::string key =
                n < 2000 ? std::next(all.begin(), n)->first : key_of(rng() % 100000);
            const answer a = look(table, key, CHAIN_SSTABLE_CHECK);
            ASSERT_EQ(a.error, 0);
            const auto found = all.find(key);
            ASSERT_EQ(query_of<chain_sstable_query>(a).found, found != all.end()) << key;
            if (found != all.end())
                ASSERT_EQ(std::string(a.out.begin(), a.out.end()), found->second);
        }
    }
}

TEST(Sstable, DamageIsAnErrorAndNoAnswer) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 300);
    const bytes good = plain_table(all, 512, true);
    unsigned seen = 0;
    for (unsigned round = 0; round < rounds(4000); round++) {
        bytes table = good;
        // The footer has no checksum.
        table[rng() % (table.size() - CHAIN_SSTABLE_FOOTER)] ^=
            static_cast<uint8_t>(1 + rng() % 255);
        const auto& [key, value] = *std::next(all.begin(), rng() % all.size());
        const answer a = look(table, key, CHAIN_SSTABLE_CHECK);
        seen += a.error != 0;
        if (a.error == 0) {
            ASSERT_EQ(query_of<chain_sstable_query>(a).found, 1);
            ASSERT_EQ(std::string(a.out.begin(), a.out.end()), value);
        }
    }
    EXPECT_GT(seen, 10U);
}

TEST(Sstable, DamageWithoutChecksumsEnds) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 200);
    const bytes good = plain_table(all, 512, true);
    for (unsigned round = 0; round < rounds(20000); round++) {
        bytes table = good;
        // Often in the footer, the index and the filter, which are at the end.
        for (unsigned n = 1 + rng() % 5; n > 0; n--) {
            const size_t from = rng() % 3 == 0 ? 0 : table.size() - table.size() / 8;
            table[from + rng() % (table.size() - from)] = static_cast<uint8_t>(rng());
        }
        const auto& key = std::next(all.begin(), rng() % all.size())->first;
        const auto flags = static_cast<uint8_t>(rng() % 2 == 0 ? CHAIN_SSTABLE_INTERNAL : 0);
        ASSERT_NE(look(table, key, flags).error, -ELOOP);
    }
}

TEST(Sstable, SaysThatABlockIsCompressed) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 200);
    bytes table = plain_table(all, 1 << 20, false);
    // One data block, at the beginning: what follows it is its kind.
    const std::string key = all.begin()->first;
    ASSERT_EQ(look(table, key, 0).error, 0);
    size_t kind = 0;
    for (size_t at = 0; at + 5 < table.size() && kind == 0; at++) {
        rr_u32 crc = chain_crc32c(table.data(), static_cast<rr_u32>(at + 1)), there;
        crc = (crc >> 15 | crc << 17) + 0xa282ead8U;
        std::memcpy(&there, &table[at + 1], 4);
        if (crc == there)
            kind = at;
    }
    ASSERT_NE(kind, 0U);
    table[kind] = 1;
    EXPECT_EQ(look(table, key, 0).error, -EOPNOTSUPP);
    EXPECT_EQ(look(table, key, CHAIN_SSTABLE_CHECK).error, -EILSEQ);
}

TEST(Sstable, ChecksumIsCrc32c) {
    // RFC 3720, B.4.
    bytes b(32, 0);
    EXPECT_EQ(chain_crc32c(b.data(), 32), 0x8a9136aaU);
    b.assign(32, 0xff);
    EXPECT_EQ(chain_crc32c(b.data(), 32), 0x62a8ab43U);
    for (unsigned i = 0; i < 32; i++)
        b[i] = static_cast<uint8_t>(i);
    EXPECT_EQ(chain_crc32c(b.data(), 32), 0x46dd794eU);
    EXPECT_EQ(chain_crc32c(reinterpret_cast<const rr_u8*>("123456789"), 9), 0xe3069283U);
}

}  // namespace
}  // namespace rr::chained
