#!/usr/bin/python3
"""An application that says what it is shown and answers as its query wants, by CGI, by WSGI and as a server of its own.

    head=NAME:VALUE   a header of the answer, as often as wanted
    many=N            N headers X-Session-Set
    incr=KEY          X-Session-Set: KEY=VALUE, one more than it was shown
    status=N          the status; 200 if not said
    early=NAME:VALUE  a 103 with this header comes first (server only)
    trailer=NAME:VALUE  behind the body (server only)
    big=N             N bytes of body behind what is said
    gate=PATH         the body goes on once this file is there
"""
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


def wishes(query, seen):
    pairs = parse_qsl(query, keep_blank_values=True)
    head = [tuple(value.split(":", 1)) for name, value in pairs if name == "head"]
    rest = {name: value for name, value in pairs if name != "head"}
    head += [("X-Session-Set", "k%d=1" % n) for n in range(int(rest.get("many", 0)))]
    if "incr" in rest:
        names = ("SESSION_VALUE_" + rest["incr"].upper(), "X-Session-Value-" + rest["incr"])
        last = [int(value) for name, value in seen if name in names]
        head.append(("X-Session-Set", "%s=%d" % (rest["incr"], sum(last) + 1)))
    return head, rest


def shown(seen):
    """What is about the session or its cookie, one line each."""
    about = ("SESSION", "COOKIE")
    lines = ["%s=%s\n" % pair for pair in seen if any(word in pair[0].upper() for word in about)]
    return "".join(sorted(lines))


def body(seen, rest):
    yield (shown(seen) + "end\n").encode("latin-1")
    while "gate" in rest and not os.path.exists(rest["gate"]):
        time.sleep(0.01)
    if "big" in rest:
        yield b"x" * int(rest["big"])


def application(environ, start_response):
    seen = [(name, value) for name, value in environ.items() if isinstance(value, str)]
    head, rest = wishes(environ.get("QUERY_STRING", ""), seen)
    start_response(rest.get("status", "200") + " As wished", [("Content-Type", "text/plain")] + head)
    return body(seen, rest)


def cgi():
    sys.stdin.buffer.read()
    seen = list(os.environ.items())
    head, rest = wishes(os.environ.get("QUERY_STRING", ""), seen)
    out = sys.stdout.buffer
    lines = ["Status: " + rest["status"]] if "status" in rest else []
    lines += ["Content-Type: text/plain"] + [name + ": " + value for name, value in head]
    try:
        out.write(("\n".join(lines) + "\n\n").encode("latin-1"))
        for part in body(seen, rest):
            out.flush()
            out.write(part)
        out.flush()
    except BrokenPipeError:
        # The visitor left: nothing to tell, and nobody to send the rest to.
        os._exit(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        seen = list(self.headers.items())
        head, rest = wishes(self.path.partition("?")[2], seen)
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        if "early" in rest:
            self.send_response_only(103)
            self.send_header(*rest["early"].split(":", 1))
            self.end_headers()
        self.send_response_only(int(rest.get("status", 200)))
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in head:
            self.send_header(name, value)
        self.end_headers()
        for part in body(seen, rest):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\n")
        if "trailer" in rest:
            name, value = rest["trailer"].split(":", 1)
            self.wfile.write(("%s: %s\r\n" % (name, value)).encode())
        self.wfile.write(b"\r\n")

    do_POST = do_GET

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if "GATEWAY_INTERFACE" in os.environ:
        cgi()
    else:
        ThreadingHTTPServer.request_queue_size = 64
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
