"""Instructions per request, counted by valgrind: no noise of the machine, so small costs show.

Two runs that differ in the number of requests give the cost of one; what starting costs drops out.
"""

import http.client
import re

import load
import rows
from server import Failed, Server, tool

FEW, MANY = 200, 1200

# A round of it would fall into one of the runs and not into the other.
QUIET = "SessionCleanupInterval 0\n"


def _ask(server, path, requests):
    """Sends that many requests, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        for _ in range(requests):
            status, body, _ = load.get(connection, path)
            if status != 200:
                raise Failed(f"{path} answered {status}: {body[:200]!r}")
    except (OSError, http.client.HTTPException) as reason:
        raise Failed(f"{path} under valgrind: {reason!r}; {server.complaints()}") from reason
    finally:
        connection.close()


def _count(path, requests, ours, module, directory):
    """Instructions of a whole run of httpd that answers so many requests."""
    wrapper = [tool("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    with Server("prefork", ours, module=module, wrapper=wrapper, directory=directory,
                more=QUIET) as server:
        _ask(server, path, requests)
        server.stop()
        found = re.search(r"Collected\s*:\s*(\d+)", (server.root / "out").read_text())
        if not found:
            raise Failed("valgrind did not say what it counted")
        return int(found.group(1))


def per_request(path, ours, module, directory):
    """Instructions of one request."""
    few = _count(path, FEW, ours, module, directory)
    return (_count(path, MANY, ours, module, directory) - few) / (MANY - FEW)


def compare(module, directory, ours):
    """The floor without our module; with it, the engine off and on; as (name, instructions)."""
    floor = next(row.path for row in rows.ROWS if row.name == rows.FLOOR)
    found = [("module not loaded", per_request(floor, False, module, directory))]
    if ours:
        found.append(("engine off", per_request(floor, True, module, directory)))
        for row in rows.UNUSED:
            found.append((row.name, per_request(row.path, True, module, directory)))
    return found
