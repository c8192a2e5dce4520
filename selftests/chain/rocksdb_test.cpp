// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The reader of RocksDB's tables against RocksDB and its sst_dump: a database of 10^5
// keys; tables in every version of the format that is read; those that are refused;
// damage.
#include <rocksdb/comparator.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "tables.h"

namespace rr::chained {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t magic = CHAIN_ROCKSDB_MAGIC;
// What a look-up may begin with.
constexpr uint32_t footers[] = {CHAIN_SSTABLE_FOOTER, CHAIN_ROCKSDB_FOOTER};

// As Debian's library makes tables, but for their compression.
rocksdb::Options plain_options(const rocksdb::BlockBasedTableOptions& table) {
    rocksdb::Options o;
    o.create_if_missing = true;
    o.compression = rocksdb::kNoCompression;
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return o;
}

// Even numbers are keys, in tables of one level; then some were overwritten and some
// deleted, in a table of another.
class Database {
public:
    Database() : path_(directory + "/chain-rocksdb." + std::to_string(::getpid())) {
        fs::remove_all(path_);
        rocksdb::BlockBasedTableOptions table;
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        rocksdb::Options o = plain_options(table);
        o.target_file_size_base = 2 << 20;
        o.disable_auto_compactions = true;
        rocksdb::DB* db = nullptr;
        const rocksdb::Status s = rocksdb::DB::Open(o, path_, &db);
        EXPECT_TRUE(s.ok()) << s.ToString();
        db_.reset(db);
    }
    ~Database() {
        db_.reset();
        fs::remove_all(path_);
    }

    void fill(unsigned count) {
        rocksdb::WriteBatch batch;
        for (unsigned n = 0; n < count; n++) {
            EXPECT_TRUE(batch.Put(key_of(2 * n), value_of(n)).ok());
            if (n % 1000 == 999)
                write(batch);
        }
        write(batch);
        rocksdb::CompactRangeOptions whole;
        whole.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
        EXPECT_TRUE(db_->CompactRange(whole, nullptr, nullptr).ok());
        for (unsigned n = 0; n < count; n += 5)
            EXPECT_TRUE(batch.Put(key_of(2 * n), value_of(n + 1)).ok());
        for (unsigned n = 0; n < count; n += 7)
            EXPECT_TRUE(n % 2 == 0 ? batch.Delete(key_of(2 * n)).ok()
                                   : batch.SingleDelete(key_of(2 * n)).ok());
        write(batch);
        EXPECT_TRUE(db_->Flush({}).ok());
    }

    std::optional<std::string> get(const std::string& key) {
        std::string value;
        const rocksdb::Status s = db_->Get({}, key, &value);
        EXPECT_TRUE(s.ok() || s.IsNotFound());
        return s.ok() ? std::optional(value) : std::nullopt;
    }

    [[nodiscard]] std::vector<std::string> paths() const { return files_of(path_, ".sst"); }

private:
    void write(rocksdb::WriteBatch& batch) {
        EXPECT_TRUE(db_->Write({}, &batch).ok());
        batch.Clear();
    }

