//! What an answer tells the client of its session's id.

use super::candidates::Source;
use super::commit::Cookie;
use super::record::Kind;
use super::state::{Services, Session};
use crate::core::config::MaxAge;

impl Session {
    /// The cookie of a session that was found, where it is to be sent again: never for what came
    /// through an alias or by header or query, nor if the id became an alias meanwhile, so that a
    /// slow answer cannot put an old id over a newer one. `alone`: it was written under a lease
    /// just now, so that nobody can have done that.
    pub(super) fn sent_again(
        &mut self,
        services: &Services<'_>,
        recorded: bool,
        alone: bool,
    ) -> Cookie {
        let (base, place) = (self.base.as_ref()?, &self.rules.place);
        let wanted =
            place.id_refresh() || base.stale || (recorded && place.id_max_age() == MaxAge::Timeout);
        if base.alias || self.name.source != Some(Source::Cookie) || !wanted || self.head_sent {
            return None;
        }
        let (key, incarnation) = (base.key, base.record.incarnation);
        let stands = alone || {
            // A cookie is no reason for an answer to fail.
            let found = services.store.load(&key).ok().flatten();
            found.is_some_and(|found| {
                found.record.kind == Kind::Session && found.record.incarnation == incarnation
            })
        };
        if stands { self.set_cookie(services) } else { None }
    }

    /// Whether the client has the session's id once this answer has reached it.
    pub(super) fn is_told(&self) -> bool {
        let by_itself = matches!(self.name.source, Some(Source::Header | Source::Query));
        self.name.known && (self.has_cookie || by_itself)
    }

    pub(super) fn set_cookie(&mut self, services: &Services<'_>) -> Cookie {
        let (cookie, id) = (self.rules.cookie(self.timeout())?, self.name.id?);
        if self.head_sent {
            return None;
        }
        let line = cookie.set(&services.secrets.wire(&id));
        self.has_cookie = true;
        self.name.known = true;
        Some(line)
    }

    /// Clears the cookie of a session that this request ended, if the client has one, by its
    /// request or by an earlier commit of this answer.
    pub(super) fn end_of_cookie(&mut self) -> Cookie {
        if !self.ended || !self.has_cookie || self.head_sent {
            return None;
        }
        let line = self.rules.cookie(self.timeout())?.clear();
        self.ended = false;
        self.has_cookie = false;
        Some(line)
    }
}
