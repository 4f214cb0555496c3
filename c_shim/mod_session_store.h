/* Licensed under the Apache License, Version 2.0; see LICENSE. */

/**
 * @file mod_session_store.h
 * @brief The C interface of mod_session_store: one session for every handler.
 *
 * A counter, as a handler of another module writes it:
 *
 *     static APR_OPTIONAL_FN_TYPE(session_store_get) *get;
 *     static APR_OPTIONAL_FN_TYPE(session_store_set) *set;
 *
 *     static void find_functions(void)     // ap_hook_optional_fn_retrieve
 *     {
 *         get = APR_RETRIEVE_OPTIONAL_FN(session_store_get);
 *         set = APR_RETRIEVE_OPTIONAL_FN(session_store_set);
 *     }
 *
 *     const char *n;
 *     apr_status_t rv = get ? get(r, "n", &n) : APR_ENOTIMPL;
 *     if (rv == APR_NOTFOUND)
 *         n = "0";
 *     else if (rv != APR_SUCCESS)
 *         return session_error(rv);        // see "Results"
 *     rv = set(r, "n", apr_itoa(r->pool, atoi(n) + 1));
 *
 * Nothing has to be opened, saved or closed: the session is found at the first
 * call that needs it, and what was changed is stored before the answer leaves.
 *
 * ## Results
 * APR_SUCCESS, or one of the following. A function that fails changes nothing
 * and leaves what its output arguments point to as it was. Each function names
 * below what it adds to, or never answers of, this list.
 *
 * - APR_EINVAL: a bad argument (see "Arguments"); a wrong phase (see "Phases
 *   and threads"); or something that needs a cookie after the head of the
 *   answer was sent.
 * - APR_ENOTIMPL: SessionEngine is off at this place.
 * - APR_TIMEUP: another request held the session for longer than
 *   SessionLockTimeout, or too many requests wait already. Answer
 *   HTTP_SERVICE_UNAVAILABLE: Retry-After is added to it. Asked again, by
 *   whatever handler of the request, no function waits: it has the session at
 *   once, or answers this again.
 * - APR_EGENERAL: the store failed; the error log says how. Answer
 *   HTTP_INTERNAL_SERVER_ERROR, or go on without a session.
 *
 * Functions that change something answer these as well:
 *
 * - APR_EACCES: the session is open for reading only.
 * - APR_NOTFOUND: the session was deleted by somebody else meanwhile.
 *
 * ## Arguments
 * No argument may be NULL unless a function says what NULL means there; a NULL
 * is answered APR_EINVAL, by each function, and never followed.
 *
 * A key is 1 to SESSION_STORE_KEY_MAX bytes of UTF-8 without control
 * characters, compared without regard to ASCII case and spelled as first set;
 * mod_session is none. A value is bytes. Times are microseconds, as everywhere in APR: an apr_time_t
 * since 1970-01-01 UTC, an apr_interval_time_t as a span.
 *
 * ## Ownership
 * What is passed in is copied. What comes out is the caller's to read: it lives
 * in the pool of the request tree's first request (follow `main` and `prev` up
 * to the end), so as long as that request, and does not change when the session
 * does. There is nothing to free.
 *
 * ## One session per request tree
 * Subrequests, internal redirects, includes and error pages see the session of
 * the request they belong to. Calls from any of them are calls on that session,
 * with the settings of the place which opened it.
 *
 * ## Phases and threads
 * Callable from post_read_request, when the place is known
 * (ap_hook_post_perdir_config) at best, to the end of the handler and in output
 * filters that run before its end. One thread of a request at a time. A log
 * hook or a pool cleanup may run on a thread of another request after the
 * session was let go: APR_EINVAL.
 *
 * The functions that need the session's data take it for this request, so that
 * others who write it wait (SessionLocking request): all but
 * session_store_version(), _open() for reading, _exists(), _id() and _peek().
 * Where only a look is wanted, call session_store_open() with SESSION_STORE_READ first.
 *
 * ## Optional functions and symbols
 * Each function is there twice. As an APR optional function, to be looked up in
 * ap_hook_optional_fn_retrieve() or post_config at each start and restart, it
 * is NULL if mod_session_store is not loaded. That is what modules should use:
 * they load without it, and in any order. As a symbol of mod_session_store.so
 * it is for callers who look it up with dlsym(); a module that refers to the
 * symbol itself fails to load unless mod_session_store is loaded first.
 *
 * ## Own stores
 * A module that keeps sessions somewhere else registers a provider:
 * session_store_provider.h, which this header includes.
 */

#ifndef MOD_SESSION_STORE_H
#define MOD_SESSION_STORE_H

#include "apr_errno.h"
#include "apr_optional.h"
#include "apr_tables.h"
#include "apr_time.h"
#include "httpd.h"
#include "session_store_provider.h"

