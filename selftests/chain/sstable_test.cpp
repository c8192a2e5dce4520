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

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "chain/chain_steps.h"
#include "helpers.h"

namespace rr::chained {
namespace {

namespace fs = std::filesystem;

// Under TCG, and in a run of every test, fewer.
unsigned keys_of_the_database() {
    return kernel && !full ? 5000 : 100000;
}

std::string key_of(unsigned n) {
    char text[32];
    return {text, static_cast<size_t>(std::snprintf(text, sizeof(text), "user:%08u:name", n))};
}

std::string value_of(unsigned n) {
    return "value " + std::to_string(n) + std::string(n % 120, '.');
}

chain_sstable_query query_for(const std::string& key, uint8_t flags) {
    chain_sstable_query q{};
    q.flags = flags;
    q.key_bytes = static_cast<uint16_t>(key.size());
    std::memcpy(q.key, key.data(), std::min(key.size(), sizeof(q.key)));
    return q;
}

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

    [[nodiscard]] std::vector<std::string> tables() const {
        std::vector<std::string> found;
        for (const auto& f : fs::directory_iterator(path_))
            if (f.path().extension() == ".ldb")
                found.push_back(f.path());
        return found;
    }

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
    const std::vector<std::string> paths = db.tables();
    ASSERT_GT(paths.size(), count > 50000 ? 2U : 0U);
    ASSERT_LE(paths.size(), static_cast<size_t>(CHAIN_FILES_MAX));
    std::vector<rr_chain_file> files;
    for (const std::string& p : paths)
        files.push_back({p.c_str(), 0});
    rr_chain_options o{};
    o.size = sizeof(o);
    o.files = files.data();
    o.files_count = static_cast<unsigned>(files.size());
    o.block_bytes = 128 << 10;
    o.scratch_bytes = sizeof(chain_sstable_query);
    o.cache_blocks = 64;
    o.depth = 32;
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);

    unsigned found = 0, filtered = 0;
    const unsigned step = full ? 1 : 11;
    for (unsigned n = 0; n < 2 * count; n += step) {
        const std::string key = key_of(n);
        // One look-up in each table, all at once; tables of one level do not overlap.
        std::vector<rr_chain_lookup> lookups;
        const auto q =
            query_for(key, CHAIN_SSTABLE_INTERNAL | (n % 16 == 0 ? CHAIN_SSTABLE_CHECK : 0) |
                               (n % 3 == 0 ? CHAIN_SSTABLE_NO_FILTER : 0));
        for (unsigned f = 0; f < files.size(); f++) {
            rr_chain_lookup l{};
            l.step = RR_CHAIN_SSTABLE;
            l.file = f;
            l.bytes = CHAIN_SSTABLE_FOOTER;
            l.offset = static_cast<uint64_t>(rr_chain_file_bytes(chain.get(), f)) - l.bytes;
            l.keep = 1;
            l.scratch = &q;
            l.scratch_bytes = sizeof(q);
            lookups.push_back(l);
        }
        const auto all = static_cast<unsigned>(lookups.size());
        ASSERT_EQ(rr_chain_submit(chain.get(), lookups.data(), all), static_cast<int>(all));
        std::vector<rr_chain_result> results(all);
        ASSERT_EQ(rr_chain_wait(chain.get(), all, results.data(), all), static_cast<int>(all))
            << rr_chain_error();
        std::optional<std::string> value;
        for (const rr_chain_result& r : results) {
            ASSERT_EQ(r.error, 0) << key;
            const auto* after = static_cast<const chain_sstable_query*>(r.scratch);
            filtered += after->filtered;
            if (after->found == 0)
                continue;
            ASSERT_FALSE(value) << key << " is in two tables";
            if (after->deleted == 0)
                value = std::string(static_cast<const char*>(r.out), r.out_bytes);
        }
        ASSERT_EQ(value, db.get(key)) << key;
        found += value.has_value();
    }
    EXPECT_GT(found, count / step / 2);
    EXPECT_GT(filtered, count / step / 4);
    EXPECT_STREQ(rr_chain_faults(chain.get()), "");
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
    std::ifstream in(path, std::ios::binary);
    bytes file(std::istreambuf_iterator<char>(in), {});
    fs::remove(path);
    return file;
}

std::map<std::string, std::string> some_pairs(std::mt19937& rng, unsigned count) {
    std::map<std::string, std::string> all;
    while (all.size() < count)
        all[key_of(rng() % 100000)] = value_of(rng() % 100);
    return all;
}

answer look(const bytes& table, const std::string& key, uint8_t flags) {
    if (table.size() < CHAIN_SSTABLE_FOOTER)
        return {};
    return run_query(RR_CHAIN_SSTABLE, table, table.size() - CHAIN_SSTABLE_FOOTER,
                     CHAIN_SSTABLE_FOOTER, query_for(key, flags));
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
    for (int round = 0; round < 4000; round++) {
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
    for (int round = 0; round < 20000; round++) {
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
