//! Letting a session go before the request ends, and taking it again.

use std::time::Duration;

use super::error::SessionError;
use super::record::Record;
use super::state::{Access, Notice, Phase, Services, Session};
use super::values::Touched;
use crate::core::config::Locking;
use crate::core::lock::Wait;

impl Session {
    /// Opens the session for writing. [`SessionError::Gone`], once, if its handler has seen it, be it let go
    /// meanwhile, and it has ended since: what comes now is another one, which is not handed over unasked.
    pub fn take(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        self.open(services, Access::Write)?;
        let lost = std::mem::take(&mut self.lost) && self.phase != Phase::Absent;
        if lost { Err(SessionError::Gone) } else { Ok(()) }
    }

    /// A handler begins with the session as it is now: nothing that ended before is missed by it.
    pub fn is_handed_over(&mut self) {
        self.lost = false;
    }

    /// Takes the session for this request tree, in every locking mode but `read`. It is read anew
    /// if it was not held; what this request changed and did not save stays changed. Locks nest: as
    /// many [`Session::unlock`]s let it go. Without `wait` a held session is refused at once. Whether or
    /// not it was changed, [`SessionError::Gone`] if it has ended since it was read.
    pub fn lock(&mut self, services: &Services<'_>, wait: bool) -> Result<(), SessionError> {
        if self.rules.locking == Locking::Read {
            return Err(SessionError::ReadOnly);
        }
        let key = self.base.as_ref().map(|base| base.key);
        let held = match key {
            Some(key) if self.phase == Phase::Writing => self.is_held(services, key)?,
            _ => false,
        };
        if !held {
            self.take_leased(services, wait)?;
        }
        self.locks = self.locks.saturating_add(1);
        Ok(())
    }

    fn take_leased(&mut self, services: &Services<'_>, wait: bool) -> Result<(), SessionError> {
        let (patience, refused) = (self.rules.wait, self.refused);
        if !wait {
            self.rules.wait = Wait { timeout: Duration::ZERO, ..patience };
        }
        let before = match &self.base {
            Some(base) if self.phase == Phase::Writing => Some(base.record.clone()),
            _ => None,
        };
        let (view, touched) = (self.view.clone(), self.touched.clone());
        let (known, changed) = (self.base.as_ref().map(|base| base.key), self.is_changed());
        let taken = self.open_leased(services);
        self.rules.wait = patience;
        if !wait {
            // Who only tried may still wait.
            self.refused = refused;
        }
        taken?;
        if let Some(key) = known.filter(|_| self.base.is_none()) {
            if changed {
                self.notices.push(Notice::ChangesDropped(key));
            }
            self.lost = false;
            return Err(SessionError::Gone);
        }
        if let Some(before) = before {
            self.change_again(before, view, touched);
        }
        Ok(())
    }

    /// Brings changes of a session that was read anew into what it is now. If it is gone, so are
    /// they.
    fn change_again(&mut self, before: Record, view: Record, touched: Touched) {
        let Some(base) = &self.base else { return };
        let mut now = base.record.clone();
        (self.view, self.touched) = (view, touched);
        self.apply_changes(&mut now, &before);
        self.view = now;
    }

    /// One lock less. True if that was the last and the session is to be let go, which the caller
    /// does by committing and then [`Session::let_go`].
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
