// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/scribe.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace rr {
namespace {

constexpr size_t waiting_most = 256;
constexpr size_t stack_bytes = size_t{256} << 10;
constexpr auto patience = std::chrono::seconds(5);

}  // namespace

struct scribe::shared {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> waiting;
    bool ending = false;
    bool ended = false;
};

// Detached, as it may never come back; what it uses is its own. Its stack is locked
// memory, as all of the daemon's, and small files take little.
scribe::scribe() : of_(std::make_shared<shared>()) {
    auto begin = [](void* of) -> void* {
        const std::unique_ptr<std::shared_ptr<shared>> mine(
            static_cast<std::shared_ptr<shared>*>(of));
        main(*mine);
        return nullptr;
    };
    auto mine = std::make_unique<std::shared_ptr<shared>>(of_);
    pthread_attr_t how;
    pthread_t thread;
    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, stack_bytes);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &how, begin, mine.get()) == 0)
        (void)mine.release();
    else
        of_->ended = true;
    pthread_attr_destroy(&how);
}

scribe::~scribe() {
    std::unique_lock hold(of_->lock);
    of_->ending = true;
    of_->changed.notify_all();
    of_->changed.wait_for(hold, patience, [this] { return of_->ended; });
}

bool scribe::post(std::function<void()> write) {
    std::lock_guard hold(of_->lock);
    if (of_->ended || of_->waiting.size() >= waiting_most)
        return false;
    of_->waiting.push_back(std::move(write));
    of_->changed.notify_all();
    return true;
}

void scribe::main(const std::shared_ptr<shared>& of) {
    pthread_setname_np(pthread_self(), "rr-scribe");
    std::unique_lock hold(of->lock);
    for (;;) {
        of->changed.wait(hold, [&of] { return of->ending || !of->waiting.empty(); });
        if (of->waiting.empty())
            break;
        {
            const std::function<void()> write = std::move(of->waiting.front());
            of->waiting.pop_front();
            hold.unlock();
            write();
        }
        hold.lock();
    }
    of->ended = true;
    of->changed.notify_all();
}

}  // namespace rr
