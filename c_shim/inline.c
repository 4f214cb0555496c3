/* One-line wrappers of what httpd's headers offer as macros only. */
#include "shim.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_buckets.h"

int shim_is_error_bucket(const apr_bucket *e)
{
    return AP_BUCKET_IS_ERROR(e);
}

/* Whether the brigade makes the head leave: it holds data or the end of the
 * answer. An empty brigade, or one that only flushes, does not; an error on
 * its way is answered by another head. */
int shim_is_first_data(const apr_bucket_brigade *bb)
{
    const apr_bucket *e;
    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
         e = APR_BUCKET_NEXT(e)) {
        if (AP_BUCKET_IS_ERROR(e)) {
            return 0;
        }
        if (!APR_BUCKET_IS_METADATA(e) || APR_BUCKET_IS_EOS(e)
            || APR_BUCKET_IS_FLUSH(e)) {
            return 1;
        }
    }
    return 0;
}

/* Replaces what is in the brigade by an error: httpd's header filter answers
 * it with that status, through ErrorDocument. */
void shim_pass_error(ap_filter_t *f, apr_bucket_brigade *bb, int status)
{
    apr_bucket_alloc_t *alloc = f->c->bucket_alloc;
    apr_brigade_cleanup(bb);
    APR_BRIGADE_INSERT_TAIL(
        bb, ap_bucket_error_create(status, NULL, f->r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
}

/* Reads the first bucket; one whose length is unknown becomes one of data and
 * the rest. */
enum shim_front_kind shim_front(apr_bucket_brigade *bb, const char **data,
                                apr_size_t *len, apr_status_t *status)
{
    apr_bucket *e = APR_BRIGADE_FIRST(bb);
    *status = APR_SUCCESS;
    if (e == APR_BRIGADE_SENTINEL(bb)) {
        return SHIM_FRONT_EMPTY;
    }
    if (APR_BUCKET_IS_FLUSH(e)) {
        return SHIM_FRONT_FLUSH;
    }
    if (APR_BUCKET_IS_METADATA(e)) {
        return SHIM_FRONT_MARK;
    }
    *status = apr_bucket_read(e, data, len, APR_BLOCK_READ);
    return SHIM_FRONT_DATA;
}

/* Removes the first bytes of the first bucket, or all of it. */
void shim_drop_front(apr_bucket_brigade *bb, apr_size_t count)
{
    apr_bucket *e = APR_BRIGADE_FIRST(bb);
    if (count < e->length && apr_bucket_split(e, count) != APR_SUCCESS) {
        return;
    }
    apr_bucket_delete(e);
}

void shim_push_front(apr_bucket_brigade *bb, const char *data, apr_size_t len)
{
    APR_BRIGADE_INSERT_HEAD(
        bb, apr_bucket_heap_create(data, len, NULL, bb->bucket_alloc));
}

const char *shim_scheme(const request_rec *r)
{
    return ap_http_scheme(r);
}
