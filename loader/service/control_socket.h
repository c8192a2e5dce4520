// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that answers questions, from the first step of a start to the last of
// a stop.
//
// It does nothing that waits for a disk: what takes long is handed to the thread
// whose work it is, together with the connection, and answered there. So `status`
// has an answer while a superblock is written to a slow disk.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"

namespace rr {

class control_socket {
public:
    // A request line and the connection it came on; returns the answer line, or
    // nothing when the connection is taken over. Called in the socket's thread.
    using request_handler = std::function<std::optional<std::string>(const std::string&, Fd&)>;

    // Listens at @path, in the place of a dead daemon's socket. The caller owns the
    // directory.
    static Result<std::unique_ptr<control_socket>> open(const std::string& path,
                                                        request_handler handler);
    // Ends the thread and removes the socket; who connects afterwards finds nobody.
    ~control_socket();
    control_socket(const control_socket&) = delete;
    control_socket& operator=(const control_socket&) = delete;

private:
    control_socket() = default;
    void main();
    void serve_client();

    [[nodiscard]] bool is_ours() const;

    std::string path_;
    ino_t inode_ = 0;  // somebody else may listen at the path since
    Fd listener_;
    Fd stop_event_;
    request_handler handler_;
    std::thread thread_;
};

}  // namespace rr
