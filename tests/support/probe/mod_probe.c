/*
 * A module for tests of mod_session_store: it calls every function of its C
 * interface, from any phase, as a list of operations says.
 *
 *   SetHandler probe            operations in the query string, called through
 *                               optional functions
 *   SetHandler probe-symbols    the same through the library's symbols
 *   ProbeAccess "OPS"           in the access phase (server, virtual host,
 *   ProbeFixup "OPS"            directory, location); in fixups; when the
 *   ProbeLog "OPS"              request is logged; when its pool is destroyed
 *   ProbeCleanup "OPS"
 *   ProbeFilter "OPS"           where mod_session writes: in an output filter,
 *                               when data or the end first comes by
 *
 * OPS is a list OP;OP;... (a comma does as well), OP is NAME, NAME:ARG or
 * NAME:KEY=VALUE. KEY, VALUE and ARG are percent-decoded after the split. Each
 * operation answers a line
 *
 *   NAME=STATUS
 *   NAME=STATUS VALUE
 *
 * with STATUS as SUCCESS, NOTFOUND, EINVAL, ... or a number; ABSENT if
 * mod_session_store is not there, BADARG or UNKNOWN if the list is wrong, PHASE
 * if the operation needs the handler, TOUCHED behind it if the function failed
 * and wrote to its output all the same. VALUE is percent-encoded; no value at
 * all (NULL) is a single -. The handler's lines are the body of its answer;
 * those of ProbeAccess, ProbeFixup and ProbeFilter the response header X-Probe,
 * joined by "; " and led by the phase; those of the others one line of the
 * error log (info).
 *
 * The session:
 *   version  open:read|write|NUMBER  get:K  set:K=V  set:K (NULL)  unset:K
 *   get_bytes:K  set_bytes:K=V  set_bytes:K (NULL, 0)  incr:K  keys  id  is_new
 *   exists  reason  created  accessed  timeout  set_timeout:MICROSECONDS  user
 *   set_user:NAME  set_user (NULL)  save  reload  revert  delete  invalidate
 *   regenerate  add:K=DELTA  lock  trylock  unlock  null:FUNCTION (no request)
 *   peek:ID=K  form_token_new  form_token_check:TOKEN
 *   nullargs:FUNCTION (a request, else NULL; functions with no pointer besides
 *   the request are called as usual)
 * The request:
 *   note:N  notes (names that start with session)  setnote:N=V  unsetnote:N
 *   reqheader:N  env:N  header:N=V  errheader:N=V  type:T  etag:TEXT
 *   meets_conditions  status:N (of the answer; outside the handler what the
 *   hook returns)  return:N (ends the list, returned to httpd)
 * The handler alone:
 *   write:N (bytes to the client)  flush  body (reads the request's body)
 *   redirect:PATH (ends the list; what was buffered is dropped)  sub:PATH (an
 *   include)  nph (the first operation: the head is ours, no filter sees the
 *   rest)  suspend:MS (the handler returns SUSPENDED, the rest runs on another
 *   thread that long after: MPM event only)
 * Time and processes:
 *   sleep:MS  wait:FILE (until it exists, 30 s)  touch:FILE  pid  kill (-9)
 *   cleanup:OPS (as ProbeCleanup, registered now)
 */

#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "httpd.h"
#include "ap_mpm.h"
#include "apr_file_io.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"

#include "mod_session_store.h"

#define OPS_BYTES 7000
#define OPS_COUNT 200
#define SLEEP_MS 120000
#define WAIT_MS 30000
#define WRITE_BYTES (256 * 1024 * 1024)
#define ABSENT (-1)

/* Every function of the header, so that none is forgotten below. */
#define FUNCTIONS(X)                                                           \
    X(version) X(open) X(get) X(set) X(get_bytes) X(set_bytes) X(keys) X(id)   \
    X(is_new) X(exists) X(reason) X(created) X(accessed) X(timeout)            \
    X(set_timeout) X(user) X(set_user) X(save) X(reload) X(revert) X(delete)   \
    X(invalidate) X(regenerate) X(add) X(lock) X(trylock) X(unlock) X(peek)    \
    X(form_token_new) X(form_token_check)

struct api {
#define MEMBER(name) APR_OPTIONAL_FN_TYPE(session_store_##name) *name;
    FUNCTIONS(MEMBER)
};

