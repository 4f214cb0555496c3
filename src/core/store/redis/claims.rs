//! Sessions held against other machines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::layout;
use super::renewal::Tenure;
use super::scripts::Run;
use super::verbs::{Expected, Updated};
use super::{RedisStore, Shared, bad};
use crate::core::lock::{LeaseError, Wait};
use crate::core::session::record::Record;
use crate::core::store::{Claim, Claimed, Claims, Held, Loaded, StoreError, StoreKey};

/// First pause between two attempts to hold a session.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
/// Longest one.
const PAUSE_LONGEST: Duration = Duration::from_millis(50);

/// A session that is held.
struct Holder {
    shared: Arc<Shared>,
    key: StoreKey,
    tenure: Arc<Tenure>,
    /// The word of the latest write that we know of.
    version: Mutex<Vec<u8>>,
    /// It was let go with the last write.
    over: AtomicBool,
}

impl Holder {
    fn boxed(
        shared: &Arc<Shared>,
        key: &StoreKey,
        tenure: Tenure,
        version: Vec<u8>,
    ) -> Box<dyn Claim> {
        let tenure = Arc::new(tenure);
        shared.renewal.add(shared, &tenure);
        Box::new(Holder {
            shared: Arc::clone(shared),
            key: *key,
            tenure,
            version: Mutex::new(version),
            over: AtomicBool::new(false),
        })
    }
}

impl Claim for Holder {
    fn is_ours(&self) -> bool {
        !self.over.load(Ordering::Acquire) && self.tenure.is_ours()
    }

    fn update(&self, record: &Record, last: bool) -> Result<(), StoreError> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let expected =
            Expected { token: Some(&self.tenure.token), version: Some(&version), times: None };
        match self.shared.update(&self.key, record, &expected, last)? {
            Updated::Done(word) => *version = word.into_bytes(),
            Updated::Other(_) => return Err(StoreError::Overtaken),
        }
        if last {
            self.over.store(true, Ordering::Release);
            self.shared.renewal.forget(&self.tenure);
        }
        Ok(())
    }
}

/// Memory only: the thread that renews tells Redis.
impl Drop for Holder {
    fn drop(&mut self) {
        if !self.over.load(Ordering::Acquire) {
            self.shared.renewal.let_go(&self.shared, &self.tenure);
        }
    }
}

impl Claims for RedisStore {
    fn load(&self, key: &StoreKey, wait: &Wait) -> Result<Option<Claimed>, StoreError> {
        let shared = &self.shared;
        let name = shared.names.session(key);
        let token = shared.new_word();
        let (start, mut pause) = (Instant::now(), PAUSE_FIRST);
        let lease = lease(shared, wait);
        let millis = lease.as_millis().to_string();
        let words = [token.as_bytes(), shared.instance.as_bytes(), millis.as_bytes()];
        loop {
            let sent = Instant::now();
            let run = Run::new(&shared.scripts.claim, &name, &words);
            let left = match shared.run("reading a record", &run)? {
                Value::Nil => return Ok(None),
                Value::Int(left) => Duration::from_millis(left.try_into().unwrap_or(0)),
                Value::Array(values) => {
                    let held = matches!(values.get(5), Some(Value::Int(1)));
                    let tenure = Tenure::new(name.clone(), token.clone(), (sent, lease), wait.hold);
                    return self.claimed(key, &values, held.then_some(tenure));
                }
                _ => return Err(bad("the answer to a claim")),
            };
            let rest = wait.timeout.saturating_sub(start.elapsed());
            if rest.is_zero() {
                return Err(StoreError::Lease(LeaseError::TimedOut));
            }
            // Its holder may be dead: then its end is known to the millisecond.
            let end = left + Duration::from_millis(1);
            thread::sleep(shared.jitter(pause).min(end).min(rest));
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        wait: &Wait,
    ) -> Result<Box<dyn Claim>, StoreError> {
        let shared = &self.shared;
        let (token, sent) = (shared.new_word(), Instant::now());
        let lease = lease(shared, wait);
        let word = shared.create(key, record, &token, lease)?;
        let tenure = Tenure::new(shared.names.session(key), token, (sent, lease), wait.hold);
        Ok(Holder::boxed(shared, key, tenure, word.into_bytes()))
    }
}

/// For how long a session is held unless that is renewed.
fn lease(shared: &Shared, wait: &Wait) -> Duration {
    wait.hold.map_or(shared.lease, |hold| hold.min(shared.lease))
}

impl RedisStore {
    fn claimed(
        &self,
        key: &StoreKey,
        values: &[Value],
        tenure: Option<Tenure>,
    ) -> Result<Option<Claimed>, StoreError> {
        let found = match layout::read(values) {
            Ok(found) => found.ok_or(StoreError::Corrupt)?,
            Err(cause) => {
                if let Some(tenure) = tenure {
                    drop(Holder::boxed(&self.shared, key, tenure, Vec::new()));
                }
                return Err(cause);
            }
        };
        let claim = tenure.map(|tenure| Holder::boxed(&self.shared, key, tenure, found.version));
        Ok(Some((Loaded { record: found.record, held: Held::default() }, claim)))
    }
}
