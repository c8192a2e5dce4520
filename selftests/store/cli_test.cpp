// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The commands: what they print, as text and as JSON, and how they refuse.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "helpers.h"

namespace rr::store {
namespace {

class Commands : public StoreTest {
protected:
    struct answer {
        int code = -1;
        std::string text;
    };

    void SetUp() override {
        StoreTest::SetUp();
        files_ = fmt::format("/tmp/rr_store_cli_{}", ::getpid());
        std::filesystem::create_directories(files_);
    }
    void TearDown() override {
        StoreTest::TearDown();
        std::filesystem::remove_all(files_);
    }

    [[nodiscard]] std::string file(const std::string& name) const { return files_ + "/" + name; }
    static std::string object(const std::string& name) {
        return fmt::format("{}/{}.bpf.o", RR_STORE_OBJECTS, name);
    }

    // ringraid store ARGS, all that it says.
    static answer run(const std::string& args) {
        const std::string line = fmt::format("{}/ringraid store {} 2>&1", RR_STORE_BUILD, args);
        answer out;
        FILE* pipe = ::popen(line.c_str(), "r");
        char part[4096];
        for (size_t n = 0; (n = std::fread(part, 1, sizeof(part), pipe)) > 0;)
            out.text.append(part, n);
        const int status = ::pclose(pipe);
        out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        return out;
    }
    static nlohmann::json json(const std::string& args, int code = 0) {
        const answer a = run("--json " + args);
        EXPECT_EQ(a.code, code) << a.text;
        nlohmann::json j = nlohmann::json::parse(a.text, nullptr, false);
        EXPECT_FALSE(j.is_discarded()) << a.text;
        EXPECT_EQ(j.value("schema", 0), 1) << a.text;
        return j;
    }
    static void expect_refused(const std::string& args, const char* said) {
        const answer a = run(args);
        EXPECT_EQ(a.code, 1) << args;
        EXPECT_NE(a.text.find(said), std::string::npos) << a.text;
        EXPECT_NE(a.text.find("hint: "), std::string::npos) << a.text;
        const nlohmann::json j = json(args, 1);
        EXPECT_FALSE(j.value("ok", true));
        EXPECT_NE(j.value("error", "").find(said), std::string::npos) << j;
        EXPECT_FALSE(j.value("hint", "").empty()) << j;
    }

