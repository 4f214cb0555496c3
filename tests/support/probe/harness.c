/*
 * A handler that does to its server what the harness has to notice.
 *
 *   ?pid          answers the number of its process
 *   ?log          writes a line of level error
 *   ?crash        ends its process by a signal
 *   ?hold=MS      answers after MS milliseconds
 *   ?stream=BYTES answers that many bytes
 */
#include "httpd.h"

#include "apr_strings.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *number_after(const char *args, const char *name)
{
    apr_size_t len = strlen(name);

    return strncmp(args, name, len) == 0 ? args + len : NULL;
}

static void stream(request_rec *r, apr_int64_t bytes)
{
    static const char block[1024];

    while (bytes > 0 && !r->connection->aborted) {
        int part = bytes < (apr_int64_t)sizeof(block) ? (int)bytes
                                                      : (int)sizeof(block);

        if (ap_rwrite(block, part, r) < 0)
            return;
        bytes -= part;
    }
}

static int handle(request_rec *r)
{
    const char *args = r->args ? r->args : "";
    const char *number;

    if (!r->handler || strcmp(r->handler, "harness") != 0)
        return DECLINED;
    ap_set_content_type(r, "text/plain");
    if (strcmp(args, "log") == 0)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "harness: as asked");
    if (strcmp(args, "crash") == 0)
        raise(SIGSEGV);
    if ((number = number_after(args, "hold=")) != NULL)
        apr_sleep(apr_time_from_msec(apr_atoi64(number)));
    if ((number = number_after(args, "stream=")) != NULL)
        stream(r, apr_atoi64(number));
    else
        ap_rprintf(r, "%ld", (long)getpid());
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(harness) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
