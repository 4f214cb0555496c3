//! A look at somebody else's session.

use super::candidates::{Candidates, Source};
use super::error::SessionError;
use super::state::{Access, Services, Session};

impl Session {
    /// Another session of the same scope, by its id in the form that travels; none if there is none. It
    /// is read without a lease, no visit is recorded in it, and this session is not opened.
    pub fn peek(
        &mut self,
        services: &Services<'_>,
        wire: &[u8],
    ) -> Result<Option<Session>, SessionError> {
        let mut candidates = Candidates::default();
        candidates.add(services.secrets, Source::Query, wire);
        if candidates.ids().is_empty() {
            return Err(SessionError::BadArgument);
        }
        let mut other = Session::new(self.rules.clone(), candidates, self.client);
        // Its id is the caller's, not a client's that was refused.
        other.told_replaced = true;
        let opened = other.open(services, Access::Read);
        self.notices.append(&mut other.notices);
        opened?;
        Ok(other.base.is_some().then_some(other))
    }
}
