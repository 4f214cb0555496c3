/* Licensed under the Apache License, Version 2.0; see LICENSE. */

/*
 * A store of one's own for mod_session_store, whole and small: a table in a
 * file that every process maps.
 *
 *     LoadModule session_example_store_module mod_session_example_store.so
 *     SessionStore example:/var/lib/httpd/sessions.table
 *
 * session_store_provider.h says what each function has to do. What is here is
 * one way to do it:
 *
 *   file   [ head | slot 0 | slot 1 | ... | slot 2047 ]     8 KiB each
 *   slot   [ active, key | copy 1 | copy 2 ]
 *
 * A key may be in any of the WINDOW slots behind the one that its first bytes
 * name, so there is neither an order nor a mark of what was deleted: a search
 * looks at all of them. A slot has two copies of its record, and "active" says
 * which one counts, or 0 that there is none. A writer fills the other copy and
 * then changes that one number: a process killed at any instruction leaves what
 * was there before or what was to be there. A record never moves to another
 * slot, so a scan, which goes from slot to slot, misses none.
 *
 * All this happens under a lock on the file, which the kernel drops with the
 * process that held it, and under a mutex of the process's threads. A lock of
 * this kind belongs to what open() made: a descriptor that children inherit
 * excludes none of them from another, so each opens the file for itself.
 */
#include "httpd.h"

#include "ap_provider.h"
#include "apr_file_io.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_thread_mutex.h"
#include "http_config.h"
#include "unixd.h"

#include "session_store_provider.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES 8192
#define SLOTS 2048
#define WINDOW 64
#define FILE_BYTES ((apr_size_t)SLOT_BYTES * (SLOTS + 1))
/* Changed with the layout. */
#define MAGIC "session_store example table 1\n"

/* What a copy holds besides the bytes of its record. */
typedef struct {
    apr_uint64_t incarnation;
    apr_uint64_t version;
    apr_time_t accessed;
    apr_time_t deadline;
    apr_uint64_t len;
} copy_head;

#define COPY_BYTES ((SLOT_BYTES - 64) / 2)
#define RECORD_MAX (COPY_BYTES - sizeof(copy_head))

typedef struct {
    copy_head head;
    unsigned char data[RECORD_MAX];
} copy;

typedef struct {
    /* 0: free; else which copy counts. */
    apr_uint64_t active;
    unsigned char key[SESSION_STORE_HASH_BYTES];
    unsigned char unused[24];
    copy copies[2];
} slot;

typedef char a_slot_has_the_size_it_says[sizeof(slot) == SLOT_BYTES ? 1 : -1];

/* Made by the parent and inherited by its children. */
typedef struct {
    const char *path;
    slot *slots;
} table;

/* In a child. */
typedef struct {
    slot *slots;
    apr_file_t *file;
    apr_thread_mutex_t *mutex;
} child;

/* --- Start ---------------------------------------------------------------- */

static const char *check(const char *argument, apr_pool_t *temp)
{
    if (!argument || !*argument)
        return "a file has to be named: example:FILE";
    if (!ap_server_root_relative(temp, argument))
        return "this is no path of a file";
    return NULL;
}

static apr_status_t open_file(apr_file_t **file, const char *path,
                              apr_pool_t *pool)
{
    apr_int32_t flags = APR_FOPEN_CREATE | APR_FOPEN_READ | APR_FOPEN_WRITE;

    return apr_file_open(file, path, flags, APR_FPROT_UREAD | APR_FPROT_UWRITE,
                         pool);
}

/* Gives a new file its size on the disk, since a mapped file that cannot grow
 * when it has to would end the process; and its owner. */
