//! The error log as part of every assertion.
//!
//! A line that reports trouble and that the test did not announce fails it; so does a line that was
//! announced and did not come.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Levels of trouble. What httpd always logs (notice) and what is chatter (info, debug, trace) is
/// not.
const TROUBLE: [&str; 5] = ["warn", "error", "crit", "alert", "emerg"];

/// Words of trouble in a line of whatever level: a child that ended by a signal is only a notice.
const ALARMS: [&str; 3] = ["exit signal", "Segmentation", "panicked at"];

/// What a test says about lines of trouble.
#[derive(Default)]
pub struct Audit {
    rules: Mutex<Vec<Rule>>,
}

struct Rule {
    part: String,
    must: bool,
}

impl Audit {
    /// Lines with `part` in them have to come, one at least.
    pub fn expect(&self, part: &str) {
        self.rules().push(Rule { part: part.to_owned(), must: true });
    }

    /// Lines with `part` in them may come.
    pub fn allow(&self, part: &str) {
        self.rules().push(Rule { part: part.to_owned(), must: false });
    }

    /// What is wrong with `log`, a line for each; empty if nothing is.
    pub fn complaints(&self, log: &str) -> Vec<String> {
        let rules = self.rules();
        let announced = |line: &str| rules.iter().any(|rule| line.contains(&rule.part));
        let surprises = log.lines().filter(|line| is_trouble(line) && !announced(line));
        let missing = rules.iter().filter(|rule| rule.must && !log.contains(&rule.part));
        surprises
            .map(|line| format!("undeclared: {line}"))
            .chain(missing.map(|rule| format!("declared but missing: {}", rule.part)))
            .collect()
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line reports trouble. One without a level was written past httpd's log: by a crashing
/// library, say.
pub fn is_trouble(line: &str) -> bool {
    if line.trim().is_empty() {
        return false;
    }
    let troubled = level(line).is_none_or(|level| TROUBLE.contains(&level));
    troubled || ALARMS.iter().any(|alarm| line.contains(alarm))
}

/// The level in `[time] [module:level] [pid …] …`.
fn level(line: &str) -> Option<&str> {
    let (_, behind_time) = line.strip_prefix('[')?.split_once("] [")?;
    let (tag, _) = behind_time.split_once(']')?;
    Some(tag.split_once(':')?.1)
}

/// Fails if one of `secrets` occurs in `log`; does not print it.
#[track_caller]
pub fn assert_no_secret(log: &str, secrets: &[&str]) {
    for (number, secret) in secrets.iter().enumerate() {
        assert!(
            secret.len() > 2,
            "secret {number} is so short that names of folders have it by chance"
        );
        let line = log.lines().position(|line| line.contains(secret));
        assert!(line.is_none(), "secret {number} is in line {line:?} of the error log");
    }
}

/// The last `count` lines.
pub fn tail(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARNING: &str = "[Mon Jan 05 10:00:00.123456 2026] [core:warn] [pid 7:tid 8] AH1: odd";
    const NOTICE: &str = "[Mon Jan 05 10:00:00.123456 2026] [core:notice] [pid 7] AH2: fine";

    #[test]
    fn trouble_is_told_from_chatter() {
        assert!(is_trouble(WARNING));
        assert!(!is_trouble(NOTICE));
        assert!(is_trouble(&NOTICE.replace("fine", "child pid 9 exit signal Killed (9)")));
        assert!(is_trouble("free(): invalid pointer"));
        assert!(!is_trouble(""));
    }

    #[test]
    fn what_is_announced_must_come_and_the_rest_must_not() {
        let audit = Audit::default();
        assert_eq!(audit.complaints(WARNING).len(), 1);
        audit.allow("odd");
        assert!(audit.complaints(WARNING).is_empty());
        audit.expect("even");
        assert_eq!(audit.complaints(NOTICE), ["declared but missing: even"]);
    }

    #[test]
    #[should_panic(expected = "secret 1 is in line Some(0)")]
    fn a_secret_in_the_log_is_found_and_not_repeated() {
        assert_no_secret(WARNING, &["absent", "odd"]);
    }
}
