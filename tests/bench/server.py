"""A httpd of its own for measuring: built, configured, started, watched and stopped here."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import rows

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MODULE = REPOSITORY / "target/release/libmod_session_store.so"
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
CHILDREN = {
    "prefork": "StartServers 24\nMinSpareServers 8\nMaxSpareServers 64\nMaxRequestWorkers 64",
    "event": "StartServers 2\nThreadsPerChild 32\nMinSpareThreads 16\nMaxSpareThreads 64\n"
             "MaxRequestWorkers 64",
}
CHILDREN["worker"] = CHILDREN["event"]
# What mod_session_dbd needs, in the words of its documentation.
DBD = """DBDriver sqlite3
DBDParams "@ROOT@/dbd/sessions"
DBDPrepareSQL "delete from session where key = %s" deletesession
DBDPrepareSQL "update session set value = %s, expiry = %lld, key = %s where key = %s" updatesession
DBDPrepareSQL "insert into session (value, expiry, key) values (%s, %lld, %s)" insertsession
DBDPrepareSQL "select value from session where key = %s and (expiry = 0 or expiry > %lld)" selectsession
DBDPrepareSQL "delete from session where expiry != 0 and expiry < %lld" cleansession"""


class Failed(Exception):
    """Something that measuring needs did not work; the text says what."""


def run(command, doing, **more):
    """Runs a command to its end and returns what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise Failed(f"{doing}: {(done.stderr or done.stdout)[-800:]}")
    return done.stdout


def tool(*names):
    """The first of these programs that is installed."""
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found:
            return found
    raise Failed(f"{' or '.join(names)} is not installed")


def build(into):
    """Compiles the C handlers; returns where the modules are."""
    example = REPOSITORY / "httpd-conf/example_store/mod_session_example_store.c"
    for source in (HERE / "mod_bench_counter.c", HERE / "mod_bench_limit.c", example):
        name = source.stem
        shutil.copy(source, into)
        run([tool("apxs", "apxs2"), "-c", "-Wc,-O2", "-I", str(REPOSITORY / "c_shim"), f"{name}.c"],
            f"compiling {name}.c", cwd=into)
    return into / ".libs"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """httpd on loopback with all rows of a store in one configuration. Use as a context."""

    def __init__(self, mpm, ours, payload=0, module=MODULE, wrapper=(), directory=None,
                 store="file", more=""):
        self.mpm, self.ours, self.payload, self.store = mpm, ours, payload, store
        self.memory = pathlib.Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp",
                                   f"session-store-bench.{os.getpid()}.{store}")
        # Configuration of our module beside that of its store.
        self.more = more
        self.redis = None
        self.module, self.wrapper = pathlib.Path(module).resolve(), list(wrapper)
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="session-store-bench.", dir=directory))
        self.port = free_port()
        self.process = None

    def __enter__(self):
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        if self.redis:
            self.redis.kill()
            self.redis.wait()
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.memory, ignore_errors=True)

    def _prepare(self):
        self.root.chmod(0o755)
        libs = build(self.root)
        for name in ("docs", "limit", "dbd"):
            (self.root / name).mkdir()
        with contextlib.closing(sqlite3.connect(self.root / "dbd/sessions")) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE session (key TEXT PRIMARY KEY, value TEXT, expiry INTEGER)")
        if os.geteuid() == 0:
            for path in ("limit", "dbd", "dbd/sessions"):
                shutil.chown(self.root / path, "www-data", "www-data")
        (self.root / "httpd.conf").write_text(self._configuration(libs))

    def _start_redis(self):
        """A Redis of our own that keeps nothing on disk; returns its address."""
        port = free_port()
        with open(self.root / "redis.log", "w") as log:
            self.redis = subprocess.Popen(
                [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no"], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return f"redis://127.0.0.1:{port}"
            except OSError:
                time.sleep(0.05)
        raise Failed("redis-server did not listen within 20 s")

    def _configuration(self, libs):
        modules = run([tool("apxs", "apxs2"), "-q", "LIBEXECDIR"], "asking apxs").strip()
        parts = [
            f'ServerRoot "{self.root}"\nServerName localhost\nListen 127.0.0.1:{self.port}',
            f'PidFile "{self.root}/httpd.pid"\nErrorLog "{self.root}/error.log"\nLogLevel warn',
            f'DefaultRuntimeDir "{self.root}"\nDocumentRoot "{self.root}/docs"',
            "KeepAlive On\nMaxKeepAliveRequests 0",
        ]
        if os.geteuid() == 0:
            parts.append(f"User www-data\nGroup {grp_of('www-data')}")
        for name in (f"mpm_{self.mpm}", "authz_core", "headers", "session", "session_cookie", "dbd",
                     "session_dbd"):
            parts.append(f'LoadModule {name}_module "{modules}/mod_{name}.so"')
        for name in ("bench_counter", "bench_limit"):
            parts.append(f'LoadModule {name}_module "{libs}/mod_{name}.so"')
        parts.append(CHILDREN[self.mpm])
        parts.append(DBD)
        parts.append(f'BenchPayload {self.payload}\nBenchLimitDir "{self.root}/limit"')
        if self.ours:
            parts.append(rows.OURS + rows.STORES[self.store] + self.more)
        for row in rows.ROWS:
            # Without our module as many places, since httpd goes through all of them in each request.
            if row.store == self.store:
                place = row.place if self.ours or not row.ours else ""
                parts.append(f"<Location {row.path}>\n{place}\n</Location>")
        text = "\n".join(parts) + "\n"
        if "@REDIS@" in text:
            text = text.replace("@REDIS@", self._start_redis())
        text = text.replace("@MEMORY@", str(self.memory))
        text = text.replace("@MODULES@", modules).replace("@LIBS@", str(libs))
        return text.replace("@ROOT@", str(self.root)).replace("@MODULE@", str(self.module))

    def _start(self):
        command = [tool("apache2", "httpd"), "-f", str(self.root / "httpd.conf")]
        # Under a tool that counts instructions there is one process.
        command += ["-X"] if self.wrapper else ["-D", "FOREGROUND"]
        with open(self.root / "out", "w") as out:
            self.process = subprocess.Popen(self.wrapper + command, env=CLEAN, stdout=out,
                                            stderr=out, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"httpd did not start: {self.complaints()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failed("httpd did not listen within 60 s")

    def stop(self):
        """Ends httpd and waits; the directory stays until the context ends."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)

    def complaints(self):
        """What httpd wrote that is worse than a notice."""
        lines = []
        for name in ("out", "error.log"):
            path = self.root / name
            if path.exists():
                lines += [line for line in path.read_text(errors="replace").splitlines()
                          if ":notice]" not in line]
        return "\n".join(lines[-20:])

    def cpu_seconds(self):
        """CPU time of all processes of the server so far, ended ones too."""
        ticks = 0
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # Fields 6 (session), 14 to 17 (times) of proc(5), counted from the third.
            if int(fields[3]) != self.process.pid:
                continue
            ticks += int(fields[11]) + int(fields[12])
            if int(path.parent.name) == self.process.pid:
                ticks += int(fields[13]) + int(fields[14])
        return ticks / os.sysconf("SC_CLK_TCK")


def grp_of(user):
    """The name of a user's group, as httpd's Group takes it."""
    return f"#{pwd.getpwnam(user).pw_gid}"
