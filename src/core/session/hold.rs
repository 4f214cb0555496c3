//! Letting a session go before the request ends, and taking it again.

use std::time::Duration;

use super::error::SessionError;
use super::state::{Phase, Services, Session};
use crate::core::config::Locking;
use crate::core::lock::Wait;

impl Session {
    /// Takes the session for this request tree, in every locking mode but `read`. It is read anew if it
    /// was not held. Locks nest: as many [`Session::unlock`]s let it go. Without `wait` a held session
    /// is refused at once.
    pub fn lock(&mut self, services: &Services<'_>, wait: bool) -> Result<(), SessionError> {
        if self.rules.locking == Locking::Read {
            return Err(SessionError::ReadOnly);
        }
        if !(self.phase == Phase::Writing && self.lease.is_some()) {
            self.take(services, wait)?;
        }
        self.locks = self.locks.saturating_add(1);
        Ok(())
    }

    fn take(&mut self, services: &Services<'_>, wait: bool) -> Result<(), SessionError> {
        let patience = self.rules.wait;
        if !wait {
            self.rules.wait = Wait { timeout: Duration::ZERO, ..patience };
        }
        let taken = self.open_leased(services);
        self.rules.wait = patience;
        taken
    }

    /// One lock less. True if that was the last and the session is to be let go, which the caller does
    /// by committing and then [`Session::let_go`].
    pub fn unlock(&mut self) -> bool {
        self.locks = self.locks.saturating_sub(1);
        self.locks == 0
    }

    /// Ends the lease. What was read stays to be looked at; a write takes the session again.
    pub fn let_go(&mut self, services: &Services<'_>) {
        self.release(services);
        self.kept_view = self.phase == Phase::Closed && self.searched;
    }

    /// Whether its handler let it go, and has not taken it again.
    pub fn was_let_go(&self) -> bool {
        self.kept_view
    }
}