/* The two declarations of a function are one. */
#define SAME(name)                                                             \
    _Static_assert(__builtin_types_compatible_p(                               \
                       __typeof__(session_store_##name),                       \
                       APR_OPTIONAL_FN_TYPE(session_store_##name)),            \
                   #name);
FUNCTIONS(SAME)

static struct api optional;
static struct api symbols;

struct run {
    request_rec *r;
    const struct api *api;
    apr_array_header_t *lines;  /* of const char *; NULL in the handler */
    const char *op;
    char *rest;
    int left;
    int ended;
    int nph;
    int status;
    apr_interval_time_t pause;
};

struct place {
    const char *access;
    const char *fixup;
    const char *log;
    const char *cleanup;
    const char *filter;
};

module AP_MODULE_DECLARE_DATA probe_module;
static void schedule_cleanup(request_rec *r, const char *ops);
static void *resume(void *baton);

#define CALL(x, name, args)                                                    \
    ((x)->api->name == NULL ? ABSENT : (x)->api->name args)

/* ---- text in and out ---- */

static const char *status_name(apr_pool_t *p, apr_status_t rv)
{
    switch (rv) {
    case APR_SUCCESS:  return "SUCCESS";
    case APR_NOTFOUND: return "NOTFOUND";
    case APR_EINVAL:   return "EINVAL";
    case APR_ENOSPC:   return "ENOSPC";
    case APR_EACCES:   return "EACCES";
    case APR_ERANGE:   return "ERANGE";
    case APR_EBUSY:    return "EBUSY";
    case APR_TIMEUP:   return "TIMEUP";
    case APR_ENOTIMPL: return "ENOTIMPL";
    case APR_EGENERAL: return "EGENERAL";
    case ABSENT:       return "ABSENT";
    default:           return apr_itoa(p, rv);
    }
}

static const char *encode(apr_pool_t *p, const char *data, apr_size_t len)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789_.~/:@+-";
    static const char hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(p, 3 * len + 1), *to = out;
    apr_size_t i;

    if (len == 1 && *data == '-')
        return "%2D";
    for (i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte && strchr(plain, byte)) {
            *to++ = (char)byte;
            continue;
        }
        *to++ = '%';
        *to++ = hex[byte >> 4];
        *to++ = hex[byte & 15];
    }
    *to = '\0';
    return out;
}

static const char *encode_text(apr_pool_t *p, const char *text)
{
    return text ? encode(p, text, strlen(text)) : "-";
}

/* In place; NULL if it is not well-formed. */
static char *decode(char *text, apr_size_t *len)
{
    char digits[3] = "";
    char *from = text, *to = text;

    while (*from) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        if (!apr_isxdigit(from[1]) || !apr_isxdigit(from[2]))
            return NULL;
        memcpy(digits, from + 1, 2);
        *to++ = (char)apr_strtoi64(digits, NULL, 16);
        from += 3;
    }
    *to = '\0';
    *len = (apr_size_t)(to - text);
    return text;
}

static void emit(struct run *x, const char *text)
{
    if (x->nph) {
        apr_bucket_brigade *bb = apr_brigade_create(
            x->r->pool, x->r->connection->bucket_alloc);
        ap_fputs(x->r->output_filters, bb, text);
        ap_fflush(x->r->output_filters, bb);
    }
    else {
        ap_rputs(text, x->r);
    }
}

static void line(struct run *x, const char *status, const char *value)
{
    const char *text = apr_pstrcat(x->r->pool, x->op, "=", status,
                                   value ? " " : NULL, value, NULL);
    if (x->lines)
        APR_ARRAY_PUSH(x->lines, const char *) = text;
    else
        emit(x, apr_pstrcat(x->r->pool, text, "\n", NULL));
}

static void say(struct run *x, apr_status_t rv, const char *value)
{
    line(x, status_name(x->r->pool, rv), value);
}

/* A result with its value; a failure must have left the output alone. */
static void result(struct run *x, apr_status_t rv, const char *value,
                   int touched)
{
    say(x, rv, rv == APR_SUCCESS ? value : touched ? "TOUCHED" : NULL);
}

static int number(const char *text, apr_int64_t low, apr_int64_t high,
                  apr_int64_t *n)
{
    char *end;

    if (!text || !*text)
        return 0;
    errno = 0;
    *n = apr_strtoi64(text, &end, 10);
    return errno == 0 && !*end && *n >= low && *n <= high;
}

/* ---- the session ---- */

#define OP(name) static void op_##name(struct run *x, char *arg, apr_size_t len)
#define UNUSED ((void)arg, (void)len)

static const char untouched[] = "untouched";

#define VERB(name)                                                             \
    OP(name) { UNUSED; say(x, CALL(x, name, (x->r)), NULL); }
#define TEXT(name)                                                             \
    OP(name) {                                                                 \
        const char *text = untouched;                                          \
        apr_status_t rv = CALL(x, name, (x->r, &text));                        \
        UNUSED;                                                                \
        result(x, rv, encode_text(x->r->pool, text), text != untouched);       \
    }
#define NUMBER(name, type)                                                     \
    OP(name) {                                                                 \
        type n = -77;                                                          \
        apr_status_t rv = CALL(x, name, (x->r, &n));                           \
        UNUSED;                                                                \
        result(x, rv, apr_psprintf(x->r->pool, "%" APR_INT64_T_FMT,            \
                                   (apr_int64_t)n), n != -77);                 \
    }

VERB(save) VERB(reload) VERB(revert) VERB(delete) VERB(invalidate)
VERB(regenerate)
VERB(lock)
VERB(trylock)
VERB(unlock)
TEXT(id) TEXT(reason) TEXT(user)
NUMBER(is_new, int) NUMBER(exists, int)
NUMBER(created, apr_time_t) NUMBER(accessed, apr_time_t)
NUMBER(timeout, apr_interval_time_t)

OP(version)
{
    UNUSED;
    if (!x->api->version)
        say(x, ABSENT, NULL);
    else
        say(x, APR_SUCCESS, apr_itoa(x->r->pool, x->api->version()));
}

OP(open)
{
    apr_int64_t mode = SESSION_STORE_WRITE;

    (void)len;
    if (arg && strcmp(arg, "read") == 0)
        mode = SESSION_STORE_READ;
    else if (arg && strcmp(arg, "write") != 0
             && !number(arg, -1000, 1000, &mode))
        return line(x, "BADARG", NULL);
    say(x, CALL(x, open, (x->r, (int)mode)), NULL);
}

OP(get)
{
    const char *value = untouched;
    apr_status_t rv = CALL(x, get, (x->r, arg, &value));

    (void)len;
    result(x, rv, encode_text(x->r->pool, value), value != untouched);
}

OP(get_bytes)
{
    const void *data = untouched;
    apr_size_t size = 77;
    apr_status_t rv = CALL(x, get_bytes, (x->r, arg, &data, &size));

    (void)len;
    result(x, rv, rv ? NULL : encode(x->r->pool, data, size),
           data != untouched || size != 77);
}

/* The value of a pair, as argument() left it; NULL if there was no =. */
static char *split_pair(char *arg, apr_size_t len, apr_size_t *value_len)
{
    apr_size_t key_len = strlen(arg);

    *value_len = 0;
    if (key_len == len)
        return NULL;
    *value_len = len - key_len - 1;
    return arg + key_len + 1;
}

OP(set)
{
    apr_size_t size;
    char *value = split_pair(arg, len, &size);

    say(x, CALL(x, set, (x->r, arg, value)), NULL);
}

OP(unset)
{
    (void)len;
    say(x, CALL(x, set, (x->r, arg, NULL)), NULL);
}

OP(set_bytes)
{
    apr_size_t size;
    char *value = split_pair(arg, len, &size);

    say(x, CALL(x, set_bytes, (x->r, arg, value, size)), NULL);
}

OP(incr)
{
    const char *old = "0";
    apr_status_t rv = CALL(x, get, (x->r, arg, &old));
    const char *sum;

    (void)len;
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return say(x, rv, NULL);
    sum = apr_psprintf(x->r->pool, "%" APR_INT64_T_FMT, apr_atoi64(old) + 1);
    rv = CALL(x, set, (x->r, arg, sum));
    say(x, rv, rv == APR_SUCCESS ? sum : NULL);
}

OP(keys)
{
    const apr_array_header_t *keys = NULL;
    apr_status_t rv = CALL(x, keys, (x->r, &keys));
    const char *list = "";
    int i;

    UNUSED;
    for (i = 0; rv == APR_SUCCESS && i < keys->nelts; i++)
        list = apr_pstrcat(
            x->r->pool, list, i ? "," : "",
            encode_text(x->r->pool, APR_ARRAY_IDX(keys, i, const char *)),
            NULL);
    result(x, rv, list, keys != NULL);
}

OP(add)
{
    apr_size_t size;
    char *value = split_pair(arg, len, &size);
    apr_int64_t delta, sum = ABSENT;
    apr_status_t rv;

    if (!value || !number(value, APR_INT64_MIN, APR_INT64_MAX, &delta))
        return line(x, "BADARG", NULL);
    rv = CALL(x, add, (x->r, arg, delta, &sum));
    result(x, rv, apr_psprintf(x->r->pool, "%" APR_INT64_T_FMT, sum),
           sum != ABSENT);
}

OP(peek)
{
    apr_size_t size;
    char *key = split_pair(arg, len, &size);
    const char *value = NULL;
    apr_status_t rv;

    if (!key)
        return line(x, "BADARG", NULL);
    rv = CALL(x, peek, (x->r, arg, key, &value));
    result(x, rv, value, value != NULL);
}

OP(form_token_new)
{
    const char *token = NULL;
    apr_status_t rv;

    UNUSED;
    rv = CALL(x, form_token_new, (x->r, &token));
    result(x, rv, token, token != NULL);
}

OP(form_token_check)
{
    int valid = ABSENT;
    apr_status_t rv = CALL(x, form_token_check, (x->r, arg, &valid));

    (void)len;
    result(x, rv, apr_itoa(x->r->pool, valid), valid != ABSENT);
}

OP(set_timeout)
{
    apr_int64_t n;

    (void)len;
    if (!number(arg, APR_INT64_MIN, APR_INT64_MAX, &n))
        return line(x, "BADARG", NULL);
    say(x, CALL(x, set_timeout, (x->r, n)), NULL);
}

OP(set_user)
{
    (void)len;
    say(x, CALL(x, set_user, (x->r, arg)), NULL);
}

static void call_with_nulls(struct run *x, request_rec *r, const char *name)
{
#define NULLS(function, args)                                                  \
    if (strcmp(name, #function) == 0)                                          \
        return say(x, CALL(x, function, args), NULL);
    if (strcmp(name, "version") == 0)
        return op_version(x, NULL, 0);
    NULLS(open, (r, SESSION_STORE_READ))
    NULLS(get, (r, NULL, NULL))
    NULLS(set, (r, NULL, NULL))
    NULLS(get_bytes, (r, NULL, NULL, NULL))
    NULLS(set_bytes, (r, NULL, NULL, 1))
    NULLS(keys, (r, NULL))
    NULLS(id, (r, NULL))
    NULLS(is_new, (r, NULL))
    NULLS(exists, (r, NULL))
    NULLS(reason, (r, NULL))
    NULLS(created, (r, NULL))
    NULLS(accessed, (r, NULL))
    NULLS(timeout, (r, NULL))
    NULLS(set_timeout, (r, apr_time_from_sec(60)))
    NULLS(user, (r, NULL))
    NULLS(set_user, (r, NULL))
    NULLS(save, (r))
    NULLS(reload, (r))
    NULLS(revert, (r))
    NULLS(delete, (r))
    NULLS(invalidate, (r))
    NULLS(regenerate, (r))
    NULLS(add, (r, NULL, 1, NULL))
    NULLS(lock, (r))
    NULLS(trylock, (r))
    NULLS(unlock, (r))
    NULLS(peek, (r, NULL, NULL, NULL))
    NULLS(form_token_new, (r, NULL))
    NULLS(form_token_check, (r, NULL, NULL))
    line(x, "BADARG", NULL);
}

OP(null)     { (void)len; call_with_nulls(x, NULL, arg); }
OP(nullargs) { (void)len; call_with_nulls(x, x->r, arg); }

/* ---- the request ---- */

static void say_entry(struct run *x, const apr_table_t *table, const char *name)
{
    const char *value = apr_table_get(table, name);

    say(x, value ? APR_SUCCESS : APR_NOTFOUND,
        value ? encode_text(x->r->pool, value) : NULL);
}

static void set_entry(struct run *x, apr_table_t *table, char *arg,
                      apr_size_t len)
{
    apr_size_t size;
    char *value = split_pair(arg, len, &size);

    if (value)
        apr_table_set(table, arg, value);
    else
        apr_table_unset(table, arg);
    say(x, APR_SUCCESS, NULL);
}

OP(note)      { (void)len; say_entry(x, x->r->notes, arg); }
OP(reqheader) { (void)len; say_entry(x, x->r->headers_in, arg); }
OP(env)       { (void)len; say_entry(x, x->r->subprocess_env, arg); }
OP(setnote)   { set_entry(x, x->r->notes, arg, len); }
OP(unsetnote) { set_entry(x, x->r->notes, arg, len); }
OP(header)    { set_entry(x, x->r->headers_out, arg, len); }
OP(errheader) { set_entry(x, x->r->err_headers_out, arg, len); }

OP(notes)
{
    const apr_array_header_t *all = apr_table_elts(x->r->notes);
    const char *list = "";
    int i;

    UNUSED;
    for (i = 0; i < all->nelts; i++) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;
        if (ap_cstr_casecmpn(name, "session", 7) == 0)
            list = apr_pstrcat(x->r->pool, list, *list ? "," : "",
                               encode_text(x->r->pool, name), NULL);
    }
    say(x, APR_SUCCESS, list);
}

OP(type)
{
    (void)len;
    ap_set_content_type(x->r, arg);
    say(x, APR_SUCCESS, NULL);
}

OP(etag)
{
    (void)len;
    apr_table_setn(x->r->headers_out, "ETag",
                   apr_pstrcat(x->r->pool, "\"", arg, "\"", NULL));
    say(x, APR_SUCCESS, NULL);
}

OP(meets_conditions)
{
    UNUSED;
    x->status = ap_meets_conditions(x->r);
    x->ended = x->status != OK;
    if (!x->ended)
        say(x, APR_SUCCESS, NULL);
}

OP(status)
{
    apr_int64_t n;

    (void)len;
    if (!number(arg, 100, 599, &n))
        return line(x, "BADARG", NULL);
    if (x->lines)
        x->status = (int)n;
    else
        x->r->status = (int)n;
    say(x, APR_SUCCESS, NULL);
}

OP(return)
{
    apr_int64_t n;

    (void)len;
    if (!number(arg, 100, 599, &n))
        return line(x, "BADARG", NULL);
    x->status = (int)n;
    x->ended = 1;
}

/* ---- the handler ---- */

OP(write)
{
    static const char some[] = "0123456789abcdef0123456789abcdef"
                               "0123456789abcdef0123456789abcdef";
    apr_int64_t n;

    (void)len;
    if (!number(arg, 0, WRITE_BYTES, &n))
        return line(x, "BADARG", NULL);
    while (n > 0 && !x->r->connection->aborted) {
        apr_int64_t part = n < 64 ? n : 64;
        if (ap_rwrite(some, (int)part, x->r) < 0)
            break;
        n -= part;
    }
    emit(x, "\n");
    say(x, n ? APR_ECONNABORTED : APR_SUCCESS, NULL);
}

OP(flush)
{
    UNUSED;
    say(x, APR_SUCCESS, NULL);
    if (!x->nph)
        ap_rflush(x->r);
}

OP(body)
{
    char buffer[8192];
    apr_int64_t sum = 0;
    long part = 0;
    int rc = ap_setup_client_block(x->r, REQUEST_CHUNKED_DECHUNK);

    UNUSED;
    if (rc == OK && ap_should_client_block(x->r))
        while ((part = ap_get_client_block(x->r, buffer, sizeof buffer)) > 0)
            sum += part;
    say(x, rc == OK && part == 0 ? APR_SUCCESS : APR_EGENERAL,
        apr_psprintf(x->r->pool, "%" APR_INT64_T_FMT, sum));
}

OP(redirect)
{
    (void)len;
    if (*arg != '/')
        return line(x, "BADARG", NULL);
    x->ended = 1;
    ap_internal_redirect(arg, x->r);
}

OP(sub)
{
    request_rec *sub;
    int rc;

    (void)len;
    if (*arg != '/')
        return line(x, "BADARG", NULL);
    sub = ap_sub_req_lookup_uri(arg, x->r, x->r->output_filters);
    rc = sub->status;
    if (rc == HTTP_OK)
        rc = ap_run_sub_req(sub);
    ap_destroy_sub_req(sub);
    say(x, APR_SUCCESS, apr_itoa(x->r->pool, rc));
}

OP(nph)
{
    ap_filter_t *next = x->r->proto_output_filters;

    UNUSED;
    while (next && next->frec->ftype < AP_FTYPE_CONNECTION)
        next = next->next;
    x->r->output_filters = x->r->proto_output_filters = next;
    x->r->connection->keepalive = AP_CONN_CLOSE;
    x->nph = 1;
    emit(x, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            "Connection: close\r\n\r\n");
    say(x, APR_SUCCESS, NULL);
}

OP(suspend)
{
    apr_int64_t ms;
    pthread_t thread;
    int can = 0;

    (void)len;
    if (!number(arg, 0, SLEEP_MS, &ms))
        return line(x, "BADARG", NULL);
    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &can) != APR_SUCCESS || !can)
        return say(x, APR_ENOTIMPL, NULL);
    say(x, APR_SUCCESS, NULL);
    x->pause = apr_time_from_msec(ms);
    x->status = SUSPENDED;
    x->ended = 1;
    /* Not ap_mpm_register_timed_callback(): the event MPM of 2.4.71 looks at
     * its timers only when a connection wakes it. */
    if (pthread_create(&thread, NULL, resume, x) == 0)
        pthread_detach(thread);
    else
        x->status = HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- time and processes ---- */

OP(sleep)
{
    apr_int64_t ms;

    (void)len;
    if (!number(arg, 0, SLEEP_MS, &ms))
        return line(x, "BADARG", NULL);
    apr_sleep(apr_time_from_msec(ms));
    say(x, APR_SUCCESS, NULL);
}

OP(wait)
{
    int tries = WAIT_MS / 5;

    (void)len;
    while (access(arg, F_OK) != 0 && --tries > 0)
        apr_sleep(apr_time_from_msec(5));
    say(x, tries > 0 ? APR_SUCCESS : APR_TIMEUP, NULL);
}

OP(touch)
{
    apr_file_t *file;
    apr_status_t rv = apr_file_open(&file, arg, APR_CREATE | APR_WRITE,
                                    APR_OS_DEFAULT, x->r->pool);
    (void)len;
    if (rv == APR_SUCCESS)
        rv = apr_file_close(file);
    say(x, rv, NULL);
}

OP(pid)  { UNUSED; say(x, APR_SUCCESS, apr_itoa(x->r->pool, (int)getpid())); }
OP(kill) { UNUSED; (void)x; raise(SIGKILL); }

OP(cleanup)
{
    (void)len;
    schedule_cleanup(x->r, arg);
    say(x, APR_SUCCESS, NULL);
}

/* ---- the list ---- */

enum { NONE = 0, MAY = 1, MUST = 2, PAIR = 4, HANDLER = 8 };

static const struct {
    const char *name;
    void (*run)(struct run *, char *, apr_size_t);
    int flags;
} ops[] = {
#define ROW(name, flags) { #name, op_##name, flags },
    ROW(version, NONE) ROW(open, MAY) ROW(get, MUST) ROW(set, MUST | PAIR)
    ROW(unset, MUST) ROW(get_bytes, MUST) ROW(set_bytes, MUST | PAIR)
    ROW(incr, MUST) ROW(keys, NONE) ROW(id, NONE) ROW(is_new, NONE)
    ROW(exists, NONE) ROW(reason, NONE) ROW(created, NONE) ROW(accessed, NONE)
    ROW(timeout, NONE) ROW(set_timeout, MUST) ROW(user, NONE)
    ROW(set_user, MAY) ROW(save, NONE) ROW(reload, NONE) ROW(revert, NONE)
    ROW(delete, NONE) ROW(invalidate, NONE) ROW(regenerate, NONE)
    ROW(add, MUST | PAIR) ROW(lock, NONE) ROW(trylock, NONE) ROW(unlock, NONE)
    ROW(peek, MUST | PAIR) ROW(form_token_new, NONE)
    ROW(form_token_check, MUST)
    ROW(null, MUST) ROW(nullargs, MUST)
    ROW(note, MUST) ROW(notes, NONE) ROW(setnote, MUST | PAIR)
    ROW(unsetnote, MUST) ROW(reqheader, MUST) ROW(env, MUST)
    ROW(header, MUST | PAIR) ROW(errheader, MUST | PAIR) ROW(type, MUST)
    ROW(etag, MUST) ROW(meets_conditions, NONE) ROW(status, MUST)
    ROW(return, MUST)
    ROW(write, MUST | HANDLER) ROW(flush, HANDLER) ROW(body, HANDLER)
    ROW(redirect, MUST | HANDLER) ROW(sub, MUST | HANDLER) ROW(nph, HANDLER)
    ROW(suspend, MUST | HANDLER)
    ROW(sleep, MUST) ROW(wait, MUST) ROW(touch, MUST) ROW(pid, NONE)
    ROW(kill, NONE) ROW(cleanup, MUST)
};

/* Decodes an argument; NULL if that cannot be. Of a pair, key and value are
 * decoded by themselves and put one behind the other with a NUL between. Only a
 * value may have NULs within. */
static char *argument(char *raw, int flags, apr_size_t *len)
{
    char *value = (flags & PAIR) ? strchr(raw, '=') : NULL;
    apr_size_t value_len;

    if (value)
        *value++ = '\0';
    if (!decode(raw, len) || strlen(raw) != *len)
        return NULL;
    if (value) {
        if (!decode(value, &value_len))
            return NULL;
        memmove(raw + *len + 1, value, value_len + 1);
        *len += 1 + value_len;
    }
    return raw;
}

static void run_one(struct run *x, char *text)
{
    char *arg = strchr(text, ':');
    apr_size_t len = 0;
    apr_size_t i;

    if (arg)
        *arg++ = '\0';
    for (i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].name, text) == 0)
            break;
    x->op = "op";
    if (i == sizeof ops / sizeof *ops)
        return line(x, "UNKNOWN", NULL);
    x->op = ops[i].name;
    if ((ops[i].flags & HANDLER) && x->lines)
        return line(x, "PHASE", NULL);
    if (!arg ? ops[i].flags & MUST : !(ops[i].flags & (MUST | MAY)))
        return line(x, "BADARG", NULL);
    if (arg && !(arg = argument(arg, ops[i].flags, &len)))
        return line(x, "BADARG", NULL);
    ops[i].run(x, arg, len);
}

