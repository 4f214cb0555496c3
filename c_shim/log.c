/* Logging: httpd's functions are variadic macros, which only C can call. */
#include "shim.h"
#include "http_log.h"

APLOG_USE_MODULE(session_store);

void shim_log_server(int level, apr_status_t status, const server_rec *s,
                     const char *text)
{
    ap_log_error(APLOG_MARK, level, status, s, "%s", text);
}

void shim_log_request(int level, apr_status_t status, const request_rec *r,
                      const char *text)
{
    ap_log_rerror(APLOG_MARK, level, status, r, "%s", text);
}

int shim_logs(int level, const server_rec *s)
{
    return APLOG_IS_LEVEL(s, level);
}
