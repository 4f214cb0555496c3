//! Whether sessions exist, and how long they live.

use std::time::Duration;

use super::{Args, Directive, Origin, Set};
use crate::core::config::place::Place;
use crate::core::config::values::{duration, on_off};

/// The longest life there is: browsers keep no cookie longer.
pub const LIFE_MAX: Duration = Duration::from_secs(400 * 86_400);

pub const ENGINE: Directive = Directive {
    name: "SessionEngine",
    syntax: "on|off",
    args: Args::Flag,
    default: "off",
    allowed: "on or off",
    htaccess: Some("off"),
    help: "whether sessions exist here",
    set: Set::Place(|place, words, origin| {
        let on = on_off(words[0])?;
        if on && origin.htaccess {
            return Err("is on".to_owned());
        }
        place.engine = Some(on);
        Ok(())
    }),
};

pub const TIMEOUT: Directive = Directive {
    name: "SessionTimeout",
    syntax: "TIME",
    args: Args::One,
    default: "30m",
    allowed: "a time from 1s to 400d, written as 30, 30s, 15m, 12h or 7d",
    htaccess: Some("a time from 1s to 400d, of which only a lower one than the server's counts"),
    help: "idle time after which a session is gone",
    set: Set::Place(timeout),
};

pub const MAX_LIFETIME: Directive = Directive {
    name: "SessionMaxLifetime",
    syntax: "TIME",
    args: Args::One,
    default: "24h",
    allowed: "a time from 0 to 400d, written as 30, 30s, 15m, 12h or 7d, where 0 means no limit",
    htaccess: None,
    help: "age after which a session is gone, however much it is used",
    set: Set::Place(|place, words, _| {
        place.max_lifetime = Some(duration(words[0], Duration::ZERO, LIFE_MAX)?);
        Ok(())
    }),
};

pub const TOUCH_INTERVAL: Directive = Directive {
    name: "SessionTouchInterval",
    syntax: "TIME",
    args: Args::One,
    default: "60s",
    allowed: "a time from 0 to 1d, written as 30, 30s, 15m or 12h",
    htaccess: Some("a time from 0 to 1d, written as 30, 30s, 15m or 12h"),
    help: "how often reading requests record their visit",
    set: Set::Place(|place, words, _| {
        let day = Duration::from_secs(86_400);
        place.touch_interval = Some(duration(words[0], Duration::ZERO, day)?);
        Ok(())
    }),
};

pub const REGENERATE_GRACE: Directive = Directive {
    name: "SessionRegenerateGrace",
    syntax: "TIME",
    args: Args::One,
    default: "10s",
    allowed: "a time from 0 to 10m, written as 10, 10s or 1m, where 0 means none",
    htaccess: None,
    help: "how long the old id still finds a session that got a new one",
    set: Set::Place(|place, words, _| {
        let most = Duration::from_secs(600);
        place.regenerate_grace = Some(duration(words[0], Duration::ZERO, most)?);
        Ok(())
    }),
};

fn timeout(place: &mut Place, words: &[&str], origin: Origin) -> Result<(), String> {
    let time = duration(words[0], Duration::from_secs(1), LIFE_MAX)?;
    let field = if origin.htaccess { &mut place.timeout_cap } else { &mut place.timeout };
    *field = Some(time);
    Ok(())
}
