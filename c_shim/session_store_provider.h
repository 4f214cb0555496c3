/* Licensed under the Apache License, Version 2.0; see LICENSE. */

/**
 * @file session_store_provider.h
 * @brief How another module brings a store of its own to mod_session_store.
 *
 * The module fills a session_store_provider and registers it under a name, in
 * its register_hooks:
 *
 *     ap_register_provider(pool, SESSION_STORE_PROVIDER_GROUP, "mine",
 *                          SESSION_STORE_PROVIDER_VERSION, &my_store);
 *
 * "SessionStore mine" or "SessionStore mine:ARGUMENT" then keeps sessions in
 * it. Locking of requests, merging, ids, cookies and time are not the store's
 * business: it keeps records, which are bytes, under keys, which are bytes too.
 * httpd-conf/example_store has a whole one, with its tests.
 *
 * ## When what is called
 * 1. check, while the configuration is tested: at each start, at each restart
 *    and for "httpd -t". It looks at the argument and makes nothing.
 * 2. prepare, once in the life of the parent, before there are children,
 *    maybe as root. What it makes is shared by all children: the pool is the
 *    process's, and a graceful restart does not call it again. It opens no
 *    connection and starts no thread.
 * 3. open, once in each child, as the server's user; again at the next request
 *    if it failed. Connections and threads begin here, or later.
 * 4. All others, in children, as often as needed.
 * Nothing is called at the end: a child may be killed at any time, so nothing
 * may depend on it. The library of the provider is kept loaded from prepare to
 * the end of the parent, over graceful restarts: what it registers with the
 * process's pool stays callable, and a newer file is taken at a full restart.
 *
 * ## Threads and processes
 * With SESSION_STORE_THREADS functions are called by several threads at once;
 * without it never by two at once in one process, though maybe by different
 * ones, and threaded MPMs are refused. Without SESSION_STORE_PROCESSES the
 * configuration test refuses a server of more than one process.
 *
 * ## Results
 * APR_SUCCESS, or
 * - APR_NOTFOUND: no record under this key, or not the one that was expected;
 * - APR_EEXIST, of create: there is one;
 * - APR_EAGAIN, of replace and remove: it has another version than expected;
 * - APR_ENOSPC: the store is full; the old record, if any, is still there;
 * - APR_ENOTIMPL: the store has no such thing, as if the function were NULL;
 * - any other: the store is out of reach or broken. It is logged with the text
 *   of apr_strerror, and the request gets what SessionStoreFailure says. Never
 *   answer APR_NOTFOUND for that: a visitor would be logged out.
 *
 * ## Ownership
 * What a function gets is the caller's and lives during the call; so is temp, a
 * pool that is cleared after it. Records and keys are given back by calling
 * take or see, which copy what they are shown and return before anything is
 * freed; they may be called with the store's locks held, and call nothing of
 * the store.
 *
 * ## Kills
 * A process may end at any instruction. A store with
 * SESSION_STORE_SURVIVES_KILL then has each record as it was before or as it is
 * after, and no lock that stays held.
 */

#ifndef SESSION_STORE_PROVIDER_H
#define SESSION_STORE_PROVIDER_H

#include "apr_errno.h"
#include "apr_pools.h"
#include "apr_time.h"
#include "httpd.h"

