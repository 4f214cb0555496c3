"""Load on a server, and what came of it."""

import concurrent.futures
import http.client
import json
import subprocess

from server import Failed, tool

INCREMENTS = 200
WORKERS = 8

# Requests are made before the clock runs; each is one of the sessions, by chance.
SCRIPT = """
local cookies, path, requests = {%s}, %s, {}
init = function()
    for i, c in ipairs(cookies) do
        requests[i] = wrk.format("GET", path, c ~= "" and { Cookie = c } or {})
    end
end
request = function() return requests[math.random(#requests)] end
done = function(summary)
    local e = summary.errors
    print(string.format("RESULT %%d %%d %%d", summary.requests, summary.duration,
        e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def get(connection, path, cookie=None):
    """One request: status, body, the cookie it set or the one that was sent."""
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    response = connection.getresponse()
    body = response.read()
    for name, value in response.getheaders():
        if name.lower() == "set-cookie":
            cookie = value.split(";")[0]
    return response.status, body, cookie


def new_cookies(port, path, count):
    """Makes sessions; returns a Cookie header for each."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    made = []
    for _ in range(count):
        status, body, cookie = get(connection, path)
        if status != 200 or not cookie:
            raise Failed(f"{path} made no session: status {status}, {body[:200]!r}")
        made.append(cookie)
    connection.close()
    return made


def script(root, row, port, sessions):
    """Writes the row's script for wrk, with sessions of its own; returns where it is."""
    cookies = new_cookies(port, row.seed or row.path, sessions) if row.sessions else [""]
    path = root / f"{row.path.strip('/')}.lua"
    path.write_text(SCRIPT % (", ".join(map(json.dumps, cookies)), json.dumps(row.path)))
    return path


def wrk(port, script_path, connections, seconds):
    """Runs wrk; returns requests, requests a second, failed requests."""
    done = subprocess.run(
        [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script_path),
         f"http://127.0.0.1:{port}"], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            requests, micros, failed = map(int, line.split()[1:])
            if requests:
                return requests, requests / micros * 1e6, failed
    raise Failed(f"wrk gave no result: {(done.stdout + done.stderr)[-400:]}")


def lost_increments(port, row):
    """How many of INCREMENTS requests for one session, WORKERS at a time, did not count."""
    cookie = new_cookies(port, row.seed or row.path, 1)[0]

    def highest_of(count):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        highest = 0
        for _ in range(count):
            status, body, _ = get(connection, row.path, cookie)
            if status == 200:
                highest = max(highest, int(body))
        connection.close()
        return highest

    start = highest_of(1)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        end = max(pool.map(highest_of, [INCREMENTS // WORKERS] * WORKERS))
    return INCREMENTS - (end - start)
