/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * turns MAJOR,MINOR=HOST... <trace_pipe: what the block layer sees of two hosts' writes.
 *
 * HOST is a letter, the numbers are those of a disk as that host has it. The trace is of
 * block_rq_issue and block_rq_complete; between them stand marks, which the test makes:
 *
 *   turn HOSTS   whose writes may succeed from here on: of none, one, or for the time of a
 *                start that takes the array from another host, two
 *   sync WORD    is said again on stdout, when all before it was seen
 *
 * A write that was issued to the target while it was not its host's turn and that succeeded
 * is what must not be; it is told, and from then on each sync is answered by "wrong". What
 * was issued before a turn ended may be answered after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MOST 32
#define OPEN_MOST 512
#define TOLD_MOST 10

struct disk {
    unsigned major, minor;
    char host;
};
struct request {
    const struct disk* disk;
    unsigned long long sector;
    int allowed;
};

static struct disk disks[DISKS_MOST];
static int disks_count;
static struct request open_requests[OPEN_MOST]; /* free: without a disk */
static char turn[16];
static int wrong;
static unsigned long issued, succeeded, refused;

static const struct disk* disk_of(unsigned major, unsigned minor) {
    for (int i = 0; i < disks_count; i++) {
        if (disks[i].major == major && disks[i].minor == minor)
            return &disks[i];
    }
    return NULL;
}

/* find - the open request there, else, if @anew, a place for it. */
static struct request* find(const struct disk* disk, unsigned long long sector, int anew) {
    struct request* space = NULL;

    for (int i = 0; i < OPEN_MOST; i++) {
        struct request* r = &open_requests[i];

        if (r->disk == disk && r->sector == sector)
            return r;
        if (!r->disk && !space)
            space = r;
    }
    return anew ? space : NULL;
}

static void issue(const char* text) {
    unsigned major, minor;
    char how[16];
    unsigned long long sector;
    const struct disk* disk;
    struct request* r;

    /* 259,5 WS 4096 () 2048 + 8 none,0,0 [name] */
    if (sscanf(text, " %u,%u %15s %*u (%*[^)]) %llu", &major, &minor, how, &sector) != 4 &&
        sscanf(text, " %u,%u %15s %*u () %llu", &major, &minor, how, &sector) != 4)
        return;
    disk = disk_of(major, minor);
    if (!disk || !strchr(how, 'W'))
        return;
    r = find(disk, sector, 1);
    if (!r) {
        printf("too many requests are open\n");
        exit(1);
    }
    issued++;
    *r = (struct request){disk, sector, strchr(turn, disk->host) != NULL};
}

static void complete(const char* text) {
    unsigned major, minor;
    char how[16];
    unsigned long long sector;
    const char* error = strrchr(text, '[');
    const struct disk* disk;
    struct request* r;

    /* 259,5 WS () 2048 + 8 none,0,0 [0] */
    if (sscanf(text, " %u,%u %15s () %llu", &major, &minor, how, &sector) != 4 || !error)
        return;
    disk = disk_of(major, minor);
    r = disk && strchr(how, 'W') ? find(disk, sector, 0) : NULL;
    if (!r)
        return;
    if (atoi(error + 1) == 0) {
        succeeded++;
        if (!r->allowed && wrong++ < TOLD_MOST)
            printf("host %c has written sector %llu of %u,%u, and it was the turn of '%s'\n",
                   disk->host, sector, major, minor, turn);
    } else {
        refused++;
    }
    r->disk = NULL;
}

static void mark(const char* text) {
    char word[32] = "";

    if (!strncmp(text, " turn", 5)) {
        turn[0] = 0;
        (void)sscanf(text + 5, "%15s", turn);
    } else if (sscanf(text, " sync %31s", word) == 1) {
        printf("%s %s: %lu writes to members issued, %lu succeeded, %lu did not\n",
               wrong ? "wrong" : "right", word, issued, succeeded, refused);
    }
}

static const char* after(const char* line, const char* what) {
    const char* at = strstr(line, what);

    return at ? at + strlen(what) : NULL;
}

int main(int argc, char** argv) {
    char line[1024];

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        struct disk* d = &disks[disks_count];

        if (disks_count == DISKS_MOST ||
            sscanf(argv[i], "%u,%u=%c", &d->major, &d->minor, &d->host) != 3) {
            fprintf(stderr, "turns MAJOR,MINOR=HOST...\n");
            return 1;
        }
        disks_count++;
    }
    while (fgets(line, sizeof(line), stdin)) {
        const char* text;

        if (strstr(line, "LOST")) {
            printf("events were lost: %s", line);
            wrong++;
        } else if ((text = after(line, "block_rq_issue:"))) {
            issue(text);
        } else if ((text = after(line, "block_rq_complete:"))) {
            complete(text);
        } else if ((text = after(line, "tracing_mark_write:"))) {
            mark(text);
        }
    }
    return 0;
}