    std::string path_;
    std::unique_ptr<rocksdb::DB> db_;
};

TEST(Rocksdb, FindsWhatRocksDbFinds) {
    const unsigned count = keys_of_the_database();
    Database db;
    db.fill(count);
    const std::vector<std::string> paths = db.paths();
    ASSERT_GT(paths.size(), count > 50000 ? 3U : 1U);
    ASSERT_LE(paths.size(), static_cast<size_t>(CHAIN_FILES_MAX));
    tables all(paths);
    ASSERT_TRUE(all.chain());
    unsigned found = 0;
    const unsigned step = keys_between_lookups();
    for (unsigned n = 0; n < 2 * count; n += step) {
        const std::string key = key_of(n);
        const auto value =
            tables::newest(all.look(key, n % 4 == 0 ? CHAIN_SSTABLE_CHECK : 0, footers[n % 2]));
        ASSERT_EQ(value, db.get(key)) << key;
        found += value.has_value();
    }
    EXPECT_GT(found, count / step / 2);
    EXPECT_STREQ(rr_chain_faults(all.chain()), "");
}

using dumped = std::map<std::string, found_entry>;

// What sst_dump says of a table: 'KEY' seq:N, type:N => VALUE. The first entry of a
// key is the newest.
dumped dump(const std::string& path) {
    dumped all;
    FILE* out = ::popen(("sst_dump --command=scan --file=" + path).c_str(), "r");
    char line[1024];
    while (out != nullptr && std::fgets(line, sizeof(line), out) != nullptr) {
        char key[512];
        unsigned long sequence = 0;
        int type = -1, value = 0;
        if (std::sscanf(line, "'%511[^']' seq:%lu, type:%d => %n", key, &sequence, &type, &value) !=
                3 ||
            value == 0)
            continue;
        std::string text(line + value);
        text.resize(text.find_last_not_of('\n') + 1);
        all.try_emplace(key, found_entry{type != 1, sequence, text});
    }
    EXPECT_EQ(::pclose(out), 0);
    return all;
}

TEST(Rocksdb, FindsWhatTheToolSays) {
    if (kernel)
        GTEST_SKIP() << "no tool here";
    const unsigned count = keys_of_the_database();
    Database db;
    db.fill(count);
    const std::vector<std::string> paths = db.paths();
    std::vector<dumped> said;
    size_t entries = 0;
    for (const std::string& p : paths) {
        said.push_back(dump(p));
        entries += said.back().size();
    }
    ASSERT_GT(entries, count);
    tables all(paths);
    for (unsigned n = 0; n < 2 * count; n += keys_between_lookups()) {
        const std::string key = key_of(n);
        const auto found = all.look(key, 0, CHAIN_ROCKSDB_FOOTER);
        for (size_t f = 0; f < paths.size(); f++) {
            const auto is = said[f].find(key);
            const auto want = is == said[f].end() ? std::nullopt : std::optional(is->second);
            ASSERT_EQ(found[f], want) << key << " in " << paths[f];
        }
    }
}

using change = std::function<void(rocksdb::Options&, rocksdb::BlockBasedTableOptions&)>;

bytes table_of(const std::map<std::string, std::string>& all, const change& how,
               const std::function<void(rocksdb::SstFileWriter&)>& more = {}) {
    const std::string path = directory + "/chain-sst." + std::to_string(::getpid());
    rocksdb::BlockBasedTableOptions table;
    rocksdb::Options o = plain_options(table);
    how(o, table);
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), o);
    EXPECT_TRUE(writer.Open(path).ok());
    const bool backwards = o.comparator == rocksdb::ReverseBytewiseComparator();
    if (backwards)
        for (auto p = all.rbegin(); p != all.rend(); ++p)
            EXPECT_TRUE(writer.Put(p->first, p->second).ok());
    for (const auto& [key, value] : all)
        EXPECT_TRUE(backwards || writer.Put(key, value).ok());
    if (more)
        more(writer);
    const rocksdb::Status s = writer.Finish();
    EXPECT_TRUE(s.ok()) << s.ToString();
    bytes b = whole_file(path);
    fs::remove(path);
    return b;
}

answer ask(const bytes& table, const std::string& key, uint8_t flags = 0) {
    return look_in(table, key, flags, CHAIN_ROCKSDB_FOOTER);
}

void expect_pairs(const bytes& table, const std::map<std::string, std::string>& all,
                  std::mt19937& rng) {
    for (unsigned n = 0; n < 2 * all.size(); n++) {
        const std::string key =
            n < all.size() ? std::next(all.begin(), n)->first : key_of(rng() % 100000);
        const answer a = look_in(table, key, CHAIN_SSTABLE_CHECK, footers[n % 2]);
        ASSERT_EQ(a.error, 0) << key;
        const auto found = all.find(key);
        ASSERT_EQ(query_of<chain_sstable_query>(a).found, found != all.end()) << key;
        if (found != all.end())
            ASSERT_EQ(std::string(a.out.begin(), a.out.end()), found->second);
    }
}

