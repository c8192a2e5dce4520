# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The windows of bench/tools/count.c, with names: which function, which part."""

import bisect
import re

# The first that fits. A symbol is "NAME" or "NAME [MODULE]".
PARTS = [
    ("engine XOR", r".*\[uring_bpf_xor\]|(bpf_prog_\w*)?rr_xor.*\[bpf\]|rr_(xor|slot_xor|slot_fold).*\[daemon\]"),
    ("engine", r"bpf_prog_\w+|rr_.*\[daemon\]"),
    ("client", r"client$"),
    ("daemon", r"daemon$|.*\[daemon\]"),
    ("md", r".*\[(raid456|md_mod|async_\w+|xor)\]|md_\w+|xor_\w+|async_\w+"),
    ("ublk", r".*\[ublk_drv\]"),
    ("members", r".*\[(null_blk|nvme\w*)\]|nvme_\w+"),
    ("copies", r"(rep_|__?)?(copy|mem(cpy|set|move)|clear_page|clear_user)|_?_?copy_|raw_copy|"
               r"iov_iter|__?_?iterate|import_|iter_|fault_in|copy_to_iter|copy_from_iter|"
               r".*(get_user_pages|gup_|pin_user|unpin_user|try_grab|follow_page|folio_put|put_page)"),
    ("block layer", r"_*(blk|bio|blkdev|bdev|submit_bio|rq_|elv|sbitmap|bvec|disk_|part_|req_|"
                    r"block_|wbt|rq_qos|mempool|update_io_ticks|get_request|bdi|bioset|lookup_bdev)"),
    ("io_uring", r"_*(io_|do_io_|tctx_|req_ref|__se_sys_io_uring|__x64_sys_io_uring|__do_sys_io_uring|"
                 r"local_bh|llist_)"),
    ("BPF support", r"_*(bpf|migrate_(dis|en)able|rcu_tasks_trace|arena|prog_)"),
    ("scheduling", r"_*(schedule|sched|try_to_wake|ttwu|wake_up|pick_|enqueue|dequeue|update_(curr|"
                   r"load|cfs|rq|se|min)|set_next|put_prev|place_entity|entity_|switch_|context_|"
                   r"finish_task|prepare_task|check_preempt|wakeup_preempt|resched|select_task|cpuacct|"
                   r"avg_vruntime|cgroup|psi_|task_work|autoremove|prepare_to_wait|finish_wait|"
                   r"default_wake|native_sched|reweight|hrtick|select_idle|available_idle|"
                   r"requeue_delayed|dl_|rt_|fair|load_|raw_spin_rq|nohz|tick_|__update_load|"
                   r"process_one_work|worker_|queue_work|insert_work|kick_pool|pwq_|kthread|"
                   r"___update|vruntime|cpu_util|update_)"),
    ("system call", r"_*(entry_|do_syscall|syscall_|x64_sys|exit_to_user|irqentry|asm_|fpregs|"
                    r"switch_fpu|restore_fpregs|save_fpregs|sysret|ret_from)"),
]
REST = "other kernel"
NAMES = [name for name, _ in PARTS] + [REST]
COMPILED = [(name, re.compile(pattern)) for name, pattern in PARTS]


def part_of(symbol, competitor):
    # The kernel's XOR module works for md, or for uring_bpf_xor.
    if competitor == "bpf-xor" and symbol.endswith("[xor]"):
        return "engine XOR"
    for name, pattern in COMPILED:
        if pattern.match(symbol):
            return name
    return REST


# The BPF engine by path, where its functions are none of another's body. The first that fits.
PATHS = [
    ("XOR", r"rr_(xor|slot_(xor|fold|use_))"),
    ("locks", r"rr_(lock_|slot_(lock|claimant|waiters))"),
    ("turn", r"raid5_loop_step"),
    ("submission", r"rr_(request_(start|place|part_cells|line_up|push|pop)|(read|write)_(start|chunk)|direct_emit|"
                   r"slot_(init|plan|emit|enter|fused|push|pop)|emit|flush_(start|emit|round|needed))"),
    ("completion", r"rr_"),
]


def path_of(symbol):
    """The path of a function of the BPF program, or None."""
    program = re.fullmatch(r"bpf_prog_[0-9a-f]+_(\w+) \[bpf\]", symbol)
    return next((name for name, pattern in PATHS if program and re.match(pattern, program[1])), None)


# Where Linux puts a position-independent program, with randomisation off.
DAEMON = 0x555555554000


class Symbols:
    def __init__(self, kallsyms, daemon=""):
        self.all = sorted(self.parse(kallsyms))
        own = sorted(self.parse(daemon))
        self.daemon = [(a + DAEMON, name + " [daemon]") for a, name in own]
        self.daemon_end = self.daemon[-1][0] + 4096 if own else 0

    @staticmethod
    def parse(text):
        """Lines of /proc/kallsyms, or of nm."""
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 3 and words[1] in "tTwW":
                module = " " + words[3] if len(words) > 3 else ""
                yield int(words[0], 16), words[2] + module

    def with_run(self, text):
        """The same, with what was loaded during one run."""
        found = Symbols("")
        found.daemon, found.daemon_end = self.daemon, self.daemon_end
        found.all = sorted([s for s in self.all if not s[1].endswith("]")] + list(self.parse(text)))
        return found

    def name(self, address):
        if address < 1 << 28:
            return "client"
        names = self.all
        if address < 1 << 47:
            if not DAEMON <= address < self.daemon_end:
                return "daemon"
            names = self.daemon
        i = bisect.bisect_right(names, (address, "\xff")) - 1
        return names[i][1] if i >= 0 else "?"


def read_windows(path):
    """Yields, for each window, a list of (address, instructions, string bytes)."""
    lines = None
    with open(path) as f:
        for line in f:
            words = line.split()
            if words[0] == "window":
                if lines is not None:
                    yield lines
                lines = []
            else:
                lines.append((int(words[0], 16), int(words[1]), int(words[2])))
    if lines is not None:
        yield lines


def by_function(window, symbols):
    """{function: [instructions, string bytes]}"""
    found = {}
    for address, n, moved in window:
        entry = found.setdefault(symbols.name(address), [0, 0])
        entry[0] += n
        entry[1] += moved
    return found