static void run_list(struct run *x)
{
    while (!x->ended && x->rest) {
        char *text = x->rest;
        char *end = strpbrk(text, ";,");

        x->rest = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        if (!*text)
            continue;
        if (--x->left < 0) {
            x->op = "op";
            return line(x, "TOOMANY", NULL);
        }
        run_one(x, text);
    }
}

static struct run *make_run(request_rec *r, const char *list, int in_handler)
{
    struct run *x = apr_pcalloc(r->pool, sizeof *x);

    x->r = r;
    x->api = &optional;
    x->lines = in_handler ? NULL
                          : apr_array_make(r->pool, 8, sizeof(const char *));
    x->rest = apr_pstrdup(r->pool, list);
    x->left = OPS_COUNT;
    return x;
}

/* ---- where lists run ---- */

static int handler(request_rec *r)
{
    struct run *x;

    if (!r->handler || strncmp(r->handler, "probe", 5) != 0)
        return DECLINED;
    if (strcmp(r->handler, "probe") && strcmp(r->handler, "probe-symbols"))
        return DECLINED;
    if (r->args && strlen(r->args) > OPS_BYTES)
        return HTTP_REQUEST_URI_TOO_LARGE;
    x = make_run(r, r->args ? r->args : "", 1);
    if (r->handler[5])
        x->api = &symbols;
    ap_set_content_type(r, "text/plain");
    run_list(x);
    return x->status;
}

