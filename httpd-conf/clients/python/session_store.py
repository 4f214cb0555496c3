"""Sessions for mod_python's handlers, kept by mod_session_store.

Works like mod_python's own module of sessions, so that a handler changes its import and nothing else:

    import session_store as Session     # was: from mod_python import Session

    def handler(req):
        session = Session.Session(req)
        session["hits"] = session.get("hits", 0) + 1
        session.save()

The session is httpd's: the same that handlers in other languages have. Its id, cookie, locks, times and
removal are settled by the directives of mod_session_store. README.md says what differs.
"""

import json
import math
import re
import time

__all__ = ["Session", "BaseSession", "DbmSession", "FileSession", "MemorySession"]

#: In front of a value that is no string: JSON follows.
JSON = "json:"
#: In front of a key in the name of a note.
VALUE = "session:"
#: In front of what is told of a session.
FACT = "session-store."

_KEY = re.compile(r"[^\x00-\x1f\x7f-\x9f]+\Z")
_KEY_BYTES = 128


class BaseSession(dict):
    """The visitor's session as a dictionary. Only what is saved is kept."""

    def __init__(self, req, sid=None, secret=None, lock=1, timeout=0):
        """Opens the session of `req`.

        sid      the id of this very session, or nothing: where else an id may come from than the cookie is
                 said by SessionIdSource
        secret   not used: SessionSecret signs ids
        lock     not used: SessionLocking says who waits
        timeout  idle seconds, of a session that is made now
        """
        dict.__init__(self)
        self._req = req
        self._words = []
        self._invalid = False
        if self._fact("new") is None:
            raise RuntimeError("there is no session here: mod_session_store is not loaded, or SessionEngine "
                               "or SessionNotes is off")
        if sid and sid != self.id():
            raise ValueError("a session is found by the request alone: see SessionIdSource")
        self._new = self._fact("new") == "1"
        self._opened = time.time()
        self._timeout = int(timeout) if self._new and timeout else None
        self.init_lock()
        self.load()

    # What is known of it.

    def is_new(self):
        """Whether this request makes it."""
        return self._new

    def id(self):
        """Its id; an empty string as long as nothing of a new session was stored."""
        return self._fact("id") or ""

    def created(self):
        """When it was made, in seconds since 1970."""
        return float(self._fact("created") or self._opened)

    def last_accessed(self):
        """When this request came to it, in seconds since 1970."""
        return self._opened

    def timeout(self):
        """Idle seconds after which it is gone."""
        return self._timeout or int(self._fact("timeout") or 0)

    def set_timeout(self, secs):
        """Sets that; kept when it is saved."""
        if int(secs) < 1:
            raise ValueError("a session lives for a second at least")
        self._timeout = int(secs)

    # What is done with it.

    def load(self):
        """Reads what is stored over what is in the dictionary. 1, or 0 if there is nothing."""
        for name in self._names():
            self[name[len(VALUE):]] = _decoded(self._req.notes[_bytes(name)])
        return 0 if self._new else 1

    def save(self):
        """Stores the dictionary; nothing after invalidate(). TypeError or ValueError tell of a key or value
        that cannot be stored; nothing is then."""
        if self._invalid:
            return
        values = self._values()
        notes = self._req.notes
        kept = {VALUE + key.lower() for key in values}
        for name in self._names():
            if name.lower() not in kept:
                del notes[_bytes(name)]
        for key, text in values.items():
            # mod_python reads notes as UTF-8, and would write them as Latin-1.
            notes[_bytes(VALUE + key)] = _bytes(text)
        if self._timeout is not None:
            notes[FACT + "timeout"] = str(self._timeout)
        # Whoever saves after delete() wants what was saved.
        self._tell([word for word in self._words if word != "delete"])

    def delete(self):
        """Removes what is stored and empties the dictionary. What is saved later is stored again."""
        self._forget()
        self._tell(["delete"])

    def invalidate(self):
        """Ends the session: record and cookie are gone, and nothing more is saved."""
        self._forget()
        self._invalid = True
        self._tell(["invalidate"])

    def lock(self):
        """The session is this request's already, unless it was unlocked and output has left since."""
        self._tell([word for word in self._words if word != "unlock"])

    def unlock(self):
        """Stores what was saved and lets others have the session, when output next leaves: req.flush()."""
        self._tell(self._words + ["unlock"])

    def make_cookie(self):
        """Refused: a second cookie beside httpd's would put another id into its place, or one without the
        signature."""
        raise RuntimeError("making a session's cookie: httpd makes and sends it; leave make_cookie() out, and "
                           "set SessionIdName and the like")

    def init_lock(self):
        """Called before the session is read, for subclasses."""

    def cleanup(self):
        """Nothing: expired sessions are removed in the background."""

    # How it is kept.

    def _fact(self, name):
        return self._req.notes.get(FACT + name)

    def _names(self):
        """The notes of values."""
        return [name for name in self._req.notes.keys() if name.lower().startswith(VALUE)]

    def _values(self):
        """The dictionary as texts by key."""
        values, names = {}, set()
        for key, value in self.items():
            if not isinstance(key, str):
                raise TypeError("a key of a session is a string, not %s" % type(key).__name__)
            if not _KEY.match(key) or len(key.encode("utf-8")) > _KEY_BYTES:
                raise ValueError("a key of a session has 1 to %d printable bytes" % _KEY_BYTES)
            if key.lower() in names:
                raise ValueError("two keys of a session differ by case alone")
            names.add(key.lower())
            values[key] = _encoded(value)
        return values

    def _forget(self):
        """Takes away everything that the record had; then the same values can be set again."""
        self.clear()
        for name in self._names():
            del self._req.notes[_bytes(name)]
        if self._fact("user") is not None:
            del self._req.notes[FACT + "user"]

    def _tell(self, words):
        before, self._words = self._words, words
        if words == before:
            return
        if words:
            self._req.notes[FACT + "do"] = " ".join(words)
        elif self._req.notes.get(FACT + "do") is not None:
            del self._req.notes[FACT + "do"]


