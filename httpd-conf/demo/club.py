#!/usr/bin/env python3
"""The club: a server of its own behind the shop's. It keeps nothing of a visitor: values and the user come with
each request in headers, and headers of the answer change them.

    club.py FILE    listens on a free port of 127.0.0.1 and writes the number to FILE
"""

import hmac
import html
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

BODY_MAX = 4096
NAME_MAX = 40
MOST_OF_ONE = 99

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Club</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
<p class="mark">mod_session_store</p>
<nav aria-label="Pages">
<a href="/">Shop <small>Lua</small></a>
<a href="/checkout">Checkout <small>PHP</small></a>
<a href="/club" aria-current="page">Club <small>Python server</small></a>
<a href="/receipt">Receipt <small>CGI in Perl</small></a>
</nav>
<h1>Club</h1>
<p class="lead">{lead}</p>
</header>
<main>
{message}<section aria-labelledby="gift">
<h2 id="gift">{title}</h2>
{main}</section>
</main>
<footer>
<p>This page comes from another server, which was never sent your cookie and has no memory of you.</p>
</footer>
</body>
</html>
"""

FORM = """<form method="post" action="/club">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="do" value="{do}">
{fields}<button{kind}>{label}</button>
</form>
"""

NAME = """<label for="name">Your name</label>
<input id="name" name="name" autocomplete="username" required maxlength="40">
"""


class Club(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def value(self, key):
        return unquote(self.headers.get("X-Session-Value-" + key, ""))

    def user(self):
        return unquote(self.headers.get("X-Session-User", ""))

    def form(self, do, label, fields="", quiet=False):
        kind = ' class="quiet"' if quiet else ""
        token = html.escape(self.value("form"))
        return FORM.format(token=token, do=do, fields=fields, kind=kind, label=label)

    def delivery(self):
        """What the page in PHP has noted as an array."""
        text = self.value("delivery")
        if not text.startswith("json:"):
            return "No wishes about the delivery yet."
        wish = json.loads(text[len("json:"):])
        wrapped = ", wrapped" if wish["wrapped"] else ""
        return "It comes on %s%s." % (html.escape(wish["day"]), wrapped)

    def do_GET(self):
        user = self.user()
        orders = []
        if not self.value("form"):
            # A form needs the token of the session; the shop makes one.
            title, main = "Come in through the shop", '<p>There is a <a href="/">shop</a> in front.</p>\n'
        elif user:
            title = "A jar of honey, on the house"
            main = "<p>%s</p>\n" % self.delivery() + '<div class="row">\n'
            main += self.form("gift", "Put it into my cart") + self.form("out", "Log out", quiet=True) + "</div>\n"
        else:
            title, main = "Members get honey", self.form("in", "Join", NAME)
        message = self.value("message")
        if message:
            orders.append(("X-Session-Unset", "message"))
            message = '<p class="message" role="status">%s</p>\n' % html.escape(message)
        lead = "Welcome back, <b>%s</b>." % html.escape(user) if user else "Nobody is logged in."
        page = PAGE.format(lead=lead, message=message, title=title, main=main)
        self.answer(200, page, [("Content-Type", "text/html; charset=utf-8"),
                                ("Content-Security-Policy", "default-src 'none'; style-src 'self'; "
                                 "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")] + orders)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            self.close_connection = True
            return self.answer(413, "Too long.\n")
        posted = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        form = {name: values[0] for name, values in posted.items()}
        token = self.value("form")
        if not token or not hmac.compare_digest(token.encode(), form.get("token", "").encode()):
            return self.answer(403, "This form is not from here, or too old.\n")
        orders = self.orders(form)
        return self.answer(303, "", [("Location", "/club")] + orders)

    def orders(self, form):
        """What becomes of the session."""
        name = " ".join(form.get("name", "").split())
        if form.get("do") == "in" and 0 < len(name) <= NAME_MAX:
            return [("X-Session-User", quote(name)), said("Welcome to the club, %s." % name)]
        if form.get("do") == "out":
            return [("X-Session-User", ""), said("You are logged out.")]
        if form.get("do") == "gift" and self.user():
            cart = dict(parse_qsl(self.value("cart")))
            cart["honey"] = min(int(cart.get("honey", 0)) + 1, MOST_OF_ONE)
            return [("X-Session-Set", "cart=" + quote(urlencode(cart))), said("Heather honey is in your cart.")]
        return []

    def answer(self, status, text, headers=()):
        body = text.encode()
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def said(text):
    return "X-Session-Set", "message=" + quote(text)


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Club)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write("%d\n" % server.server_port)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