TEST(Rocksdb, ReadsEveryVersionOfTheFormat) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 400);
    for (const uint32_t version : {2U, 3U, 4U, 5U, 6U})
        for (const auto sum : {rocksdb::kNoChecksum, rocksdb::kCRC32c, rocksdb::kXXH3})
            for (const int interval : {1, 16}) {
                const bytes table = table_of(all, [&](auto&, auto& t) {
                    t.format_version = version;
                    t.checksum = sum;
                    t.index_block_restart_interval = interval;
                    t.block_size = interval == 1 ? 300 : 2000;
                });
                uint32_t written = 0;
                std::memcpy(&written, &table[table.size() - 12], 4);
                ASSERT_EQ(written, version);
                expect_pairs(table, all, rng);
                ASSERT_FALSE(HasFatalFailure()) << version << " " << int{sum} << " " << interval;
            }
}

TEST(Rocksdb, RefusesWhatItWouldMisread) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 400);
    const std::string key = all.begin()->first;
    const auto unchanged = [](auto&, auto&) {};
    ASSERT_EQ(ask(table_of(all, unchanged), key).error, 0);
    const std::map<std::string, change> refused = {
        {"compressed", [](auto& o, auto&) { o.compression = rocksdb::kSnappyCompression; }},
        {"an index of partitions", [](auto&, auto& t) { t.index_type = t.kTwoLevelIndexSearch; }},
        {"an index with first keys",
         [](auto&, auto& t) { t.index_type = t.kBinarySearchWithFirstKey; }},
        {"an index of hashes",
         [](auto& o, auto& t) {
             o.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(7));
             t.index_type = t.kHashSearch;
         }},
        {"blocks with hashes",
         [](auto&, auto& t) { t.data_block_index_type = t.kDataBlockBinaryAndHash; }},
        {"another order",
         [](auto& o, auto&) { o.comparator = rocksdb::ReverseBytewiseComparator(); }},
        {"time stamps",
         [](auto& o, auto&) { o.comparator = rocksdb::BytewiseComparatorWithU64Ts(); }},
    };
    for (const auto& [name, how] : refused)
        if (name != "time stamps")
            EXPECT_EQ(ask(table_of(all, how), key).error, -EOPNOTSUPP) << name;
    EXPECT_EQ(
        ask(table_of({}, refused.at("time stamps"),
                     [&](auto& w) { EXPECT_TRUE(w.Put(key, std::string(8, '\1'), "value").ok()); }),
            key)
            .error,
        -EOPNOTSUPP);
    EXPECT_EQ(
        ask(table_of(all, unchanged, [](auto& w) { EXPECT_TRUE(w.DeleteRange("x", "y").ok()); }),
            key)
            .error,
        -EOPNOTSUPP);
    // A merge is refused where it is met, and not before.
    const bytes merge =
        table_of(all, unchanged, [](auto& w) { EXPECT_TRUE(w.Merge("zz", "and more").ok()); });
    EXPECT_EQ(ask(merge, "zz").error, -EOPNOTSUPP);
    EXPECT_EQ(ask(merge, key).error, 0);
    // Checksums of a kind that is not known: they cannot be checked.
    const bytes sums = table_of(all, [](auto&, auto& t) { t.checksum = rocksdb::kxxHash64; });
    EXPECT_EQ(ask(sums, key).error, 0);
    EXPECT_EQ(ask(sums, key, CHAIN_SSTABLE_CHECK).error, -EOPNOTSUPP);
    for (const uint8_t version : {0, 1, 7, 255}) {
        bytes table = table_of(all, unchanged);
        table[table.size() - 12] = version;
        EXPECT_EQ(ask(table, key).error, -EOPNOTSUPP) << int{version};
    }
}