/** The version this header describes; see session_store_version(). */
#define SESSION_STORE_VERSION 1

/** session_store_open(): look only; others may hold the session meanwhile. */
#define SESSION_STORE_READ 0
/** session_store_open(): read and write, held as SessionLocking says. */
#define SESSION_STORE_WRITE 1

/** The longest key, in bytes. */
#define SESSION_STORE_KEY_MAX 128

/** Most form tokens of a session that are open at a time. */
#define SESSION_STORE_FORM_TOKENS_MAX 16

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version of the interface that is loaded. It grows with each function that
 * is added; what a version has is never changed or taken away.
 * @return at least 1; a caller built with a newer header compares it with
 *         SESSION_STORE_VERSION before it uses what is new
 */
int session_store_version(void);
APR_DECLARE_OPTIONAL_FN(int, session_store_version, (void));

/**
 * Opens the session in a mode. Other calls open it by themselves, as
 * SessionLocking says; this one is for a caller who wants to say which.
 * @param r    a request of the tree
 * @param mode SESSION_STORE_READ: what is stored now is read, nobody is kept
 *             waiting, and writing is refused with APR_EACCES.
 *             SESSION_STORE_WRITE: the session is taken and read again; after
 *             an open for reading that is the way to write.
 * @return APR_SUCCESS also if the client has no session yet, or is already
 *         open so; APR_EACCES if writing is asked for where SessionLocking is
 *         `read`; APR_NOTFOUND if the session that was read is gone, or its
 *         user changed, by the time it is taken
 */
apr_status_t session_store_open(request_rec *r, int mode);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_open,
                        (request_rec *r, int mode));

/**
 * Reads a value as a string.
 * @param r     a request of the tree
 * @param key   the key
 * @param value receives the value, with NUL behind it
 * @return APR_NOTFOUND if the session has no such key, or there is no session;
 *         APR_EINVAL also if the value holds a NUL byte: use
 *         session_store_get_bytes()
 */
apr_status_t session_store_get(request_rec *r, const char *key,
                               const char **value);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_get,
                        (request_rec *r, const char *key, const char **value));

/**
 * Sets or removes a value. The first value makes the session, and its cookie,
 * of a client who has none.
 * @param r     a request of the tree
 * @param key   the key
 * @param value the value; NULL removes the key, which need not be there
 * @return APR_ENOSPC if SessionMaxSize or SessionMaxKeys would be passed: the
 *         old value stays; APR_EINVAL also if a session would have to be made
 *         after the head was sent
 */
apr_status_t session_store_set(request_rec *r, const char *key,
                               const char *value);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_set,
                        (request_rec *r, const char *key, const char *value));

/**
 * Reads a value as bytes.
 * @param r    a request of the tree
 * @param key  the key
 * @param data receives where the bytes are; a NUL that does not count follows
 * @param len  receives how many there are
 * @return APR_NOTFOUND if the session has no such key, or there is no session
 */
apr_status_t session_store_get_bytes(request_rec *r, const char *key,
                                     const void **data, apr_size_t *len);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_get_bytes,
                        (request_rec *r, const char *key, const void **data,
                         apr_size_t *len));

/**
 * Sets a value to bytes, which may be any.
 * @param r    a request of the tree
 * @param key  the key
 * @param data the bytes; NULL with a len of 0 removes the key
 * @param len  how many there are; 0 with data not NULL is an empty value
 * @return as session_store_set(); APR_EINVAL if data is NULL and len is not 0
 */
apr_status_t session_store_set_bytes(request_rec *r, const char *key,
                                     const void *data, apr_size_t len);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_set_bytes,
                        (request_rec *r, const char *key, const void *data,
                         apr_size_t len));

/**
 * Adds to a whole number, kept as decimal text, in one step with reading it: no
 * parallel addition is lost, in any locking mode. Where the session is not held
 * (SessionLocking commit or off) the sum is stored at once, and neither
 * session_store_revert() nor a failed answer takes it back. With off a request
 * that stores other changes writes its whole record, over sums too.
 * @param r     a request of the tree
 * @param key   the key; none counts as 0
 * @param delta what to add; may be negative
 * @param sum   receives the sum
 * @return APR_EINVAL also if the value is no whole number; APR_ERANGE if the
 *         sum does not fit into 64 bits; APR_ENOSPC as session_store_set()
 */
apr_status_t session_store_add(request_rec *r, const char *key,
                               apr_int64_t delta, apr_int64_t *sum);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_add,
                        (request_rec *r, const char *key, apr_int64_t delta,
                         apr_int64_t *sum));

