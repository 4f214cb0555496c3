"""Counts visits, in mod_python by request notes. With session_store, Session(req) does the same.

    <Location "/visits">
        SetHandler mod_python
        PythonPath "sys.path + ['/usr/local/lib/session_store/python']"
        PythonHandler visits
    </Location>
"""

from mod_python import apache


def handler(req):
    n = int(req.notes.get("session:visits", 0)) + 1
    req.notes["session:visits"] = str(n)
    # A note that is taken away is a key removed; words to be done go here.
    if req.args == "forget":
        del req.notes["session:visits"]
        req.notes["session-store.do"] = "regenerate"
    req.content_type = "text/plain; charset=utf-8"
    req.write("visit %d of %s\n" % (n, req.notes.get("session-store.user", "stranger")))
    return apache.OK
