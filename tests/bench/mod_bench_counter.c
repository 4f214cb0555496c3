/*
 * The handlers that are measured: each counts in the caller's session and
 * answers the number, in 30 or fewer bytes of plain text.
 *
 *   SetHandler bench-none         no session; always 1: the floor
 *   SetHandler bench-session      httpd's mod_session
 *   SetHandler bench-store        mod_session_store, one get and one set
 *   SetHandler bench-store-read   mod_session_store, opened for reading
 *   SetHandler bench-notes        mod_session_store, a note read and written
 *   BenchPayload N                a new session also gets N bytes; default 0
 */

#include <stdlib.h>
#include <string.h>

#include "httpd.h"
#include "apr_strings.h"
#include "http_config.h"
#include "http_protocol.h"
#include "mod_session.h"

#include "mod_session_store.h"

#define PAYLOAD_MAX 4000

static char payload[PAYLOAD_MAX + 1];

static APR_OPTIONAL_FN_TYPE(ap_session_load) *ms_load;
static APR_OPTIONAL_FN_TYPE(ap_session_get) *ms_get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *ms_set;
static APR_OPTIONAL_FN_TYPE(session_store_open) *store_open;
static APR_OPTIONAL_FN_TYPE(session_store_get) *store_get;
static APR_OPTIONAL_FN_TYPE(session_store_set) *store_set;

static int answer(request_rec *r, const char *n)
{
    ap_set_content_type(r, "text/plain");
    ap_rputs(n, r);
    ap_rputs("\n", r);
    return OK;
}

static const char *plus_one(request_rec *r, const char *n)
{
    return apr_itoa(r->pool, n ? atoi(n) + 1 : 1);
}

static int count_with_mod_session(request_rec *r)
{
    session_rec *session = NULL;
    const char *n = NULL;

    if (!ms_load || ms_load(r, &session) != APR_SUCCESS || !session)
        return HTTP_INTERNAL_SERVER_ERROR;
    ms_get(r, session, "n", &n);
    if (!n && *payload)
        ms_set(r, session, "p", payload);
    n = plus_one(r, n);
    ms_set(r, session, "n", n);
    return answer(r, n);
}

static int refused(apr_status_t rv)
{
    return rv == APR_TIMEUP ? HTTP_SERVICE_UNAVAILABLE
                            : HTTP_INTERNAL_SERVER_ERROR;
}

static int count_with_store(request_rec *r)
{
    const char *n = NULL;
    apr_status_t rv = store_get ? store_get(r, "n", &n) : APR_ENOTIMPL;

    if (rv == APR_NOTFOUND && *payload)
        rv = store_set(r, "p", payload);
    else if (rv == APR_NOTFOUND)
        rv = APR_SUCCESS;
    n = plus_one(r, n);
    if (rv == APR_SUCCESS)
        rv = store_set(r, "n", n);
    return rv == APR_SUCCESS ? answer(r, n) : refused(rv);
}

static int read_from_store(request_rec *r)
{
    const char *n = NULL;
    apr_status_t rv = store_open ? store_open(r, SESSION_STORE_READ)
                                 : APR_ENOTIMPL;

    if (rv == APR_SUCCESS)
        rv = store_get(r, "n", &n);
    return rv == APR_SUCCESS ? answer(r, n) : refused(rv);
}

static int count_with_notes(request_rec *r)
{
    const char *n = plus_one(r, apr_table_get(r->notes, "session:n"));

    apr_table_setn(r->notes, "session:n", n);
    return answer(r, n);
}

static int handler(request_rec *r)
{
    if (!r->handler || strncmp(r->handler, "bench-", 6) != 0)
        return DECLINED;
    if (strcmp(r->handler, "bench-none") == 0)
        return answer(r, "1");
    if (strcmp(r->handler, "bench-session") == 0)
        return count_with_mod_session(r);
    if (strcmp(r->handler, "bench-store") == 0)
        return count_with_store(r);
    if (strcmp(r->handler, "bench-store-read") == 0)
        return read_from_store(r);
    if (strcmp(r->handler, "bench-notes") == 0)
        return count_with_notes(r);
    return DECLINED;
}

static void find_functions(void)
{
    ms_load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    ms_get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    ms_set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
    store_open = APR_RETRIEVE_OPTIONAL_FN(session_store_open);
    store_get = APR_RETRIEVE_OPTIONAL_FN(session_store_get);
    store_set = APR_RETRIEVE_OPTIONAL_FN(session_store_set);
}

static const char *set_payload(cmd_parms *cmd, void *unused, const char *arg)
{
    int n = atoi(arg);

    (void)cmd;
    (void)unused;
    if (n < 0 || n > PAYLOAD_MAX)
        return "BenchPayload is 0 to 4000";
    memset(payload, 'p', (size_t)n);
    payload[n] = '\0';
    return NULL;
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("BenchPayload", set_payload, NULL, RSRC_CONF,
                  "bytes in each new session besides the counter"),
    { NULL }
};

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_optional_fn_retrieve(find_functions, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(bench_counter) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks,
    AP_MODULE_FLAG_NONE
};
