//! The scripts: what Redis does in one step. Each has one key, so that it runs on a cluster too;
//! the one that moves a record has two that lie together.
//!
//! Each may be sent twice, when a connection broke before the answer came: the second run finds that the
//! first one has been there and answers alike. What tells them apart is the word of a write, which is
//! another one for each (`v`), and the word of a claim (`t`).
//!
//! Times are texts of 20 digits, so that they compare as texts; the time of a claim is the server's, in
//! milliseconds. Redis 5 is the first that lets a script write after it asked for the time.

use redis::{Cmd, Script};

/// A script and its name among the commands.
pub struct Prepared {
    script: Script,
    code: &'static str,
}

impl Prepared {
    fn new(code: &'static str) -> Prepared {
        Prepared { script: Script::new(code), code }
    }
}

/// One run of a script on one key.
pub struct Run<'a> {
    prepared: &'a Prepared,
    key: &'a [u8],
    second: Option<&'a [u8]>,
    words: &'a [&'a [u8]],
}

impl<'a> Run<'a> {
    /// Runs on `key` with arguments.
    pub fn new(prepared: &'a Prepared, key: &'a [u8], words: &'a [&'a [u8]]) -> Run<'a> {
        Run { prepared, key, second: None, words }
    }

    /// On this key too, which lies where the first one does.
    pub fn and_key(self, second: &'a [u8]) -> Run<'a> {
        Run { second: Some(second), ..self }
    }

    /// The key it runs on.
    pub fn key(&self) -> &[u8] {
        self.key
    }

    /// The command that names the script.
    pub fn by_name(&self) -> Cmd {
        self.command("EVALSHA", self.prepared.script.get_hash())
    }

    /// The command that brings it along, for a server that does not know it yet.
    pub fn whole(&self) -> Cmd {
        self.command("EVAL", self.prepared.code)
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let bytes = self.words.iter().map(|word| word.len()).sum::<usize>() + script.len();
        let mut command = Cmd::with_capacity(4 + self.words.len(), bytes + 96);
        command.arg(verb).arg(script);
        match self.second {
            None => command.arg(b"1").arg(self.key),
            Some(second) => command.arg(b"2").arg(self.key).arg(second),
        };
        for word in self.words {
            command.arg(*word);
        }
        command
    }
}

/// All of them.
pub struct Scripts {
    /// `token instance lease` → record of five, held or not; a number: for how many milliseconds others
    /// hold it; nothing.
    pub claim: Prepared,
    /// `incarnation word accessed deadline life index alias token lease record` → 1, 0 if there is one.
    pub create: Prepared,
    /// `incarnation token version accessed deadline word accessed deadline life index alias last record`,
    /// where the first three behind the incarnation are compared unless empty → 1, 0 if it is gone, what
    /// is there if it is another.
    pub update: Prepared,
    /// `incarnation accessed deadline life` → 1, 0 if it is gone.
    pub touch: Prepared,
    /// `incarnation`, empty for any → 0 if there was none, else the index it was in, or 1.
    pub delete: Prepared,
    /// `time by-visit` → 0 if it stays, 2 if it is unreadable, else as delete.
    pub purge: Prepared,
    /// `token lease` → 1, 0 if it is not ours.
    pub renew: Prepared,
    /// `token` → 1, 0 if it is not ours.
    pub release: Prepared,
    /// `record life`, to a second key → 1, 0 if it is another one or none.
    pub set_aside: Prepared,
}

impl Scripts {
    /// Computes their names.
    pub fn new() -> Scripts {
        Scripts {
            claim: Prepared::new(CLAIM),
            create: Prepared::new(CREATE),
            update: Prepared::new(UPDATE),
            touch: Prepared::new(TOUCH),
            delete: Prepared::new(DELETE),
            purge: Prepared::new(PURGE),
            renew: Prepared::new(RENEW),
            release: Prepared::new(RELEASE),
            set_aside: Prepared::new(SET_ASIDE),
        }
    }
}