/* The rest of a suspended handler. No release of httpd up to 2.4.71 has a way
 * to hand the connection back to the MPM, so the answer ends it. */
static void *resume(void *baton)
{
    struct run *x = baton;
    conn_rec *c = x->r->connection;

    apr_sleep(x->pause);
    apr_thread_mutex_lock(x->r->invoke_mtx);
    x->ended = 0;
    x->status = OK;
    c->keepalive = AP_CONN_CLOSE;
    run_list(x);
    apr_thread_mutex_unlock(x->r->invoke_mtx);
    if (x->status == SUSPENDED)
        return NULL;
    if (x->status == OK)
        ap_finalize_request_protocol(x->r);
    else
        ap_die(x->status, x->r);
    ap_process_request_after_handler(x->r);
    ap_flush_conn(c);
    apr_socket_shutdown(ap_get_conn_socket(c), APR_SHUTDOWN_WRITE);
    return NULL;
}

static const struct place *place_of(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &probe_module);
}

static int run_phase(request_rec *r, const char *phase, const char *list)
{
    struct run *x = make_run(r, list, 0);
    const char *text = phase;
    int i;

    run_list(x);
    for (i = 0; i < x->lines->nelts; i++)
        text = apr_pstrcat(r->pool, text, i ? "; " : " ",
                           APR_ARRAY_IDX(x->lines, i, const char *), NULL);
    if (strcmp(phase, "log") == 0 || strcmp(phase, "cleanup") == 0)
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, r->server, "probe: %s", text);
    else
        apr_table_addn(r->err_headers_out, "X-Probe", text);
    return x->status;
}

