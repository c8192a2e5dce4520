#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An array that only talks: fake_array.py STATUS-FILE.

It leaves in /run/ringraid what a daemon leaves there, answers `status` with the file,
read anew each time, and every other command with "ok"; it says what it was asked on
standard output. Gone with SIGTERM, as kill -9 leaves a dead daemon's files.
"""
import json
import os
import signal
import socket
import sys


def started(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[19])


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        status = json.load(file)
    where = "/run/ringraid/" + status["uuid"].replace(":", "-")
    os.makedirs(where, mode=0o700, exist_ok=True)
    os.chmod("/run/ringraid", 0o700)
    at = where + "/control.sock"
    if os.path.exists(at):
        os.unlink(at)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at)
    listener.listen()
    state = {k: status[k] for k in ("schema", "name", "uuid", "engine", "block_device")}
    state.update(pid=os.getpid(), started=started(os.getpid()), socket=at,
                 device=int(status["block_device"].rsplit("b", 1)[1]),
                 devices=[m["device"] for m in status["members"] if m["device"]])
    with open(where + "/state.json", "w", encoding="utf-8") as file:
        json.dump(state, file)

    def leave(*_):
        os.unlink(where + "/state.json")
        os.unlink(at)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    while True:
        client = listener.accept()[0]
        with client, client.makefile("rw") as both:
            order = json.loads(both.readline() or "{}")
            print(json.dumps(order), flush=True)
            answer = {"schema": 1, "ok": True}
            if order.get("command") == "status":
                with open(path, encoding="utf-8") as file:
                    answer = json.load(file)
            both.write(json.dumps(answer) + "\n")
            both.flush()


main()
