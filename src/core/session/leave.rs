//! Leaving the record of an old id behind, so that no two of one session live.

use std::io;

use super::ending::{way_nowhere, way_to};
use super::error::SessionError;
use super::record::{Kind, Record};
use super::renew::create_held;
use super::state::{Base, Holding, Services, Session};
use super::tokens;
use crate::core::clock::Time;
use crate::core::store::{Claim, Held, Merge, StoreError, StoreKey};

/// Most times the data of a session is taken over again because others wrote it while it was on its
/// way to its new id. Each takes two writes of ours, so that more is no accident.
const TRIES: usize = 16;

/// Where a session is to go.
pub(super) struct Move {
    /// The key of its new record.
    pub to: StoreKey,
    /// The incarnation there: another one for another user.
    pub incarnation: u64,
    pub new_user: bool,
    /// Nobody else writes the old record meanwhile.
    pub alone: bool,
}

/// What became of the old record.
pub(super) enum Left {
    /// The way to the new record stands in its place, or nothing. This is the new one.
    Behind(Box<Record>),
    /// Another request has given the session a new id: its key.
    Elsewhere(StoreKey),
    /// It was deleted, or it is too late to write it.
    Gone,
}

/// What the old record has become when it is to be left behind.
enum Seen {
    /// The new one holds all that it does.
    Same,
    /// Others have written it. This is what the new one has to be.
    Changed(Box<Record>),
    Late,
    Alias(StoreKey),
    Unfit(SessionError),
}

impl Session {
    /// Makes the new record and leaves the old one behind; should that fail, the new one goes
    /// again.
    pub(super) fn move_base_to(
        &self,
        services: &Services<'_>,
        base: &mut Base,
        to: &Move,
        mut ahead: Option<&mut Holding>,
    ) -> Result<Left, SessionError> {
        let now = services.clock.now();
        let record = self.changed(base.record.clone(), base, now)?;
        let mut record = Record { incarnation: to.incarnation, ..record };
        create_held(services, (&to.to, &record), ahead.as_deref_mut(), &self.rules.wait)?;
        let claim = ahead.and_then(|holding| holding.claim.as_deref());
        let grace = self.rules.place.regenerate_grace();
        let way = if to.new_user || grace.is_zero() {
            way_nowhere(&base.record)
        } else {
            way_to(to.to, now.after(grace), &base.record)
        };
        let alone =
            to.alone && !leads_nowhere(&way) && (self.is_claimed() || base.held.version.is_some());
        let left = match alone.then(|| self.leave_alone(services, base, &way)) {
            Some(Err(SessionError::Store(StoreError::Overtaken))) | None => {
                self.leave_shared(services, base, way, (&to.to, &mut record), claim)
            }
            Some(Ok(true)) => Ok(Left::Behind(Box::new(record))),
            Some(Ok(false)) => Ok(Left::Gone),
            Some(Err(cause)) => Err(cause),
        };
        if !matches!(left, Ok(Left::Behind(_))) {
            // Nobody knows of it. Should this fail as well, it stays until it expires.
            let _ = services.store.delete(&to.to, Some(to.incarnation));
        }
        left
    }

    /// While others may write the old record: it is left behind once the new one has all that it
    /// has, what they wrote meanwhile included.
    fn leave_shared(
        &self,
        services: &Services<'_>,
        base: &Base,
        way: Record,
        (to, record): (&StoreKey, &mut Record),
        claim: Option<&dyn Claim>,
    ) -> Result<Left, SessionError> {
        let (incarnation, now) = (base.record.incarnation, services.clock.now());
        for _ in 0..TRIES {
            let mut seen = Seen::Same;
            let merged = services.store.merge(&base.key, incarnation, &mut |found| {
                seen = self.compare(found, base, record, now);
                match seen {
                    Seen::Same => Merge::Write(Box::new(way.clone())),
                    _ => Merge::Keep,
                }
            });
            match (merged, seen) {
                (Err(StoreError::Gone), _) | (Ok(()), Seen::Late) => return Ok(Left::Gone),
                (Err(cause), _) => return Err(cause.into()),
                (Ok(()), Seen::Alias(target)) => return Ok(Left::Elsewhere(target)),
                (Ok(()), Seen::Unfit(limit)) => return Err(limit),
                (Ok(()), Seen::Changed(newer)) => {
                    *record = Record { incarnation: record.incarnation, ..*newer };
                    rewrite(services, (to, record), claim)?;
                }
                (Ok(()), Seen::Same) => {
                    if leads_nowhere(&way) {
                        // It does so already; cleanup takes what this may leave.
                        let _ = services.store.delete(&base.key, Some(incarnation));
                    }
                    return Ok(Left::Behind(Box::new(record.clone())));
                }
            }
        }
        let cause = format!("others changed it {TRIES} times meanwhile");
        Err(StoreError::io("giving a session another id")(io::Error::other(cause)).into())
    }

    /// Under a lease, by a write that fails if somebody else wrote all the same. False: it is gone.
    fn leave_alone(
        &self,
        services: &Services<'_>,
        base: &mut Base,
        way: &Record,
    ) -> Result<bool, SessionError> {
        let claim = self.lease.as_ref().and_then(|holding| holding.claim.as_ref());
        let left = match claim {
            Some(claim) => claim.update(way, true),
            None => services.store.update(&base.key, std::mem::take(&mut base.held), way).map(drop),
        };
        match left {
            Err(StoreError::Gone) => Ok(false),
            left => Ok(left.map(|()| true)?),
        }
    }

    /// Whether the session is held against other machines.
    fn is_claimed(&self) -> bool {
        self.lease.as_ref().is_some_and(|holding| holding.claim.is_some())
    }

    fn compare(&self, found: Record, base: &Base, made: &Record, now: Time) -> Seen {
        if let Kind::Alias { target, .. } = found.kind {
            return Seen::Alias(StoreKey::from_bytes(target));
        }
        match self.merged(found, base, now) {
            Err(limit) => Seen::Unfit(limit),
            Ok(None) => Seen::Late,
            Ok(Some(wanted)) if holds_the_same(&wanted, made) => Seen::Same,
            Ok(Some(wanted)) => Seen::Changed(Box::new(wanted)),
        }
    }
}

/// Writes the new record once more, by its claim if it is held already: that knows its own writes, and
/// takes each other one for that of another machine.
fn rewrite(
    services: &Services<'_>,
    (to, record): (&StoreKey, &Record),
    claim: Option<&dyn Claim>,
) -> Result<(), StoreError> {
    match claim.map(|claim| claim.update(record, false)) {
        // Nobody knows the key yet: the claim has come to its end, and nobody has written.
        None | Some(Err(StoreError::Overtaken)) => {
            services.store.update(to, Held::default(), record).map(drop)
        }
        Some(written) => written,
    }
}

fn leads_nowhere(way: &Record) -> bool {
    matches!(way.kind, Kind::Alias { until, .. } if until == Time::default())
}

/// Equal but for visits.
fn holds_the_same(one: &Record, other: &Record) -> bool {
    one.values == other.values
        && one.user == other.user
        && one.timeout == other.timeout
        && tokens::are_same(&one.tokens, &other.tokens)
}