static int run_access(request_rec *r)
{
    const char *list = place_of(r)->access;
    int rc = list ? run_phase(r, "access", list) : OK;

    return rc ? rc : DECLINED;
}

static int run_fixup(request_rec *r)
{
    const struct place *place = place_of(r);
    int rc = place->fixup ? run_phase(r, "fixup", place->fixup) : OK;

    if (place->cleanup)
        schedule_cleanup(r, place->cleanup);
    return rc ? rc : DECLINED;
}

static void add_filter(request_rec *r)
{
    if (!r->main && place_of(r)->filter)
        ap_add_output_filter("PROBE", NULL, r, r->connection);
}

static apr_status_t run_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *e;

    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
         e = APR_BUCKET_NEXT(e))
        if (!APR_BUCKET_IS_METADATA(e) || APR_BUCKET_IS_EOS(e)) {
            run_phase(f->r, "filter", place_of(f->r)->filter);
            ap_remove_output_filter(f);
            break;
        }
    return ap_pass_brigade(f->next, bb);
}

static int run_log(request_rec *r)
{
    const char *list = place_of(r)->log;

    if (list)
        run_phase(r, "log", list);
    return DECLINED;
}

struct late {
    request_rec *r;
    const char *ops;
};

static apr_status_t run_cleanup(void *baton)
{
    struct late *late = baton;

    run_phase(late->r, "cleanup", late->ops);
    return APR_SUCCESS;
}

