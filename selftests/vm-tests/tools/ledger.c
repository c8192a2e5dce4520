/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ledger - what was acknowledged to the clients of an array that changes hosts.
 *
 *   create FILE CELLS WRITES    an empty one
 *   write FILE DEVICE TENURE    writes until SIGTERM (0), an error of the device (3), or an
 *                               acknowledgement that must not be (2)
 *   check FILE DEVICE           reads all; 2: there is what must not be there. Also while
 *                               others write
 *   count FILE                  how many writes were acknowledged, failed, are open
 *
 * The device is cells of 4 KiB. A write has a number and covers some of them; each of their
 * sectors carries where it is, the tenure and the number, and these are in order: whoever has
 * the array later has the higher tenure, and a cell has one writer in each. The ledger has
 * for each cell the highest stamp that was acknowledged, and for each number what was
 * written. So of a sector is known whether its stamp
 *
 *   is the one that was acknowledged last      right
 *   is higher, and such a write was issued     right: it was not acknowledged, or not yet
 *   is lower                                   wrong: what was acknowledged is lost, or an
 *                                              older host has written over it
 *
 * A tenure begins when its first client does, and from then on no write that is issued in
 * an older one may be acknowledged. What was issued before may be: then it has to be there.
 * Nothing of this looks at a clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CELL 4096U
#define SECTOR 512U
#define WORDS (SECTOR / sizeof(uint64_t))
#define STRIPE 48U /* cells: three chunks of 64 KiB, and one writer's at a time */
#define WRITERS 2U
#define PAUSE_US 5000
#define TOLD_MOST 10
#define TRIES 20
#define TRY_US 100000

enum { OPEN = 1, ACKNOWLEDGED, FAILED };
enum { WRONG = 2, DEVICE_ERROR = 3 };

struct write_entry {
    uint32_t cell, cells, tenure;
    _Atomic uint32_t state;
};

struct ledger {
    uint64_t cells, writes;
    _Atomic uint64_t tenure, next;
    _Atomic uint64_t last[]; /* cells, then struct write_entry[writes] */
};

struct writer {
    struct ledger* ledger;
    int fd;
    uint64_t tenure, chance;
    unsigned index;
};

static volatile sig_atomic_t told_to_end;

static void end(int signal) {
    (void)signal;
    told_to_end = 1;
}

static void die(const char* what) {
    fprintf(stderr, "ledger: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct write_entry* entries(struct ledger* l) {
    return (struct write_entry*)&l->last[l->cells];
}

static size_t size_of(uint64_t cells, uint64_t writes) {
    return sizeof(struct ledger) + cells * sizeof(uint64_t) + writes * sizeof(struct write_entry);
}

static struct ledger* map(const char* path, size_t bytes) {
    struct ledger* l;
    struct stat about;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || (bytes && ftruncate(fd, (off_t)bytes)) || fstat(fd, &about))
        die(path);
    l = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (l == MAP_FAILED)
        die(path);
    return l;
}

/* fill - a sector says where it is and whose; the rest follows from that. */
static void fill(uint64_t* sector, uint64_t number, uint64_t stamp) {
    sector[0] = stamp;
    sector[1] = number;
    for (size_t i = 2; i < WORDS; i++)
        sector[i] = (stamp + number * 0x9e3779b97f4a7c15ULL) * (2 * i + 1);
}

static void raise_to(_Atomic uint64_t* word, uint64_t value) {
    uint64_t now = atomic_load(word);

    while (now < value && !atomic_compare_exchange_weak(word, &now, value))
        ;
}

static uint64_t draw(struct writer* w) {
    w->chance ^= w->chance << 13;
    w->chance ^= w->chance >> 7;
    w->chance ^= w->chance << 17;
    return w->chance;
}

/* choose - part of a stripe that is this writer's: mostly a piece, at times all of it. */
static void choose(struct writer* w, struct write_entry* e) {
    uint64_t stripes = w->ledger->cells / STRIPE / WRITERS;
    uint32_t first = (uint32_t)(draw(w) % stripes * WRITERS + w->index) * STRIPE;
    uint32_t at = (uint32_t)(draw(w) % STRIPE);

    e->cell = first + at;
    e->cells = 1 + (uint32_t)(draw(w) % 4);
    if (e->cells > STRIPE - at)
        e->cells = STRIPE - at;
    if (draw(w) % 8 == 0) {
        e->cell = first;
        e->cells = STRIPE;
    }
}

/* write_once - whether the writer goes on. */
static int write_once(struct writer* w, void* buffer) {
    struct ledger* l = w->ledger;
    uint64_t number = atomic_fetch_add(&l->next, 1);
    uint64_t stamp = w->tenure << 32 | (number + 1);
    uint64_t before;
    struct write_entry* e;
    ssize_t done;

    if (number >= l->writes) {
        errno = ENOSPC;
        die("the ledger is full");
    }
    e = &entries(l)[number];
    choose(w, e);
    e->tenure = (uint32_t)w->tenure;
    atomic_store(&e->state, OPEN);
    for (uint64_t i = 0; i < e->cells * (CELL / SECTOR); i++)
        fill((uint64_t*)((char*)buffer + i * SECTOR), e->cell * (CELL / SECTOR) + i, stamp);
    before = atomic_load(&l->tenure);
    done = pwrite(w->fd, buffer, (size_t)e->cells * CELL, (off_t)e->cell * CELL);
    if (done != (ssize_t)(e->cells * CELL)) {
        atomic_store(&e->state, FAILED);
        fprintf(stderr, "ledger: tenure %lu: write %lu failed: %s\n", w->tenure, number,
                done < 0 ? strerror(errno) : "short");
        _exit(DEVICE_ERROR);
    }
    if (before != w->tenure) {
        fprintf(stderr, "ledger: tenure %lu: write %lu was acknowledged in tenure %lu\n", w->tenure,
                number, before);
        _exit(WRONG);
    }
    for (uint32_t i = 0; i < e->cells; i++)
        raise_to(&l->last[e->cell + i], stamp);
    atomic_store(&e->state, ACKNOWLEDGED);
    return !told_to_end;
}

