// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Steps of another thread in the middle of the engine's: `between` is called before each
// access to a word that threads share. To be included before the engine.
#pragma once

#include <functional>

namespace {

std::function<void()> between;

void meanwhile() {
    if (between)
        between();
}

}  // namespace

#define rr_interleave() meanwhile()
