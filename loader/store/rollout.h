// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From one version of a program to the next, and back.
//
//   load      the new program is verified by the kernel; nothing runs it
//   attach    beside the old one where that is possible; its gate is shut
//   pause     the gate shuts for all; wait for the programs that run
//   convert   every value into the other bank; read back and compared
//   swap      links that had to wait for the pause
//   flip      one store to the state word: the other bank is the active one
//   resume    the gate opens for the new version
//
// The flip is the only moment that decides. Before it the old bank is whole
// and untouched, after it the new one; a process killed anywhere leaves one
// of the two, and recover() makes the rest agree with the state word. What is
// in between is written down in the header: the phase, and the links.
//
// commit() ends the probation and frees the old bank. rollback() carries back
// what the new version wrote, by the same rules, into the old bank: a value
// that the old version cannot express stays what it was when the new version
// came. The old bank keeps its places, so the old program fits as it is.
// Both may be repeated after a crash: they read one bank and write the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/diff.h"
#include "store/store.h"

namespace rr::store {

// What a roll-out needs of whoever runs the programs. Everything here may be
// called again after a crash and must then change nothing that is done.
class program_host {
public:
    virtual ~program_host() = default;
    // The new program, its keys resolved to @placed, verified; nothing runs it.
    // The converters that the step from @from needs are there and fit.
    virtual Status load(const manifest& from, const manifest& placed, const baking& how) = 0;
    // Makes it ready to run at the flip. May write the header's journal.
    virtual Status attach(const area&) { return {}; }
    // True when park() itself keeps programs off, so that no gate is needed.
    [[nodiscard]] virtual bool parks() const { return false; }
    // After this no program touches the store until resume().
    virtual Status park() { return {}; }
    virtual Status swap(const area& at, bool to_new) = 0;
    virtual void resume() {}
    // The losing version is let go.
    virtual Status finish(const area& at, bool keep_new) = 0;
    // The version that values come from: whose way down is taken.
    virtual void come_from(uint32_t generation) { (void)generation; }
    // Runs the converter of a key. Number and hash of the type that it makes
    // find it again in another process.
    virtual Status convert(const std::string& function, uint16_t key_id, uint64_t to_hash,
                           direction way, const_bytes old, std::span<uint8_t> fresh) = 0;
};

// For stores whose programs resolve nothing at load, or that have none.
class no_programs : public program_host {
public:
    Status load(const manifest&, const manifest&, const baking&) override { return {}; }
    [[nodiscard]] bool parks() const override { return true; }
    Status swap(const area&, bool) override { return {}; }
    Status finish(const area&, bool) override { return {}; }
    Status convert(const std::string& function, uint16_t, uint64_t, direction, const_bytes,
                   std::span<uint8_t>) override {
        return fail(ENOTSUP, "nobody runs the converter {}()", function);
    }
};

struct rollout_options {
    accepted words;
    // Called before each step, "pause", "value 7", ...: for progress, and for
    // tests that end the process there.
    std::function<void(const std::string&)> on_step;
};

struct rollout_report {
    uint32_t from_version = 0;
    uint32_t to_version = 0;
    uint32_t generation = 0;
    std::vector<key_diff> keys;         // without from and to
    std::vector<std::string> kept_old;  // rollback: what could not be carried back
    uint32_t values = 0;                // written
    uint64_t bytes = 0;                 // of them
    uint64_t pause_ns = 0;
};

// A dry run on a copy: converts everything, changes nothing. The host may be
// null, then converters are not run.
Result<rollout_report> plan(const store& in, const manifest& to, program_host* host,
                            const rollout_options& how);

Result<rollout_report> apply(store& in, const manifest& to, program_host& host,
                             const rollout_options& how);
Result<rollout_report> rollback(store& in, program_host& host, const rollout_options& how);
Status commit(store& in, program_host& host, const rollout_options& how = {});

// Same manifest, other bank, no gaps. The program is loaded anew for it.
Result<rollout_report> compact(store& in, program_host& host, const rollout_options& how);

enum class whole { old_state, new_state, settled };
struct recovery {
    whole state = whole::settled;
    std::string sentence;  // what was found and what was done
};
Result<recovery> recover(store& in, program_host& host);

// All that a store says of itself holds together; the first that does not.
Status verify(const store& in);

// How much of the pages in use is gaps, percent.
[[nodiscard]] uint32_t fragmentation(const store& in);

[[nodiscard]] const char* phase_name(uint32_t phase);

}  // namespace rr::store
