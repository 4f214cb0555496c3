/*
 * What a session costs at least: a counter with nothing around it. No expiry,
 * no checksum, no crash safety, no id check; sessions whose hashes collide
 * share a counter. It says how fast anything with locks and a store can get.
 *
 *   SetHandler limit-memory      300 bytes in shared memory, read and written
 *   SetHandler limit-file        a file of 300 bytes, read and written in place
 *   SetHandler limit-file-read   the file is read only
 *   BenchLimitDir DIR            where the files are
 *
 * The slot of a session is locked by one of 256 process-shared pthread mutexes.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "httpd.h"
#include "apr_general.h"
#include "apr_global_mutex.h"
#include "apr_sha1.h"
#include "apr_shm.h"
#include "apr_strings.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"

#define MUTEXES 256
#define SLOTS 65536
#define ID_BYTES 16

/* What is kept of a session: 300 bytes. */
struct record {
    unsigned int count;
    char rest[296];
};

static apr_global_mutex_t *mutexes[MUTEXES];
static struct record *slots;
static const char *dir = "/nonexistent";

/* The id in the only cookie there is, or a new one. */
static const char *find_id(request_rec *r)
{
    const char *cookie = apr_table_get(r->headers_in, "Cookie");
    unsigned char random[ID_BYTES];
    char *id;
    int i;

    if (cookie && strncmp(cookie, "limit=", 6) == 0)
        return cookie + 6;
    apr_generate_random_bytes(random, sizeof random);
    id = apr_palloc(r->pool, 2 * ID_BYTES + 1);
    for (i = 0; i < ID_BYTES; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    apr_table_setn(r->err_headers_out, "Set-Cookie",
                   apr_pstrcat(r->pool, "limit=", id, "; Path=/", NULL));
    return id;
}

static int count_in_memory(unsigned int slot)
{
    struct record copy = slots[slot];

    copy.count++;
    slots[slot] = copy;
    return (int)copy.count;
}

static int count_in_file(const char *path, int writes)
{
    struct record record;
    ssize_t got = -1;
    int fd = open(path, writes ? O_RDWR | O_CREAT | O_CLOEXEC
                               : O_RDONLY | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    memset(&record, 0, sizeof record);
    got = pread(fd, &record, sizeof record, 0);
    if (got >= 0 && writes) {
        record.count++;
        got = pwrite(fd, &record, sizeof record, 0);
    }
    close(fd);
    return got == (ssize_t)sizeof record ? (int)record.count : -1;
}

static int handler(request_rec *r)
{
    unsigned char hash[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t sha;
    const char *id, *path;
    unsigned int slot;
    int n;

    if (!r->handler || strncmp(r->handler, "limit-", 6) != 0)
        return DECLINED;
    id = find_id(r);
    apr_sha1_init(&sha);
    apr_sha1_update(&sha, id, (unsigned int)strlen(id));
    apr_sha1_final(hash, &sha);
    slot = hash[0] | (unsigned int)hash[1] << 8;
    path = apr_psprintf(r->pool, "%s/%02x%02x%02x%02x%02x%02x%02x%02x", dir,
                        hash[0], hash[1], hash[2], hash[3], hash[4], hash[5],
                        hash[6], hash[7]);

    if (apr_global_mutex_lock(mutexes[slot % MUTEXES]) != APR_SUCCESS)
        return HTTP_INTERNAL_SERVER_ERROR;
    if (strcmp(r->handler, "limit-memory") == 0)
        n = count_in_memory(slot);
    else
        n = count_in_file(path, strcmp(r->handler, "limit-file") == 0);
    apr_global_mutex_unlock(mutexes[slot % MUTEXES]);

    if (n < 0)
        return HTTP_INTERNAL_SERVER_ERROR;
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "%d\n", n);
    return OK;
}

static int post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    apr_shm_t *shm;
    apr_status_t rv;
    int i;

    (void)plog;
    (void)ptemp;
    rv = apr_shm_create(&shm, SLOTS * sizeof *slots, NULL, p);
    if (rv == APR_SUCCESS) {
        slots = apr_shm_baseaddr_get(shm);
        memset(slots, 0, SLOTS * sizeof *slots);
    }
    for (i = 0; rv == APR_SUCCESS && i < MUTEXES; i++)
        rv = apr_global_mutex_create(&mutexes[i], NULL, APR_LOCK_PROC_PTHREAD,
                                     p);
    if (rv == APR_SUCCESS)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_EMERG, rv, s, "making memory and mutexes");
    return HTTP_INTERNAL_SERVER_ERROR;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int i;

    for (i = 0; i < MUTEXES; i++) {
        apr_status_t rv = apr_global_mutex_child_init(&mutexes[i], NULL, p);
        if (rv != APR_SUCCESS)
            ap_log_error(APLOG_MARK, APLOG_EMERG, rv, s, "attaching a mutex");
    }
}

static const char *set_dir(cmd_parms *cmd, void *unused, const char *arg)
{
    (void)cmd;
    (void)unused;
    dir = arg;
    return NULL;
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("BenchLimitDir", set_dir, NULL, RSRC_CONF,
                  "directory of the session files"),
    { NULL }
};

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(bench_limit) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks,
    AP_MODULE_FLAG_NONE
};
