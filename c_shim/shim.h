/* Private prototypes between the C shim and the Rust module. bindgen reads
 * this file and the shim includes it: each side checks the other. */
#ifndef SESSION_STORE_SHIM_H
#define SESSION_STORE_SHIM_H

#include "httpd.h"
#include "http_config.h"
#include "util_filter.h"
#include "ap_expr.h"

/* Levels and a text that holds no percent sign of the caller's: it is never
 * used as a format. The error log shows the module's name and can be tuned by
 * "LogLevel session_store:LEVEL". */
void shim_log_server(int level, apr_status_t status, const server_rec *s,
                     const char *text);
void shim_log_request(int level, apr_status_t status, const request_rec *r,
                      const char *text);
/* Whether the request's or the server's LogLevel lets this level through. */
int shim_logs(int level, const server_rec *s);

/* Registers the functions below with httpd. */
void shim_register_hooks(void);
/* The filter that runs mss_filter. */
const ap_filter_rec_t *shim_answer_filter(void);

/* Macros and inline functions of httpd's headers. */
int shim_is_error_bucket(const apr_bucket *e);
int shim_is_first_data(const apr_bucket_brigade *bb);
void shim_pass_error(ap_filter_t *f, apr_bucket_brigade *bb, int status);
const char *shim_scheme(const request_rec *r);

/* What a brigade begins with. */
enum shim_front_kind {
    SHIM_FRONT_EMPTY,
    SHIM_FRONT_DATA,
    SHIM_FRONT_FLUSH,
    SHIM_FRONT_MARK
};
enum shim_front_kind shim_front(apr_bucket_brigade *bb, const char **data,
                                apr_size_t *len, apr_status_t *status);
void shim_drop_front(apr_bucket_brigade *bb, apr_size_t count);
void shim_push_front(apr_bucket_brigade *bb, const char *data, apr_size_t len);

/* Entry points: src/module. */
int mss_pre_config(apr_pool_t *, apr_pool_t *, apr_pool_t *);
int mss_check_config(apr_pool_t *, apr_pool_t *, apr_pool_t *,
                               server_rec *);
void mss_test_config(apr_pool_t *, server_rec *);
int mss_post_config(apr_pool_t *, apr_pool_t *, apr_pool_t *,
                              server_rec *);
void mss_child_init(apr_pool_t *, server_rec *);
int mss_create_request(request_rec *);
int mss_post_read_request(request_rec *);
void mss_insert_filter(request_rec *);
int mss_handler(request_rec *);
int mss_log_transaction(request_rec *);
int mss_check_authn(request_rec *);
int mss_expr_lookup(ap_expr_lookup_parms *);
apr_status_t mss_filter(ap_filter_t *, apr_bucket_brigade *);
apr_status_t mss_part_filter(ap_filter_t *, apr_bucket_brigade *);
apr_status_t mss_raw_filter(ap_filter_t *, apr_bucket_brigade *);
apr_status_t mss_trailers_filter(ap_filter_t *, apr_bucket_brigade *,
                                 ap_input_mode_t, apr_read_type_e, apr_off_t);

#endif