#ifdef __cplusplus
extern "C" {
#endif

/** For ap_register_provider(). */
#define SESSION_STORE_PROVIDER_GROUP "session-store"
/** Likewise. What this header says of a version is never changed. */
#define SESSION_STORE_PROVIDER_VERSION "0"

/** Bytes of a key: a hash, evenly spread. */
#define SESSION_STORE_HASH_BYTES 32
/** Bytes that stand for a user: a hash; all zero if nobody is logged in. */
#define SESSION_STORE_USER_BYTES 16
/** Most bytes of a position in a scan. */
#define SESSION_STORE_POSITION_MAX 64

/** All processes of the server see the same records. */
#define SESSION_STORE_PROCESSES 0x01u
/** Functions may be called by several threads at once. */
#define SESSION_STORE_THREADS 0x02u
/**
 * create, replace, touch and remove judge what is there and write in one step,
 * against every other writer in every process and on every machine. A store
 * without it may ignore what is expected, and create may write over a record:
 * the module then reads before it writes, under a mutex of its own, which
 * excludes other processes of this server but no other machine. Readers do not
 * wait for it: while a record is written over, a load finds the old one or the
 * new one, in any store.
 */
#define SESSION_STORE_COMPARES 0x04u
/** See "Kills". */
#define SESSION_STORE_SURVIVES_KILL 0x08u
/**
 * Functions wait for a network. Sessions are then held on this machine only:
 * the configuration test warns.
 */
#define SESSION_STORE_REMOTE 0x10u
/** With host->sync, what was written is on a disk when a function returns. */
#define SESSION_STORE_SYNCS 0x20u
/** Records are removed by the store itself when deadline and grace are over. */
#define SESSION_STORE_EXPIRES 0x40u

/** A record. */
typedef struct session_store_record {
    /** Its bytes and their checksum: to be kept and given back as they are. */
    const void *data;
    /** How many. */
    apr_size_t len;
    /**
     * Names the life of the key: random, another one after each create. For
     * replace the one that has to be there.
     */
    apr_uint64_t incarnation;
    /**
     * Given back by a store that compares: changed by each write and each
     * touch, and never 0. For replace and remove the one that has to be there,
     * 0 for any.
     */
    apr_uint64_t version;
    /** The latest recorded visit. A store with touch gives back what it has. */
    apr_time_t accessed;
    /** Until when the session lives if nobody comes. Likewise. */
    apr_time_t deadline;
    /** Who is logged in, for find_user; need not be given back. */
    unsigned char user[SESSION_STORE_USER_BYTES];
} session_store_record;

/** Takes a record that load found. */
typedef void session_store_take(void *baton,
                                const session_store_record *record);

/**
 * Sees a key.
 * @param baton    what the function got
 * @param key      SESSION_STORE_HASH_BYTES bytes
 * @param position scan: where to go on behind this key, at most
 *                 SESSION_STORE_POSITION_MAX bytes; find_user: NULL
 * @param len      how many bytes
 * @return 0: no more of them, the function returns
 */
typedef int session_store_see(void *baton, const unsigned char *key,
                              const void *position, apr_size_t len);

/** What the server is like, for prepare. It may grow at its end. */
typedef struct session_store_host {
    /** Bytes of this struct. */
    apr_size_t size;
    /** For the error log; not to be kept. */
    server_rec *server;
    /** SessionSync. */
    int sync;
    /** How long after its deadline a record may still be written. */
    apr_interval_time_t grace;
    /** Most bytes of a record. */
    apr_size_t record_max;
} session_store_host;

/** What a store knows of itself; -1: not known. It may grow at its end. */
typedef struct session_store_stats {
    /** Bytes of this struct. */
    apr_size_t size;
    /** Records, ended ones included. */
    apr_int64_t records;
    /** Bytes they take. */
    apr_int64_t bytes;
    /** Most bytes they may take. */
    apr_int64_t capacity;
} session_store_stats;

/**
 * A store. It lives as long as the library that it is in. Functions that may be
 * NULL say so.
 */
typedef struct session_store_provider {
    /** sizeof(session_store_provider). */
    apr_size_t size;
    /** SESSION_STORE_PROCESSES and so on. */
    unsigned int flags;
    /** Most bytes of a record; 0: no limit. Larger ones are never handed in. */
    apr_size_t record_max;

    /**
     * Looks at the argument of SessionStore; may be NULL.
     * @param argument what stands behind the name and a colon; NULL if nothing
     * @param temp     for the text
     * @return NULL if it is good, else what is wrong, a whole sentence
     */
    const char *(*check)(const char *argument, apr_pool_t *temp);

    /**
     * Makes what all processes share.
     * @param store    receives what open gets
     * @param argument as for check
     * @param host     see there
     * @param pool     lives as long as the parent; no other is to be used
     * @return NULL, or why the server cannot start, a whole sentence
     */
    const char *(*prepare)(void **store, const char *argument,
                           const session_store_host *host, apr_pool_t *pool);

    /**
     * Opens the store in a child; NULL: the store of prepare serves as it is.
     * @param opened receives what all functions below get
     * @param store  of prepare
     * @param pool   lives as long as the child
     * @return NULL, or why it cannot be opened now, a whole sentence
     */
    const char *(*open)(void **opened, void *store, apr_pool_t *pool);

    /** Reads a record: take is called once if there is one. */
    apr_status_t (*load)(void *opened, const unsigned char *key,
                         session_store_take *take, void *baton,
                         apr_pool_t *temp);

    /** Writes a record under a key that has none. */
    apr_status_t (*create)(void *opened, const unsigned char *key,
                           const session_store_record *record,
                           apr_pool_t *temp);

    /** Writes a record over the one with its incarnation and version. */
    apr_status_t (*replace)(void *opened, const unsigned char *key,
                            const session_store_record *record,
                            apr_pool_t *temp);

    /**
     * Records a visit: both times move forward or stay, never back. May be
     * NULL: then the record is read and replaced for it.
     */
    apr_status_t (*touch)(void *opened, const unsigned char *key,
                          apr_uint64_t incarnation, apr_time_t accessed,
                          apr_time_t deadline, apr_pool_t *temp);

    /**
     * Removes a record.
     * @param expected incarnation and version that it has to have; NULL: any
     */
    apr_status_t (*remove)(void *opened, const unsigned char *key,
                           const session_store_record *expected,
                           apr_pool_t *temp);

    /**
     * Shows the keys there are, in any order that stays. A key that is there
     * all the time is seen once, or more than once, however others come and go.
     * May be NULL: then sessions cannot be listed and, without
     * SESSION_STORE_EXPIRES, are never cleaned up.
     * @param from where to go on, from an earlier see; NULL: at the start
     * @param len  how many bytes
     * @return APR_SUCCESS after see returned 0, APR_EOF if there are no more
     */
    apr_status_t (*scan)(void *opened, const void *from, apr_size_t len,
                         session_store_see *see, void *baton,
                         apr_pool_t *temp);

    /**
     * Shows the keys of records with this user. May be NULL: then all records
     * are looked at.
     */
    apr_status_t (*find_user)(void *opened, const unsigned char *user,
                              session_store_see *see, void *baton,
                              apr_pool_t *temp);

    /** Fills in what is known; may be NULL. */
    apr_status_t (*stats)(void *opened, session_store_stats *stats);
} session_store_provider;

#ifdef __cplusplus
}
#endif

#endif
