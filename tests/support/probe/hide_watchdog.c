/* Makes httpd look as if mod_watchdog were not there: its functions are found
 * by name, and this takes the names away. */
#include "httpd.h"
#include "http_config.h"
#include "apr_optional.h"

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    apr_dynamic_fn_register("ap_watchdog_get_instance", NULL);
    apr_dynamic_fn_register("ap_watchdog_register_callback", NULL);
}

AP_DECLARE_MODULE(hide_watchdog) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