static void* write_all(void* of) {
    struct writer* w = of;
    void* buffer = NULL;

    if (posix_memalign(&buffer, CELL, STRIPE * CELL))
        die("memory");
    while (write_once(w, buffer))
        usleep(PAUSE_US);
    free(buffer);
    return NULL;
}

static int write_device(struct ledger* l, const char* device, uint64_t tenure) {
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);

    if (fd < 0)
        die(device);
    signal(SIGTERM, end);
    raise_to(&l->tenure, tenure);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){l, fd, tenure, tenure * 0x9e3779b97f4a7c15ULL + i + 1, i};
        if (pthread_create(&threads[i], NULL, write_all, &writers[i]))
            die("thread");
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    close(fd);
    return 0;
}

/* was_issued - there is such a write, of that cell. */
static int was_issued(struct ledger* l, uint64_t stamp, uint64_t cell) {
    uint64_t number = (stamp & 0xffffffff) - 1;
    struct write_entry* e;

    if (!(stamp & 0xffffffff) || number >= l->writes || number >= atomic_load(&l->next))
        return 0;
    e = &entries(l)[number];
    return e->tenure == stamp >> 32 && e->cell <= cell && cell < (uint64_t)e->cell + e->cells;
}

static int is_empty(const uint64_t* sector) {
    for (size_t i = 0; i < WORDS; i++) {
        if (sector[i])
            return 0;
    }
    return 1;
}

/* what_is_wrong - with a sector of whose cell @last was acknowledged before it was read. */
static const char* what_is_wrong(struct ledger* l, const uint64_t* sector, uint64_t number,
                                 uint64_t last) {
    uint64_t whole[WORDS];

    if (is_empty(sector))
        return last ? "is empty" : NULL;
    fill(whole, number, sector[0]);
    if (memcmp(whole, sector, SECTOR))
        return "is damaged";
    if (sector[0] < last)
        return "is an older one";
    if (sector[0] != last && !was_issued(l, sector[0], number / (CELL / SECTOR)))
        return "was never written";
    return NULL;
}

/* check_stripe - how much of it is wrong, which is told if @tell. */
static unsigned check_stripe(struct ledger* l, int fd, uint64_t first, void* buffer, int tell) {
    uint64_t last[STRIPE];
    unsigned found = 0;

    for (unsigned i = 0; i < STRIPE; i++)
        last[i] = atomic_load(&l->last[first + i]);
    if (pread(fd, buffer, STRIPE * CELL, (off_t)(first * CELL)) != STRIPE * CELL)
        die("read");
    for (unsigned i = 0; i < STRIPE * (CELL / SECTOR); i++) {
        const uint64_t* sector = (const uint64_t*)((char*)buffer + i * SECTOR);
        uint64_t number = first * (CELL / SECTOR) + i, was = last[i / (CELL / SECTOR)];
        const char* wrong = what_is_wrong(l, sector, number, was);

        if (!wrong)
            continue;
        if (tell && found < TOLD_MOST)
            printf("sector %lu %s: tenure %lu, write %lu; acknowledged: tenure %lu, write %lu\n",
                   number, wrong, sector[0] >> 32, (sector[0] & 0xffffffff) - 1, was >> 32,
                   (was & 0xffffffff) - 1);
        found++;
    }
    return found;
}

/*
 * check_device - a read beside a write may get a sector of which half is written: a disk that
 * is a file has no others. So what looks wrong is read again; what is wrong stays so.
 */
static int check_device(struct ledger* l, const char* device) {
    void* buffer = NULL;
    unsigned found = 0;
    int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0 || posix_memalign(&buffer, CELL, STRIPE * CELL))
        die(device);
    for (uint64_t first = 0; first < l->cells; first += STRIPE) {
        unsigned wrong = check_stripe(l, fd, first, buffer, 0);

        for (unsigned i = 1; wrong && i <= TRIES; i++) {
            usleep(TRY_US);
            wrong = check_stripe(l, fd, first, buffer, i == TRIES);
        }
        found += wrong;
    }
    free(buffer);
    close(fd);
    return found ? WRONG : 0;
}

static void count(struct ledger* l) {
    uint64_t many[FAILED + 1] = {0};

    for (uint64_t i = 0; i < atomic_load(&l->next) && i < l->writes; i++)
        many[atomic_load(&entries(l)[i].state) % (FAILED + 1)]++;
    printf("%lu writes acknowledged, %lu failed, %lu open\n", many[ACKNOWLEDGED], many[FAILED],
           many[OPEN]);
}

int main(int argc, char** argv) {
    const char* verb = argc > 2 ? argv[1] : "";

    if (!strcmp(verb, "create") && argc == 5) {
        uint64_t cells = strtoull(argv[3], NULL, 10), writes = strtoull(argv[4], NULL, 10);
        struct ledger* l = map(argv[2], size_of(cells, writes));

        l->cells = cells;
        l->writes = writes;
        return 0;
    }
    if (!strcmp(verb, "write") && argc == 5)
        return write_device(map(argv[2], 0), argv[3], strtoull(argv[4], NULL, 10));
    if (!strcmp(verb, "check") && argc == 4)
        return check_device(map(argv[2], 0), argv[3]);
    if (!strcmp(verb, "count") && argc == 3) {
        count(map(argv[2], 0));
        return 0;
    }
    fprintf(stderr, "ledger create|write|check|count FILE ...\n");
    return 1;
}