# mod_python has a class for each place where sessions are kept, with arguments in orders of their own. Here
# the place is said by SessionStore: what they say of it is taken, and not used.

class Session(BaseSession):
    """What handlers open, in mod_python a function."""

    def __init__(self, req, sid=None, secret=None, timeout=0, lock=1):
        BaseSession.__init__(self, req, sid=sid, secret=secret, lock=lock, timeout=timeout)


class MemorySession(Session):
    """As Session."""


class FileSession(Session):
    """As Session, with the arguments of files."""

    def __init__(self, req, sid=None, secret=None, timeout=0, lock=1, fast_cleanup=-1, verify_cleanup=-1):
        Session.__init__(self, req, sid=sid, secret=secret, timeout=timeout, lock=lock)


class DbmSession(Session):
    """As Session, with the arguments of a DBM file."""

    def __init__(self, req, dbm=None, sid=None, secret=None, dbmtype=None, timeout=0, lock=1):
        Session.__init__(self, req, sid=sid, secret=secret, timeout=timeout, lock=lock)


def _bytes(text):
    return text.encode("utf-8")


def _encoded(value):
    """A string as it is, other values as JSON behind a marker. Never a pickle: whoever could write a session
    could run code with one."""
    if isinstance(value, str) and "\0" not in value and not value.startswith(JSON):
        return value
    _check(value)
    return JSON + json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\0", "\\u0000")


def _decoded(text):
    if not text.startswith(JSON):
        return text
    try:
        return json.loads(text[len(JSON):])
    except ValueError:
        return text


def _check(value):
    """Fails for what JSON would change or cannot say. A tuple comes back as a list."""
    if isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("a dictionary in a session has strings as keys")
            _check(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a session keeps finite numbers only")
    elif not (value is None or isinstance(value, (str, bool, int, float))):
        raise TypeError("a session keeps strings, numbers, booleans, None, lists and dictionaries of them, not %s"
                        % type(value).__name__)
