//! What a session may hold, who sees it, and what happens when it cannot be kept.

use super::{Args, Directive, Set};
use crate::core::config::kinds::StoreFailure;
use crate::core::config::values::{choice, number, on_off, size};

pub const INVALIDATE_CORRUPT: Directive = Directive {
    name: "SessionInvalidateCorrupt",
    syntax: "on|off",
    args: Args::Flag,
    default: "on",
    allowed: "on or off",
    htaccess: None,
    help: "whether an unreadable record makes a new session or an error",
    set: Set::Flag(|place, on| place.invalidate_corrupt = Some(on)),
};

pub const SAVE_ON_ERROR: Directive = Directive {
    name: "SessionSaveOnError",
    syntax: "on|off",
    args: Args::Flag,
    default: "off",
    allowed: "on or off",
    htaccess: None,
    help: "whether changes of a request that fails with 500 or more are kept",
    set: Set::Flag(|place, on| place.save_on_error = Some(on)),
};

pub const MAX_SIZE: Directive = Directive {
    name: "SessionMaxSize",
    syntax: "SIZE",
    args: Args::One,
    default: "64K",
    allowed: "a size from 1K to 16M, written as 65536, 64K or 1M",
    htaccess: None,
    help: "most bytes of one session",
    set: Set::Place(|place, words, _| {
        let most = size(words[0], 1 << 10, 16 << 20)?;
        place.max_size = Some(usize::try_from(most).map_err(|_| "is more than this machine has")?);
        Ok(())
    }),
};

pub const MAX_KEYS: Directive = Directive {
    name: "SessionMaxKeys",
    syntax: "N",
    args: Args::One,
    default: "256",
    allowed: "a number from 1 to 4096",
    htaccess: None,
    help: "most keys of one session",
    set: Set::Place(|place, words, _| {
        place.max_keys = Some(number(words[0], 1, 4096)? as usize);
        Ok(())
    }),
};

pub const STORE_FAILURE: Directive = Directive {
    name: "SessionStoreFailure",
    syntax: "fail|readonly|ignore",
    args: Args::One,
    default: "fail",
    allowed: "fail, readonly or ignore",
    htaccess: None,
    help: "what requests get while the store is out of reach",
    set: Set::Place(|place, words, _| {
        place.store_failure = Some(choice(words[0], StoreFailure::WORDS)?);
        Ok(())
    }),
};

pub const NOTES: Directive = Directive {
    name: "SessionNotes",
    syntax: "on|off",
    args: Args::Flag,
    default: "on",
    allowed: "on or off",
    htaccess: None,
    help: "whether handlers find the session in the request's notes",
    set: Set::Flag(|place, on| place.notes = Some(on)),
};

pub const CACHE_CONTROL: Directive = Directive {
    name: "SessionCacheControl",
    syntax: "on|off",
    args: Args::Flag,
    default: "on",
    allowed: "on or off",
    htaccess: Some("on"),
    help: "whether caches are kept from answers that depend on a session",
    set: Set::Place(|place, words, origin| {
        let on = on_off(words[0])?;
        if !on && origin.htaccess {
            return Err("is off".to_owned());
        }
        place.cache_control = Some(on);
        Ok(())
    }),
};
