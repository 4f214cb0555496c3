"""As page.lua does, by a handler that was written for mod_python's own sessions; only the import differs."""
from urllib.parse import unquote

import session_store as Session
from mod_python import apache


def handler(req):
    req.content_type = "text/plain"
    session, said = Session.Session(req), []
    for part in filter(None, (req.args or "").split("&")):
        op, _, text = (unquote(piece) for piece in part.partition("="))
        key, _, value = text.partition(":")
        if op == "get":
            said.append("is %s" % session[text] if text in session else "none")
        elif op == "set":
            session[key] = value
        elif op == "put":
            session[key] = eval(value)
        elif op == "show":
            said.append(repr(session.get(text)))
        elif op == "unset":
            session.pop(text, None)
        elif op == "incr":
            session[text] = str(int(session.get(text, 0)) + 1)
        elif op == "do" and text == "regenerate":
            req.notes["session-store.do"] = text
        elif op == "do":
            getattr(session, text)()
            return apache.OK
        elif op == "call":
            said.append(str(getattr(session, key)(*([int(value)] if value else []))))
        elif op == "open":
            session = eval("Session." + text)
        elif op == "raise":
            raise RuntimeError("behind what was saved")
        elif op == "flush":
            req.write("".join(line + "\n" for line in said))
            said = []
        elif op == "keep":
            break
    else:
        session.save()
    req.write("".join(line + "\n" for line in said))
    return apache.OK