TEST(Rocksdb, DamageIsAnErrorAndNoAnswer) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 300);
    const bytes good = table_of(all, [](auto&, auto& t) { t.block_size = 512; });
    unsigned seen = 0;
    // The footer has a checksum, too.
    for (unsigned round = 0; round < rounds(4000); round++) {
        bytes table = good;
        table[rng() % table.size()] ^= static_cast<uint8_t>(1 + rng() % 255);
        const auto& [key, value] = *std::next(all.begin(), rng() % all.size());
        const answer a = ask(table, key, CHAIN_SSTABLE_CHECK);
        seen += a.error != 0;
        if (a.error == 0) {
            ASSERT_EQ(query_of<chain_sstable_query>(a).found, 1);
            ASSERT_EQ(std::string(a.out.begin(), a.out.end()), value);
        }
    }
    EXPECT_GT(seen, 10U);
}

TEST(Rocksdb, DamageWithoutChecksumsEnds) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 200);
    for (const uint32_t version : {2U, 5U, 6U}) {
        const bytes good = table_of(all, [&](auto&, auto& t) {
            t.format_version = version;
            t.block_size = 512;
            t.index_block_restart_interval = 4;
        });
        for (unsigned round = 0; round < rounds(10000); round++) {
            bytes table = good;
            for (unsigned n = 1 + rng() % 5; n > 0; n--) {
                const size_t from = rng() % 3 == 0 ? 0 : table.size() - table.size() / 5;
                table[from + rng() % (table.size() - from)] = static_cast<uint8_t>(rng());
            }
            const auto& key = std::next(all.begin(), rng() % all.size())->first;
            ASSERT_NE(ask(table, key).error, -ELOOP);
        }
    }
}

TEST(Rocksdb, APieceOfATableIsNone) {
    std::mt19937 rng(seed);
    const auto all = some_pairs(rng, 100);
    const bytes good = table_of(all, [](auto&, auto&) {});
    for (size_t cut = 1; cut < good.size(); cut += 1 + cut / 8) {
        const bytes piece(good.begin() + static_cast<std::ptrdiff_t>(cut), good.end());
        if (piece.size() >= CHAIN_ROCKSDB_FOOTER)
            EXPECT_NE(ask(piece, all.begin()->first, CHAIN_SSTABLE_CHECK).error, 0) << cut;
    }
    // Nothing but the number at the end.
    bytes end(CHAIN_ROCKSDB_FOOTER);
    std::memcpy(&end[45], &magic, 8);
    for (const uint8_t version : {2, 6}) {
        end[41] = version;
        EXPECT_EQ(ask(end, "key").error, -EUCLEAN);
        EXPECT_LT(look_in({end.begin() + 5, end.end()}, "key", 0, CHAIN_SSTABLE_FOOTER).error, 0);
    }
}

// XXH3 of xxHash 0.8 of bytes 0, 7, 14...
TEST(Rocksdb, ChecksumIsXxh3) {
    const std::pair<unsigned, uint64_t> known[] = {
        {17, 0xf34c3c9cf5a112d1ULL},   {32, 0x99cb9ad0f1a11fbeULL},   {33, 0xc077b45492d29cdeULL},
        {64, 0x6efb76ff16f37561ULL},   {65, 0x2640848e9137156bULL},   {128, 0x65f3c2c00fa93185ULL},
        {129, 0x28065c6ec25f5b25ULL},  {143, 0x2a0cabb0c54e9ca6ULL},  {144, 0x600e8d345ff9620dULL},
        {240, 0x4917a75c0ef8eed7ULL},  {241, 0x541b19226f0052e8ULL},  {1024, 0xdc5acf0b043c445bULL},
        {1025, 0xe1d9cd946277ae26ULL}, {1088, 0x4a9c221912b93194ULL}, {5000, 0x6abe8be5abcb2760ULL},
    };
    bytes b(5000);
    for (unsigned i = 0; i < b.size(); i++)
        b[i] = static_cast<uint8_t>(i * 7);
    for (const auto& [length, sum] : known)
        EXPECT_EQ(chain_xxh3(b.data(), length), sum) << length;
}

}  // namespace
}  // namespace rr::chained