/**
 * Lists the keys, in the order and spelling in which they were first set. Keys
 * that end in -pw or -site are left out, here and wherever a session is shown:
 * mod_auth_form keeps passwords under such names.
 * @param r    a request of the tree
 * @param keys receives an array of const char *; empty if there is no session
 * @return see "Results"
 */
apr_status_t session_store_keys(request_rec *r,
                                const apr_array_header_t **keys);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_keys,
                        (request_rec *r, const apr_array_header_t **keys));

/**
 * The session's id as it travels in the cookie, with its signature if ids are
 * signed. Whoever knows it is the client: it belongs into no log and no page.
 * For a client without a session an id is made, and kept only if something is
 * stored later in this request.
 * @param r  a request of the tree
 * @param id receives the id
 * @return see "Results"
 */
apr_status_t session_store_id(request_rec *r, const char **id);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_id,
                        (request_rec *r, const char **id));

/**
 * Whether this request found no session, so that what it stores is the first.
 * @param r      a request of the tree
 * @param is_new receives 1 or 0
 * @return see "Results"; session_store_reason() says why
 */
apr_status_t session_store_is_new(request_rec *r, int *is_new);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_is_new,
                        (request_rec *r, int *is_new));

/**
 * Whether the client sent a well-formed id, signed where ids are signed. Opens
 * and waits for nothing, so the session of that id may be gone all the same.
 * @param r      a request of the tree
 * @param exists receives 1 or 0
 * @return never APR_TIMEUP nor APR_EGENERAL
 */
apr_status_t session_store_exists(request_rec *r, int *exists);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_exists,
                        (request_rec *r, int *exists));

/**
 * Why the session is new.
 * @param r      a request of the tree
 * @param reason receives `none` (no id came, or the session is not new),
 *               `unknown`, `expired`, `malformed`, `corrupt` or `badsig`
 * @return see "Results"
 */
apr_status_t session_store_reason(request_rec *r, const char **reason);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_reason,
                        (request_rec *r, const char **reason));

/**
 * When the session was made; a new id does not change that.
 * @param r       a request of the tree
 * @param created receives the time; that of this request if it is new
 * @return see "Results"
 */
apr_status_t session_store_created(request_rec *r, apr_time_t *created);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_created,
                        (request_rec *r, apr_time_t *created));

/**
 * When the session was visited before this request, as far as it was recorded:
 * readers record a visit at most every SessionTouchInterval.
 * @param r        a request of the tree
 * @param accessed receives the time; that of this request if it is new
 * @return see "Results"
 */
apr_status_t session_store_accessed(request_rec *r, apr_time_t *accessed);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_accessed,
                        (request_rec *r, apr_time_t *accessed));

/**
 * How long the session lives without a visit.
 * @param r       a request of the tree
 * @param timeout receives the span: its own if session_store_set_timeout() set
 *                one, else this place's SessionTimeout
 * @return see "Results"
 */
apr_status_t session_store_timeout(request_rec *r,
                                   apr_interval_time_t *timeout);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_timeout,
                        (request_rec *r, apr_interval_time_t *timeout));

/**
 * Gives the session its own idle time, kept with it and stronger than
 * SessionTimeout. By itself it makes no session.
 * @param r       a request of the tree
 * @param timeout the span, kept in whole seconds; at least one second
 * @return APR_EINVAL also if timeout is shorter than a second, or too long to
 *         be kept
 */
apr_status_t session_store_set_timeout(request_rec *r,
                                       apr_interval_time_t timeout);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_set_timeout,
                        (request_rec *r, apr_interval_time_t timeout));

/**
 * Who is logged in.
 * @param r    a request of the tree
 * @param user receives the name; NULL if nobody is, or there is no session
 * @return see "Results"
 */
apr_status_t session_store_user(request_rec *r, const char **user);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_user,
                        (request_rec *r, const char **user));

/**
 * Logs a user in or out. Where that changes who is logged in, the session gets
 * a new id and the old one is forgotten at once.
 * @param r    a request of the tree
 * @param user the name, UTF-8; NULL logs out and keeps the values
 * @return APR_ENOSPC if SessionMaxSize would be passed; APR_EINVAL also if the
 *         name is empty or not UTF-8, after the head was sent, and for a
 *         request which found the session by an id it had before
 */
apr_status_t session_store_set_user(request_rec *r, const char *user);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_set_user,
                        (request_rec *r, const char *user));

/**
 * Stores what was changed so far, now. It stands then, even if the answer
 * becomes an error of the server. Without it, changes are stored before the
 * answer leaves, and again when the handler ends.
 * @param r a request of the tree
 * @return APR_SUCCESS also if nothing was changed; APR_NOTFOUND if the session
 *         is gone: the changes are dropped; APR_ENOSPC if what others stored
 *         meanwhile leaves no room
 */
