"""What is measured: one entry per row of the table. A new store is a new entry here."""

from dataclasses import dataclass

FLOOR = "no session (floor)"


@dataclass(frozen=True)
class Goal:
    """What a row has to reach. `limit` names the row it is compared with."""

    limit: str
    cpu: float | None = None  # most CPU beyond the limit's, in microseconds a request
    cpu_share: float | None = None  # most extra CPU as a share of the limit's extra CPU
    rate: float | None = None  # most of the floor's rate it may lie below the limit's share
    times: float | None = None  # least rate, in times the limit's
    lost: int | None = None  # most increments lost


@dataclass(frozen=True)
class Row:
    name: str
    path: str
    # Configuration of the path. @ROOT@ is the server's directory.
    place: str
    seed: str | None = None  # path that makes the sessions, if not its own
    sessions: bool = True  # requests carry the cookies of many sessions
    counts: bool = True  # each request adds one, so lost increments show
    ours: bool = False
    store: str = "file"  # a server has one store: rows of another one are served by another server
    goal: Goal | None = None


# The paths of the floor and of the rows that are compared with it by instructions are of one length.
ROWS = [
    Row(FLOOR, "/unused-floor", "SetHandler bench-none", sessions=False, counts=False),
    Row("limit memory", "/limit-memory", "SetHandler limit-memory"),
    Row("limit file", "/limit-file", "SetHandler limit-file"),
    Row("limit file, read", "/limit-file-read", "SetHandler limit-file-read",
        seed="/limit-file", counts=False),
    Row("mod_session_cookie", "/mod-session",
        "SetHandler bench-session\nSession On\nSessionCookieName bench path=/"),
    Row("mod_session_dbd (sqlite)", "/dbd",
        "SetHandler bench-session\nSession On\nSessionDBDCookieName dbd path=/"),
    Row("file", "/file", "SetHandler bench-store\nSessionEngine on", ours=True,
        goal=Goal("limit file", cpu=6.0, rate=0.05, lost=0)),
    Row("file, read", "/file-read", "SetHandler bench-store-read\nSessionEngine on",
        seed="/file", counts=False, ours=True, goal=Goal("file", cpu_share=0.7)),
    Row("memory", "/memory", "SetHandler bench-store\nSessionEngine on", ours=True, store="memory",
        goal=Goal("limit memory", cpu=4.0, rate=0.05, lost=0)),
    Row("memory, read", "/memory-read", "SetHandler bench-store-read\nSessionEngine on",
        seed="/memory", counts=False, ours=True, store="memory",
        goal=Goal("memory", cpu_share=0.7)),
    Row("memory, by notes", "/notes", "SetHandler bench-notes\nSessionEngine on", ours=True,
        store="memory", goal=Goal("memory", lost=0)),
    Row("memory, by an expression", "/expression",
        "SetHandler bench-none\nSessionEngine on\nHeader set X-N \"expr=%{SESSION:n}\"",
        seed="/memory", counts=False, ours=True, store="memory"),
    # A handler that knows mod_session alone has no use for notes.
    Row("memory, by mod_session", "/bridge",
        "SetHandler bench-session\nSession On\nSessionEngine on\nSessionNotes off", ours=True,
        store="memory", goal=Goal("mod_session_cookie", times=0.9)),
    Row("file, by mod_session", "/bridge-file",
        "SetHandler bench-session\nSession On\nSessionEngine on\nSessionNotes off", ours=True,
        goal=Goal("mod_session_dbd (sqlite)", times=5.0)),
    Row("dbm (lmdb)", "/dbm", "SetHandler bench-store\nSessionEngine on", ours=True, store="dbm",
        goal=Goal("limit file", cpu=6.0, rate=0.05, lost=0)),
    Row("redis", "/redis", "SetHandler bench-store\nSessionEngine on", ours=True, store="redis",
        goal=Goal(FLOOR, cpu=70.0, rate=0.60, lost=0)),
    Row("socache (shmcb)", "/socache", "SetHandler bench-store\nSessionEngine on", ours=True,
        store="socache", goal=Goal(FLOOR, lost=0)),
    Row("store of another module", "/example", "SetHandler bench-store\nSessionEngine on", ours=True,
        store="example", goal=Goal(FLOOR, lost=0)),
    Row("engine on, unused", "/unused-notes", "SetHandler bench-none\nSessionEngine on",
        sessions=False, counts=False, ours=True, goal=Goal(FLOOR, rate=0.02)),
    Row("engine on, notes off, unused", "/unused-quiet",
        "SetHandler bench-none\nSessionEngine on\nSessionNotes off",
        sessions=False, counts=False, ours=True, goal=Goal(FLOOR, rate=0.02)),
]

# Rows whose instructions are counted, and the most they may have beyond the floor's.
UNUSED = [row for row in ROWS if row.name.endswith("unused")]
UNUSED_INSTRUCTIONS = 1500

# Server-wide configuration of our module in a measured server.
OURS = 'LoadModule session_store_module "@MODULE@"\n'

# And of each store. @MEMORY@ is a directory that is no disk, @REDIS@ the address of a Redis; httpd's modules
# are in @MODULES@, those that are compiled here in @LIBS@.
STORES = {
    "file": 'SessionDataDir "@ROOT@/sessions"\n',
    "memory": 'SessionStore memory:64M\nSessionDataDir "@MEMORY@"\n',
    "dbm": 'SessionStore dbm\nSessionDataDir "@ROOT@/sessions"\n',
    "socache": 'LoadModule socache_shmcb_module "@MODULES@/mod_socache_shmcb.so"\n'
               'SessionStore socache:shmcb:@ROOT@/cache(67108864)\n',
    "example": 'LoadModule session_example_store_module "@LIBS@/mod_session_example_store.so"\n'
               'SessionStore example:@ROOT@/table\nSessionMaxSize 4000\n',
    "redis": 'SessionStore @REDIS@\nSessionScope bench\n',
}