static apr_status_t make(int fd)
{
    int rv = posix_fallocate(fd, 0, FILE_BYTES);

    if (rv == 0 && pwrite(fd, MAGIC, sizeof(MAGIC), 0) != sizeof(MAGIC))
        rv = errno;
    if (rv == 0 && geteuid() == 0
        && fchown(fd, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0)
        rv = errno;
    return rv;
}

static const char *prepare(void **store, const char *argument,
                           const session_store_host *host, apr_pool_t *pool)
{
    table *made = apr_pcalloc(pool, sizeof(*made));
    const char *path = ap_server_root_relative(pool, argument);
    struct stat facts;
    apr_file_t *file;
    apr_os_file_t fd;
    apr_status_t rv;
    char *at;

    (void)host;
    rv = open_file(&file, path, pool);
    if (rv != APR_SUCCESS)
        return apr_psprintf(pool, "opening %s: %pm", path, &rv);
    apr_os_file_get(&fd, file);
    if (fstat(fd, &facts) == 0 && facts.st_size == 0)
        rv = make(fd);
    if (rv != APR_SUCCESS)
        return apr_psprintf(pool, "making %s: %pm", path, &rv);
    if (fstat(fd, &facts) != 0 || facts.st_size != (off_t)FILE_BYTES)
        return apr_psprintf(pool, "%s is no table of sessions", path);
    at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return apr_psprintf(pool, "mapping %s failed", path);
    if (memcmp(at, MAGIC, sizeof(MAGIC)) != 0)
        return apr_psprintf(pool, "%s is no table of sessions", path);
    apr_file_close(file);
    made->path = path;
    made->slots = (slot *)(at + SLOT_BYTES);
    *store = made;
    return NULL;
}

static const char *open_in_child(void **opened, void *store, apr_pool_t *pool)
{
    const table *table = store;
    child *made = apr_pcalloc(pool, sizeof(*made));
    apr_status_t rv = open_file(&made->file, table->path, pool);

    if (rv != APR_SUCCESS)
        return apr_psprintf(pool, "opening %s: %pm", table->path, &rv);
    made->slots = table->slots;
    if (apr_thread_mutex_create(&made->mutex, APR_THREAD_MUTEX_DEFAULT, pool)
        != APR_SUCCESS)
        return "making a mutex failed";
    *opened = made;
    return NULL;
}

/* --- One thing at a time -------------------------------------------------- */

static apr_status_t begin(child *c)
{
    apr_status_t rv = apr_thread_mutex_lock(c->mutex);

    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_lock(c->file, APR_FLOCK_EXCLUSIVE);
    if (rv != APR_SUCCESS)
        apr_thread_mutex_unlock(c->mutex);
    return rv;
}

static apr_status_t end(child *c, apr_status_t rv)
{
    apr_file_unlock(c->file);
    apr_thread_mutex_unlock(c->mutex);
    return rv;
}

/* --- Slots ---------------------------------------------------------------- */

/* A slot that says anything else was damaged, and is free. */
static int is_used(const slot *s)
{
    return (s->active == 1 || s->active == 2)
           && s->copies[s->active - 1].head.len <= RECORD_MAX;
}

/* The slot of a key, or where it could be written; NULL if there is none. */
static slot *find(child *c, const unsigned char *key, int to_write)
{
    apr_uint32_t first = key[0] | key[1] << 8, i;
    slot *room = NULL;

    for (i = 0; i < WINDOW; i++) {
        slot *s = &c->slots[(first + i) % SLOTS];

        if (is_used(s) && memcmp(s->key, key, sizeof(s->key)) == 0)
            return s;
        if (!is_used(s) && !room)
            room = s;
    }
    return to_write ? room : NULL;
}

static copy *active(slot *s)
{
    return &s->copies[s->active - 1];
}

static session_store_record record_of(const copy *c)
{
    session_store_record record = { 0 };

    record.data = c->data;
    record.len = c->head.len;
    record.incarnation = c->head.incarnation;
    record.version = c->head.version;
    record.accessed = c->head.accessed;
    record.deadline = c->head.deadline;
    return record;
}

/* Whether the record is the expected one. */
static apr_status_t judge(slot *s, const session_store_record *expected)
{
    if (!s || active(s)->head.incarnation != expected->incarnation)
        return APR_NOTFOUND;
    if (expected->version && active(s)->head.version != expected->version)
        return APR_EAGAIN;
    return APR_SUCCESS;
}

/* Fills the copy that does not count, and makes it the one that does. */
static void write_slot(slot *s, const unsigned char *key,
                       const session_store_record *record)
{
    int used = is_used(s);
    apr_uint64_t next = used && s->active == 1 ? 2 : 1;
    copy *to = &s->copies[next - 1];

    if (!used)
        s->active = 0;
    to->head.incarnation = record->incarnation;
    to->head.version = used ? active(s)->head.version + 1 : 1;
    to->head.accessed = record->accessed;
    to->head.deadline = record->deadline;
    to->head.len = record->len;
    memcpy(to->data, record->data, record->len);
    if (!used)
        memcpy(s->key, key, sizeof(s->key));
    __atomic_store_n(&s->active, next, __ATOMIC_SEQ_CST);
}

/* --- The functions of the store ------------------------------------------- */

static apr_status_t load(void *opened, const unsigned char *key,
                         session_store_take *take, void *baton,
                         apr_pool_t *temp)
{
    child *c = opened;
    apr_status_t rv = begin(c);
    slot *s;

    (void)temp;
    if (rv != APR_SUCCESS)
        return rv;
    if ((s = find(c, key, 0)) != NULL) {
        session_store_record record = record_of(active(s));

        take(baton, &record);
    }
    return end(c, s ? APR_SUCCESS : APR_NOTFOUND);
}

static apr_status_t create(void *opened, const unsigned char *key,
                           const session_store_record *record,
                           apr_pool_t *temp)
{
    child *c = opened;
    apr_status_t rv = begin(c);
    slot *s;

    (void)temp;
    if (rv != APR_SUCCESS)
        return rv;
    s = find(c, key, 1);
    if (!s)
        rv = APR_ENOSPC;
    else if (is_used(s))
        rv = APR_EEXIST;
    else
        write_slot(s, key, record);
    return end(c, rv);
}

static apr_status_t replace(void *opened, const unsigned char *key,
                            const session_store_record *record,
                            apr_pool_t *temp)
{
    child *c = opened;
    apr_status_t rv = begin(c);
    slot *s;

    (void)temp;
    if (rv != APR_SUCCESS)
        return rv;
    s = find(c, key, 0);
    rv = judge(s, record);
    if (rv == APR_SUCCESS)
        write_slot(s, key, record);
    return end(c, rv);
}

static apr_status_t touch(void *opened, const unsigned char *key,
                          apr_uint64_t incarnation, apr_time_t accessed,
                          apr_time_t deadline, apr_pool_t *temp)
{
    child *c = opened;
    session_store_record expected = { 0 };
    apr_status_t rv = begin(c);
    slot *s;

    (void)temp;
    if (rv != APR_SUCCESS)
        return rv;
    expected.incarnation = incarnation;
    s = find(c, key, 0);
    rv = judge(s, &expected);
    if (rv == APR_SUCCESS) {
        /* All of it, though little changes: in the copy that counts a kill
         * would leave some of it changed. */
        session_store_record record = record_of(active(s));

        if (record.accessed < accessed)
            record.accessed = accessed;
        if (record.deadline < deadline)
            record.deadline = deadline;
        write_slot(s, key, &record);
    }
    return end(c, rv);
}

static apr_status_t remove_record(void *opened, const unsigned char *key,
                                  const session_store_record *expected,
                                  apr_pool_t *temp)
{
    child *c = opened;
    apr_status_t rv = begin(c);
    slot *s;

    (void)temp;
    if (rv != APR_SUCCESS)
        return rv;
    s = find(c, key, 0);
    if (expected)
        rv = judge(s, expected);
    else if (!s)
        rv = APR_NOTFOUND;
    if (rv == APR_SUCCESS)
        __atomic_store_n(&s->active, 0, __ATOMIC_SEQ_CST);
    return end(c, rv);
}

/* A position is the number of the slot to go on with. */
static apr_status_t scan(void *opened, const void *from, apr_size_t len,
                         session_store_see *see, void *baton,
                         apr_pool_t *temp)
{
    child *c = opened;
    apr_uint32_t next = 0;
    apr_status_t rv;
    int more = 1;

    (void)temp;
    if (from && len == sizeof(next))
        memcpy(&next, from, sizeof(next));
    if ((rv = begin(c)) != APR_SUCCESS)
        return rv;
    while (more && next < SLOTS) {
        slot *s = &c->slots[next++];

        if (is_used(s))
            more = see(baton, s->key, &next, sizeof(next));
    }
    return end(c, more ? APR_EOF : APR_SUCCESS);
}

static apr_status_t stats(void *opened, session_store_stats *figures)
{
    child *c = opened;
    apr_status_t rv = begin(c);
    apr_uint32_t i;

    if (rv != APR_SUCCESS)
        return rv;
    figures->records = figures->bytes = 0;
    figures->capacity = (apr_int64_t)SLOTS * RECORD_MAX;
    for (i = 0; i < SLOTS; i++) {
        slot *s = &c->slots[i];

        if (is_used(s)) {
            figures->records++;
            figures->bytes += active(s)->head.len;
        }
    }
    return end(c, APR_SUCCESS);
}

/* find_user is left out: few records are quickly looked at. */
static const session_store_provider example = {
    .size = sizeof(session_store_provider),
    .flags = SESSION_STORE_PROCESSES | SESSION_STORE_THREADS
             | SESSION_STORE_COMPARES | SESSION_STORE_SURVIVES_KILL,
    .record_max = RECORD_MAX,
    .check = check,
    .prepare = prepare,
    .open = open_in_child,
    .load = load,
    .create = create,
    .replace = replace,
    .touch = touch,
    .remove = remove_record,
    .scan = scan,
    .stats = stats,
};

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, SESSION_STORE_PROVIDER_GROUP, "example",
                         SESSION_STORE_PROVIDER_VERSION, &example);
}

AP_DECLARE_MODULE(session_example_store) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
