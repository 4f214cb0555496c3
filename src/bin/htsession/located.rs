//! Which store is meant: as options name it, or as httpd's configuration does.

use std::path::PathBuf;
use std::time::Duration;

use mod_session_store::core::config::{Origin, Server, StoreChoice, Target, find};
use mod_session_store::core::store::dir::Owner;
use mod_session_store::system::user;

use crate::arguments::Place;
use crate::ask;
use crate::failure::Failure;

/// A store, and what is known of the server that uses it.
#[derive(Debug, Clone)]
pub struct Located {
    /// The server's settings as far as they are about the store.
    pub settings: Server,
    /// User and group of the server's children, if httpd or the administrator told.
    pub owner: Option<Owner>,
    /// Requests that the server works on at once, if httpd told.
    pub workers: Option<u32>,
    /// The scopes in which there are sessions, if httpd told.
    pub scopes: Vec<String>,
}

impl Located {
    /// The store that options name; httpd is asked if they name none.
    ///
    /// # Errors
    /// Options make no sense, or httpd does not tell.
    pub fn find(place: &Place) -> Result<Located, Failure> {
        let owner = place.owner.as_deref().map(owner).transpose()?;
        let Some(store) = &place.store else { return asked(place, owner) };
        let told = &place.httpd;
        if told.conf.is_some()
            || told.root.is_some()
            || told.program.is_some()
            || !told.defines.is_empty()
        {
            return Err(Failure::usage(
                "--store names the store: httpd is not asked, so -f, -d, -D and --httpd are too much",
            ));
        }
        Located::named(store, place, owner)
    }

    /// The store of this word, written as for `SessionStore`; the rest as options say.
    pub fn named(store: &str, place: &Place, owner: Option<Owner>) -> Result<Located, Failure> {
        let mut settings = Server::default();
        set(&mut settings, "SessionStore", store)?;
        if let Some(dir) = &place.data_dir {
            set(&mut settings, "SessionDataDir", dir)?;
        }
        if let Some(kind) = place.dbm_types.first() {
            set(&mut settings, "SessionDBMType", kind)?;
        }
        Ok(Located { settings, owner, workers: None, scopes: Vec::new() })
    }

    /// As [`Located::named`], for one of two stores: `--data-dir` is for what is named without a place.
    pub fn one_of_two(
        store: &str,
        place: &Place,
        owner: Option<Owner>,
    ) -> Result<Located, Failure> {
        let alone = Place { data_dir: None, ..place.clone() };
        let alone = Located::named(store, &alone, owner)?;
        match alone.choice() {
            StoreChoice::File { dir: Some(_) } => Ok(alone),
            StoreChoice::Dbm(file) if file.file.is_some() => Ok(alone),
            _ => Located::named(store, place, owner),
        }
    }

    /// How long after its end a session may still be written (`SessionCleanupGrace`).
    pub fn grace(&self) -> Duration {
        self.settings.cleanup_grace()
    }

    /// The directory that the store is in, absolute.
    pub fn directory(&self) -> Result<PathBuf, Failure> {
        let dir = self.settings.directory().map_err(Failure::usage)?;
        let dir = dir.ok_or_else(|| {
            Failure::usage("the store needs a directory: name it by --data-dir DIR")
        })?;
        std::path::absolute(&*dir)
            .map_err(|cause| Failure::usage(format!("the directory: {cause}")))
    }

    /// The store.
    pub fn choice(&self) -> StoreChoice {
        self.settings.store()
    }
}

fn asked(place: &Place, owner: Option<Owner>) -> Result<Located, Failure> {
    let dump = ask::ask(&place.httpd)?;
    if let Some(problem) = dump.problem {
        return Err(Failure::store(format!("httpd tells of no store: {problem}")));
    }
    let settings = dump.server().map_err(|cause| Failure::store(cause.to_string()))?;
    let (uid, gid) = dump.owner;
    let owner = owner.or(Some(Owner { uid, gid }));
    Ok(Located { settings, owner, workers: Some(dump.workers), scopes: dump.scopes })
}

fn set(server: &mut Server, name: &str, word: &str) -> Result<(), Failure> {
    let row = find(name).ok_or_else(|| Failure::usage(format!("{name} is no directive")))?;
    row.apply(Target::Server(server), &[word], Origin { htaccess: false })
        .map_err(|problem| Failure::usage(format!("{name} {problem}")))
}

/// `USER[:GROUP]`, names or numbers.
pub fn owner(text: &str) -> Result<Owner, Failure> {
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    let unknown = |what| move || Failure::usage(format!("--owner names no {what} of this machine"));
    let (uid, own) = match name.parse() {
        Ok(uid) => (uid, None),
        Err(_) => {
            user::ids_of(name).map(|(uid, gid)| (uid, Some(gid))).ok_or_else(unknown("user"))?
        }
    };
    let gid = match group {
        Some(group) => group.parse().ok().or_else(|| user::group_of(group)),
        None => own.or_else(|| {
            user::name_of(uid).and_then(|name| user::ids_of(&name)).map(|(_, gid)| gid)
        }),
    };
    Ok(Owner { uid, gid: gid.ok_or_else(unknown("group"))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_user_and_its_group_or_another_by_name_or_number() {
        assert_eq!(owner("root"), Ok(Owner { uid: 0, gid: 0 }));
        assert_eq!(owner("0"), Ok(Owner { uid: 0, gid: 0 }));
        assert_eq!(owner("12345:67"), Ok(Owner { uid: 12345, gid: 67 }));
        assert_eq!(owner("7:root"), Ok(Owner { uid: 7, gid: 0 }));
        for bad in ["", "no-such-user", "root:no-such-group", "4294967294", ":root"] {
            assert!(owner(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_is_named_as_in_a_configuration() {
        let place = Place { data_dir: Some("/srv/x".to_owned()), ..Place::default() };
        let located = Located::named("file", &place, None).unwrap();
        assert_eq!(located.settings.directory().unwrap().as_deref(), Some("/srv/x"));
        let refused = Located::named("memory:9999999T", &Place::default(), None).unwrap_err();
        assert!(refused.text.starts_with("SessionStore takes file"), "{refused}");
    }
}