static void schedule_cleanup(request_rec *r, const char *list)
{
    struct late *late = apr_palloc(r->pool, sizeof *late);

    late->r = r;
    late->ops = apr_pstrdup(r->pool, list);
    apr_pool_cleanup_register(r->pool, late, run_cleanup,
                              apr_pool_cleanup_null);
}

/* ---- the module ---- */

static void find_functions(void)
{
#define FIND(name)                                                             \
    optional.name = APR_RETRIEVE_OPTIONAL_FN(session_store_##name);            \
    symbols.name = (APR_OPTIONAL_FN_TYPE(session_store_##name) *)dlsym(        \
        RTLD_DEFAULT, "session_store_" #name);
    FUNCTIONS(FIND)
}

static void *make_place(apr_pool_t *p, char *dir)
{
    (void)dir;
    return apr_pcalloc(p, sizeof(struct place));
}

static void *merge_place(apr_pool_t *p, void *base_, void *over_)
{
    const struct place *base = base_, *over = over_;
    struct place *both = apr_palloc(p, sizeof *both);

    both->access = over->access ? over->access : base->access;
    both->fixup = over->fixup ? over->fixup : base->fixup;
    both->log = over->log ? over->log : base->log;
    both->cleanup = over->cleanup ? over->cleanup : base->cleanup;
    both->filter = over->filter ? over->filter : base->filter;
    return both;
}

static const char *set_list(cmd_parms *cmd, void *place, const char *list)
{
    if (strlen(list) > OPS_BYTES)
        return apr_psprintf(cmd->pool, "%s: at most %d bytes",
                            cmd->cmd->name, OPS_BYTES);
    return ap_set_string_slot(cmd, place, list);
}

#define DIRECTIVE(name, field)                                                 \
    AP_INIT_TAKE1(name, set_list, (void *)APR_OFFSETOF(struct place, field),   \
                  RSRC_CONF | ACCESS_CONF, "operations for this phase")

static const command_rec commands[] = {
    DIRECTIVE("ProbeAccess", access),
    DIRECTIVE("ProbeFixup", fixup),
    DIRECTIVE("ProbeLog", log),
    DIRECTIVE("ProbeCleanup", cleanup),
    DIRECTIVE("ProbeFilter", filter),
    { NULL }
};

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_optional_fn_retrieve(find_functions, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_access(run_access, NULL, NULL, APR_HOOK_MIDDLE,
                         AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(run_fixup, NULL, NULL, APR_HOOK_MIDDLE);
    /* First, as filters of a kind run in the order in which they came. */
    ap_hook_insert_filter(add_filter, NULL, NULL, APR_HOOK_FIRST);
    ap_register_output_filter("PROBE", run_filter, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(run_log, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(probe) = {
    STANDARD20_MODULE_STUFF, make_place, merge_place, NULL, NULL, commands,
    register_hooks, AP_MODULE_FLAG_NONE
};