    std::string files_;
};

TEST_F(Commands, ValuesByTheirTypes) {
    const std::string s = pin("store");
    EXPECT_TRUE(json(fmt::format("init {} {}", s, object("flow_v1")))["ok"]);
    EXPECT_EQ(run(fmt::format("get {} limits", s)).text, "{\"burst\":10,\"rate\":100}\n");
    EXPECT_EQ(run(fmt::format("set {} limits '{{\"rate\":7}}'", s)).code, 0);
    EXPECT_EQ(json(fmt::format("get {} 2", s))["value"],
              (nlohmann::json{{"rate", 7}, {"burst", 10}}));
    expect_refused(fmt::format("set {} limits '{{\"speed\":7}}'", s), "speed");
    expect_refused(fmt::format("set {} sample 5", s), "owner");
    EXPECT_EQ(run(fmt::format("set --pause {} sample 5", s)).code, 0);
    expect_refused(fmt::format("set --pause {} sample 5000", s), "1 to 1000");
    EXPECT_EQ(run(fmt::format("get {} sample", s)).text, "5\n");
    expect_refused(fmt::format("get {} nobody", s), "no key nobody");
    expect_refused(fmt::format("get {} limits", pin("none")), "cannot open the store");
    EXPECT_TRUE(json(fmt::format("verify {}", s))["ok"]);
}

TEST_F(Commands, DumpExplainsTheStore) {
    const std::string s = pin("store");
    ASSERT_EQ(run(fmt::format("init {} {}", s, object("flow_v2"))).code, 0);
    const nlohmann::json all = json(fmt::format("dump {}", s));
    EXPECT_EQ(all["program"], "flow");
    EXPECT_EQ(all["version"], 2);
    EXPECT_EQ(all["state"], "idle");
    std::map<std::string, nlohmann::json> keys;
    for (const nlohmann::json& k : all["keys"])
        keys[k["name"]] = k;
    EXPECT_EQ(keys["limits"]["type"], "struct limits");
    EXPECT_EQ(keys["limits"]["size"], 16);
    EXPECT_EQ(keys["limits"]["align"], 8);
    EXPECT_EQ(keys["limits"]["sync"], "seq");
    EXPECT_EQ(keys["limits"]["hash"].get<std::string>().size(), 16u);
    EXPECT_EQ(keys["limits"]["default"]["window"], 60);
    EXPECT_EQ(keys["sampling"]["range"], (nlohmann::json{1, 1000000}));
    EXPECT_EQ(keys["sampling"]["was"], "sample");
    EXPECT_EQ(keys["milliseconds"]["up"], "to_ms");
    EXPECT_EQ(keys["milliseconds"]["down"], "from_ms");
    EXPECT_EQ(keys["scratch"]["persist"], "reset");
    EXPECT_EQ(keys["guess"]["value"], 0.5);
    const answer text = run(fmt::format("dump {}", s));
    EXPECT_NE(text.text.find("{\"burst\":10,\"rate\":100,\"window\":60}"), std::string::npos)
        << text.text;
}

TEST_F(Commands, KeysMadeAtRunTime) {
    const std::string s = pin("store");
    ASSERT_EQ(run(fmt::format("init {} {}", s, object("flow_v1"))).code, 0);
    EXPECT_EQ(run(fmt::format("make {} counter 0102 --seq", s)).text, "counter is key 0\n");
    EXPECT_EQ(run(fmt::format("get {} counter", s)).text, "0102\n");
    EXPECT_EQ(run(fmt::format("set {} counter 0a0b", s)).code, 0);
    EXPECT_EQ(run(fmt::format("get {} 0", s)).text, "0a0b\n");
    expect_refused(fmt::format("set {} counter 0a0b0c", s), "2 bytes");
    expect_refused(fmt::format("set {} counter 0x", s), "hexadecimal");
    expect_refused(fmt::format("make {} counter 01", s), "called counter");
    expect_refused(fmt::format("delete {} limits", s), "declared");
    // Any bytes may be a name; what is printed stays JSON.
    EXPECT_EQ(run(fmt::format("make {} \"$(printf '\\377\\376')\" 010203", s)).code, 0);
    (void)json(fmt::format("dump {}", s));
    EXPECT_EQ(run(fmt::format("dump {}", s)).code, 0);
    EXPECT_EQ(run(fmt::format("export {} {}", s, file("odd.json"))).code, 1);  // an OWNER key
    EXPECT_EQ(run(fmt::format("export --parked {} {}", s, file("odd.json"))).code, 0);
    EXPECT_EQ(run(fmt::format("delete {} counter", s)).text, "key 0 is gone\n");
    expect_refused(fmt::format("get {} counter", s), "no key counter");
}

TEST_F(Commands, ExportImportCompact) {
    const std::string s = pin("store");
    ASSERT_EQ(run(fmt::format("init {} {}", s, object("flow_v1"))).code, 0);
    ASSERT_EQ(run(fmt::format("set {} packets 42", s)).code, 0);
    ASSERT_EQ(run(fmt::format("make {} one 01", s)).code, 0);
    ASSERT_EQ(run(fmt::format("make {} two 02", s)).code, 0);
    ASSERT_EQ(run(fmt::format("export --pause {} {}", s, file("all.json"))).code, 0);
    const std::string t = pin("other");
    ASSERT_EQ(run(fmt::format("init {} {}", t, object("flow_v1"))).code, 0);
    expect_refused(fmt::format("import {} {}", t, file("all.json")), "owner");
    EXPECT_EQ(run(fmt::format("get {} packets", t)).text, "0\n");
    const nlohmann::json done = json(fmt::format("import --pause {} {}", t, file("all.json")));
    EXPECT_GE(done["values"], 7);
    EXPECT_EQ(run(fmt::format("get {} packets", t)).text, "42\n");
    EXPECT_EQ(run(fmt::format("get {} two", t)).text, "02\n");
    std::ofstream(file("broken.json")) << "{\"kind\":";
    expect_refused(fmt::format("import {} {}", t, file("broken.json")), "not JSON");
    expect_refused(fmt::format("import {} {}", t, object("flow_v1")), "not JSON");
    ASSERT_EQ(run(fmt::format("delete {} one", t)).code, 0);
    expect_refused(fmt::format("compact {}", t), "loaded anew");
    expect_refused(fmt::format("compact {} {}", t, object("flow_v2")), "another version");
    const nlohmann::json packed = json(fmt::format("compact {} {}", t, object("flow_v1")));
    EXPECT_EQ(packed["to_version"], 1);
    EXPECT_EQ(json(fmt::format("dump {}", t))["fragmentation_percent"], 0);
    EXPECT_EQ(run(fmt::format("get {} two", t)).text, "02\n");
}

TEST_F(Commands, RollOuts) {
    const std::string s = pin("store");
    ASSERT_EQ(run(fmt::format("init {} {}", s, object("flow_v1"))).code, 0);
    // Between two objects, and from the store to one.
    EXPECT_FALSE(json(fmt::format("diff {} {}", object("flow_v1"), object("flow_v2")))["blocked"]);
    EXPECT_TRUE(json(fmt::format("diff {} {}", s, object("flow_v3")), 1)["blocked"]);
    const nlohmann::json no = json(fmt::format("plan {} {}", s, object("flow_v3")), 1);
    EXPECT_TRUE(no["blocked"]);
    EXPECT_FALSE(no["ok"]);
    EXPECT_NE(run(fmt::format("plan {} {}", s, object("flow_v3"))).text.find("REFUSED"),
              std::string::npos);
    expect_refused(fmt::format("apply {} {}", s, object("flow_v3")), "lose or guess");
    expect_refused(fmt::format("apply {} {}", s, object("keys")), "belongs to the program flow");
    expect_refused(fmt::format("apply {} {}", s, object("flow_v1")), "already");
    expect_refused(fmt::format("commit {}", s), "nothing to commit");
    EXPECT_EQ(json(fmt::format("recover {}", s))["state"], "settled");
    EXPECT_EQ(json(fmt::format("plan {} {}", s, object("flow_v2")))["to_version"], 2);
    const nlohmann::json done = json(fmt::format("apply {} {}", s, object("flow_v2")));
    EXPECT_EQ(done["to_version"], 2);
    EXPECT_GT(done["pause_ns"], 0);
    EXPECT_EQ(json(fmt::format("recover {}", s))["state"], "new");
    EXPECT_EQ(json(fmt::format("rollback {}", s))["to_version"], 1);
    ASSERT_EQ(run(fmt::format("apply {} {}", s, object("flow_v2"))).code, 0);
    EXPECT_TRUE(json(fmt::format("commit {}", s))["ok"]);
    EXPECT_EQ(json(fmt::format("dump {}", s))["version"], 2);
}

}  // namespace
}  // namespace rr::store