apr_status_t session_store_save(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_save, (request_rec *r));

/**
 * Reads the session again from its store. What was changed and not stored yet
 * is dropped.
 * @param r a request of the tree
 * @return APR_NOTFOUND if the session is gone
 */
apr_status_t session_store_reload(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_reload, (request_rec *r));

/**
 * Drops what this request changed and did not store yet. Reads nothing.
 * @param r a request of the tree
 * @return APR_SUCCESS also if nothing was changed
 */
apr_status_t session_store_revert(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_revert, (request_rec *r));

/**
 * Deletes the session with all that is in it, and clears the cookie. What is
 * set later in this request makes a new one under the same id.
 * @param r a request of the tree
 * @return APR_NOTFOUND if there is no session. After the head was sent the
 *         session is deleted, but its cookie stays with the client.
 */
apr_status_t session_store_delete(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_delete, (request_rec *r));

/**
 * Deletes the session and its id: as session_store_delete(), but what is set
 * later in this request makes a new session under a new id.
 * @param r a request of the tree
 * @return as session_store_delete()
 */
apr_status_t session_store_invalidate(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_invalidate,
                        (request_rec *r));

/**
 * Gives the session a new id; data and age stay. The old id finds it for
 * SessionRegenerateGrace more, for requests that are under way. A change of the
 * user does this by itself, without that time.
 * @param r a request of the tree
 * @return APR_NOTFOUND if there is no session; APR_EINVAL also after the head
 *         was sent, and for a request which found the session by an id it had
 *         before
 */
apr_status_t session_store_regenerate(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_regenerate,
                        (request_rec *r));

/**
 * Takes the session for this request tree, so that every other request that
 * wants to hold it waits; what is stored now is read. Locks nest: each wants its
 * session_store_unlock(), and the end of the handler gives all back. Under
 * SessionLocking request the first use does this by itself; under commit and off
 * it keeps out other lockers, not those who do not lock.
 * @param r a request of the tree
 * @return APR_EACCES where SessionLocking is `read`; APR_NOTFOUND if the session
 *         has ended since it was read: what was changed is dropped
 */
apr_status_t session_store_lock(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_lock, (request_rec *r));

/**
 * As session_store_lock(), without waiting.
 * @param r a request of the tree
 * @return APR_EBUSY if another request holds the session; APR_EACCES and
 *         APR_NOTFOUND as above
 */
apr_status_t session_store_trylock(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_trylock, (request_rec *r));

/**
 * Lets the session go before the handler ends: what was changed is stored first.
 * Reading then shows it as it was; a change takes it again and reads it anew.
 * Inside nested locks only the outermost does this.
 * @param r a request of the tree
 * @return as session_store_save(); the session is let go all the same.
 *         APR_SUCCESS also if it was not held
 */
apr_status_t session_store_unlock(request_rec *r);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_unlock, (request_rec *r));

/**
 * A value of another session of this place's SessionScope, as it is stored now.
 * Nobody waits and no visit is recorded; the session of the request is not
 * opened.
 * @param r a request of the tree
 * @param id the other session's id, in the form that session_store_id() gives
 * @param key the key
 * @param value receives the value
 * @return APR_NOTFOUND if there is no such session or no such key in it;
 *         APR_EINVAL also if id is none, or not signed by this server, or the
 *         value has a NUL in it; never APR_TIMEUP or APR_EACCES
 */
apr_status_t session_store_peek(request_rec *r, const char *id,
                                const char *key, const char **value);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_peek,
                        (request_rec *r, const char *id, const char *key,
                         const char **value));

/**
 * Makes a token for a form: who answers the form gives it back, and
 * session_store_form_token_check() says whether it is one of this session. It is
 * good once. SESSION_STORE_FORM_TOKENS_MAX are open at a time, the oldest goes;
 * a change of the user closes all. A session exists from the first token on.
 * @param r a request of the tree
 * @param token receives 22 characters that need no quoting anywhere
 */
apr_status_t session_store_form_token_new(request_rec *r, const char **token);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_form_token_new,
                        (request_rec *r, const char **token));

/**
 * Whether a text is an open form token of the session, and closes it. Under
 * SessionLocking request an answer that fails leaves it open; else it is closed
 * at once, so that of two requests with one token only one is told yes.
 * @param r a request of the tree
 * @param token what the client sent, whatever it is
 * @param valid receives 1, or 0
 */
apr_status_t session_store_form_token_check(request_rec *r, const char *token,
                                            int *valid);
APR_DECLARE_OPTIONAL_FN(apr_status_t, session_store_form_token_check,
                        (request_rec *r, const char *token, int *valid));

#ifdef __cplusplus
}
#endif

#endif /* MOD_SESSION_STORE_H */