/// A claim whose word begins with our instance is one of a request of this machine that is over: the
/// lease table let one request at a time come here. Without room for it the record is read all the same.
const CLAIM: &str = "
local f = redis.call('HMGET', KEYS[1], 'r', 'i', 'v', 'a', 'd', 'k', 't', 'u')
if not f[1] then
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  return {'', '', '', '', '', 0}
end
if f[6] then return {f[1], f[2], f[3], f[4], f[5], 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = (tonumber(f[8]) or 0) - now
if f[7] and left > 0 and string.sub(f[7], 1, #ARGV[2]) ~= ARGV[2] then return left end
local held = redis.pcall('HSET', KEYS[1], 't', ARGV[1], 'u', string.format('%.0f', now + ARGV[3]))
if type(held) == 'table' and held.err then
  if string.find(held.err, 'OOM', 1, true) then return {f[1], f[2], f[3], f[4], f[5], 0} end
  return held
end
return {f[1], f[2], f[3], f[4], f[5], 1}";

const CREATE: &str = "
if redis.call('EXISTS', KEYS[1]) == 1 then
  local f = redis.pcall('HMGET', KEYS[1], 'i', 'v')
  if not f.err and f[1] == ARGV[1] and f[2] == ARGV[2] then return 1 end
  return 0
end
redis.call('HSET', KEYS[1], 'i', ARGV[1], 'v', ARGV[2], 'a', ARGV[3], 'd', ARGV[4], 'r', ARGV[10])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'n', ARGV[6]) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'k', ARGV[7]) end
if ARGV[8] ~= '' then
  local time = redis.call('TIME')
  local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[9]
  redis.call('HSET', KEYS[1], 't', ARGV[8], 'u', string.format('%.0f', till))
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1";

const UPDATE: &str = "
local f = redis.call('HMGET', KEYS[1], 'i', 'v', 't', 'a', 'd', 'n', 'k')
if f[1] ~= ARGV[1] then return 0 end
if f[2] == ARGV[6] then return 1 end
if (ARGV[2] ~= '' and f[3] ~= ARGV[2]) or (ARGV[3] ~= '' and f[2] ~= ARGV[3])
  or (ARGV[4] ~= '' and (f[4] ~= ARGV[4] or f[5] ~= ARGV[5])) then
  return redis.call('HMGET', KEYS[1], 'r', 'i', 'v', 'a', 'd')
end
redis.call('HSET', KEYS[1], 'r', ARGV[13], 'v', ARGV[6], 'a', ARGV[7], 'd', ARGV[8])
if (f[6] or '') ~= ARGV[10] then
  if ARGV[10] == '' then redis.call('HDEL', KEYS[1], 'n')
  else redis.call('HSET', KEYS[1], 'n', ARGV[10]) end
end
if (f[7] or '') ~= ARGV[11] then
  if ARGV[11] == '' then redis.call('HDEL', KEYS[1], 'k')
  else redis.call('HSET', KEYS[1], 'k', ARGV[11]) end
end
if ARGV[12] ~= '' then redis.call('HDEL', KEYS[1], 't', 'u') end
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return 1";

const TOUCH: &str = "
local f = redis.call('HMGET', KEYS[1], 'i', 'a', 'd')
if f[1] ~= ARGV[1] then return 0 end
if (f[2] or '') < ARGV[2] then redis.call('HSET', KEYS[1], 'a', ARGV[2]) end
if (f[3] or '') < ARGV[3] then
  redis.call('HSET', KEYS[1], 'd', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1";

const DELETE: &str = "
local f = redis.pcall('HMGET', KEYS[1], 'i', 'n')
if f.err then f = {} end
if ARGV[1] ~= '' and f[1] ~= ARGV[1] then return 0 end
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
return f[2] or 1";

const PURGE: &str = "
local f = redis.pcall('HMGET', KEYS[1], 'i', 'a', 'd', 'n', 'r')
if f.err then return 2 end
if not (f[1] and f[2] and f[3] and f[5]) then
  if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
  return 2
end
if f[3] < ARGV[1] or (ARGV[2] ~= '' and f[2] < ARGV[1]) then
  redis.call('DEL', KEYS[1])
  return f[4] or 1
end
return 0";

const RENEW: &str = "
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', till))
return 1";

const RELEASE: &str = "
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 't', 'u')
return 1";

const SET_ASIDE: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local r = redis.pcall('HGET', KEYS[1], 'r')
if type(r) ~= 'string' then r = '' end
if r ~= ARGV[1] then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1";
