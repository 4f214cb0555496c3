/* Registration with httpd: the order among other modules is said here and
 * nowhere else. No logic. */
#include "shim.h"
#include "http_config.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"

/* Found once: looking a filter up by its name takes longer than all else that
 * is done for a request without a session. Registering anew, which a restart
 * does, sets it anew. */
static ap_filter_rec_t *answer_filter;

const ap_filter_rec_t *shim_answer_filter(void)
{
    return answer_filter;
}

void shim_register_hooks(void)
{
    /* mod_session writes in its filter: ours comes behind it. mod_headers and
     * mod_cache have to see what ours adds: theirs come behind it. */
    static const char *const after[] = { "mod_session.c", NULL };
    static const char *const before[] = { "mod_headers.c", "mod_cache.c",
                                          NULL };
    static const char *const cache[] = { "mod_cache.c", NULL };

    ap_hook_pre_config(mss_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* Behind the MPM, which finds out here how many children it may have. */
    ap_hook_check_config(mss_check_config, NULL, NULL,
                         APR_HOOK_LAST);
    ap_hook_test_config(mss_test_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(mss_post_config, NULL, NULL,
                        APR_HOOK_MIDDLE);
    ap_hook_child_init(mss_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    /* First of all: nobody is to see what a client must not say. */
    ap_hook_post_read_request(mss_post_read_request, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    /* Last of all: httpd's own makes what others look at. */
    ap_hook_create_request(mss_create_request, NULL, NULL,
                           APR_HOOK_REALLY_LAST);
    ap_hook_insert_filter(mss_insert_filter, after, before,
                          APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(mss_insert_filter, after, before,
                                APR_HOOK_MIDDLE);
    /* First of all: it runs the other handlers inside itself. Only a cache
     * comes before it, for it has to see what the client sent. */
    ap_hook_handler(mss_handler, cache, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_authn(mss_check_authn, NULL, NULL, APR_HOOK_MIDDLE,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_expr_lookup(mss_expr_lookup, NULL, NULL, APR_HOOK_MIDDLE);
    /* First of all: what other modules ask while they log is too late. */
    ap_hook_log_transaction(mss_log_transaction, NULL, NULL,
                            APR_HOOK_REALLY_FIRST);
    answer_filter = ap_register_output_filter("SESSION_STORE", mss_filter, NULL,
                                              AP_FTYPE_CONTENT_SET);
    /* A cache of parts of pages is one less. */
    ap_register_output_filter("SESSION_STORE_PART", mss_part_filter, NULL,
                              AP_FTYPE_CONTENT_SET - 2);
    /* Before what httpd writes is cut, coalesced or encrypted. */
    ap_register_output_filter("SESSION_STORE_RAW", mss_raw_filter, NULL,
                              AP_FTYPE_CONNECTION);
    ap_register_input_filter("SESSION_STORE_TRAILERS", mss_trailers_filter,
                             NULL, AP_FTYPE_CONTENT_SET);
}
