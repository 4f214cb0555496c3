/*
 * Stores that are the example's with one thing different, for tests. Loaded
 * behind mod_session_example_store.
 *
 *   threadless   not safe for threads
 *   lonely       seen by one process alone
 *   plain        does not compare, keeps no visits, lists nothing, on a network
 *   failing      as plain; its functions fail while the file ARGUMENT.down is
 *                there, and when ARGUMENT.shut is there, a child cannot open it
 *   broken       a struct of no version
 */
#include "httpd.h"

#include "ap_provider.h"
#include "apr_strings.h"
#include "http_config.h"

#include "session_store_provider.h"

#include <unistd.h>

static const session_store_provider *example;
static session_store_provider threadless, lonely, plain, failing, broken;
static const char *path;

static int is_there(const char *end)
{
    char file[1024];

    apr_snprintf(file, sizeof(file), "%s.%s", path, end);
    return access(file, F_OK) == 0;
}

static const char *prepare(void **store, const char *argument,
                           const session_store_host *host, apr_pool_t *pool)
{
    path = apr_pstrdup(pool, argument);
    return example->prepare(store, argument, host, pool);
}

static const char *open_store(void **opened, void *store, apr_pool_t *pool)
{
    if (is_there("shut"))
        return "it is shut";
    return example->open(opened, store, pool);
}

static apr_status_t load(void *opened, const unsigned char *key,
                         session_store_take *take, void *baton,
                         apr_pool_t *temp)
{
    if (is_there("down"))
        return APR_ECONNREFUSED;
    return example->load(opened, key, take, baton, temp);
}

static apr_status_t create(void *opened, const unsigned char *key,
                           const session_store_record *record,
                           apr_pool_t *temp)
{
    if (is_there("down"))
        return APR_ECONNREFUSED;
    return example->create(opened, key, record, temp);
}

/* Judges no version: whoever comes last wins. */
static apr_status_t replace(void *opened, const unsigned char *key,
                            const session_store_record *record,
                            apr_pool_t *temp)
{
    session_store_record any = *record;

    if (is_there("down"))
        return APR_ECONNREFUSED;
    any.version = 0;
    return example->replace(opened, key, &any, temp);
}

static apr_status_t remove_any(void *opened, const unsigned char *key,
                               const session_store_record *expected,
                               apr_pool_t *temp)
{
    (void)expected;
    if (is_there("down"))
        return APR_ECONNREFUSED;
    return example->remove(opened, key, NULL, temp);
}

static void provide(apr_pool_t *pool, const char *name,
                    const session_store_provider *provider)
{
    ap_register_provider(pool, SESSION_STORE_PROVIDER_GROUP, name,
                         SESSION_STORE_PROVIDER_VERSION, provider);
}

static void register_hooks(apr_pool_t *pool)
{
    example = ap_lookup_provider(SESSION_STORE_PROVIDER_GROUP, "example",
                                 SESSION_STORE_PROVIDER_VERSION);
    if (!example)
        return;
    threadless = lonely = plain = broken = *example;
    threadless.flags &= ~SESSION_STORE_THREADS;
    lonely.flags &= ~SESSION_STORE_PROCESSES;
    plain.flags &= ~(SESSION_STORE_COMPARES | SESSION_STORE_SURVIVES_KILL);
    plain.flags |= SESSION_STORE_REMOTE;
    plain.prepare = prepare;
    plain.open = open_store;
    plain.load = load;
    plain.create = create;
    plain.replace = replace;
    plain.remove = remove_any;
    plain.touch = NULL;
    plain.scan = NULL;
    plain.stats = NULL;
    plain.check = NULL;
    failing = plain;
    broken.size = 8;
    provide(pool, "threadless", &threadless);
    provide(pool, "lonely", &lonely);
    provide(pool, "plain", &plain);
    provide(pool, "failing", &failing);
    provide(pool, "broken", &broken);
}

AP_DECLARE_MODULE(other_stores) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
