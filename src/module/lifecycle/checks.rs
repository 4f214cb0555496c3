//! The configuration judged as a whole: what one directive alone cannot know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::all_servers;
use crate::core::config::{
    Locking, Place, Server, Warning, check as check_server_place, check_section, check_server,
};
use crate::core::session::secrets;
use crate::httpd::pool::Pool;
use crate::httpd::server::{self as host, Named};
use crate::httpd::sys;
use crate::module::config::{place_in, server_config, server_config_mut};
use crate::module::stores;

/// What was found.
#[derive(Default)]
pub struct Checked {
    /// The server must not start like this.
    pub problems: Vec<String>,
    /// An administrator should know.
    pub warnings: Vec<String>,
}

/// What is said of a place.
type Verdict = Result<Vec<Warning>, String>;

impl Checked {
    fn add(&mut self, at: &str, verdict: Verdict) {
        match verdict {
            Ok(warnings) => {
                self.warnings.extend(warnings.iter().map(|warning| format!("{at}: {warning}")));
            }
            Err(problem) => self.problems.push(format!("{at}: {problem}")),
        }
    }
}

/// A verdict on a virtual host without what it inherits: that was said of the main server.
fn own(verdict: Verdict, of_main: &Verdict) -> Verdict {
    match (verdict, of_main) {
        (Ok(mut warnings), Ok(said)) => {
            warnings.retain(|warning| !said.contains(warning));
            Ok(warnings)
        }
        (Err(problem), Err(said)) if problem == *said => Ok(Vec::new()),
        (verdict, _) => verdict,
    }
}

/// Judges every server and every section, and finds the configured names of servers.
///
/// # Safety
/// `main` is httpd's main server, while nobody else uses the configuration, whose pool is `pool`.
pub unsafe fn check(pool: Pool, main: *mut sys::server_rec) -> Checked {
    // SAFETY: as the caller says.
    let settings = unsafe { server_config(main) }.settings.clone();
    let mut checked = Checked::default();
    checked.add("the server", check_server(&settings));
    // SAFETY: as the caller says; MPMs judge their settings before us.
    checked.add("the server", unsafe { check_store(pool, main, &settings) });
    if !checked.problems.is_empty() {
        return checked;
    }
    // SAFETY: httpd's configuration tree has been read and lives.
    let names = unsafe { host::configured_names() };
    let mut scopes: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    // SAFETY: as the caller says.
    let of_main = check_server_place(unsafe { base_of(main) }, &settings);
    // SAFETY: as the caller says.
    for server in unsafe { all_servers(main) } {
        // SAFETY: as above.
        let config = unsafe { server_config_mut(server) };
        // SAFETY: as above.
        config.name = unsafe { name_of(server, main, &names) };
        // SAFETY: settings of a live server.
        let base = unsafe { base_of(server) };
        // SAFETY: as above.
        let at = unsafe { host::describe(server) };
        let verdict = check_server_place(base, &settings);
        checked.add(&at, if server == main { verdict } else { own(verdict, &of_main) });
        for section in &config.sections {
            // SAFETY: sections live as long as the configuration.
            let place = unsafe { &*section.place };
            checked.add(&section.at, check_section(base, place, &settings));
        }
        // SAFETY: as above.
        if unsafe { is_on(server) } {
            *scopes.entry(scope_of(base, config.name.as_ref())).or_default() += 1;
        }
    }
    // SAFETY: as the caller says.
    if unsafe { engine_is_on(main) } {
        let owner = host::child_owner();
        let read = secrets::check_files(settings.secrets(), owner, host::below_root);
        checked.add("the server", read.map(|()| Vec::new()));
    }
    if scopes.get("").is_some_and(|hosts| *hosts > 1) {
        checked.warnings.push(
            "several hosts without ServerName share the empty SessionScope: a session of one is good \
             for all of them; give each a ServerName or a SessionScope"
                .to_owned(),
        );
    }
    checked
}

/// Judges the store, and whether the largest session that a place allows fits.
///
/// # Safety
/// As [`check`].
unsafe fn check_store(pool: Pool, main: *mut sys::server_rec, settings: &Server) -> Verdict {
    // SAFETY: as the caller says.
    let stores::Verdict { mut warnings, record_max } = unsafe { stores::check(settings, pool)? };
    let larger = |most| move |place: &Place| place.engine() && place.max_size() > most;
    if let Some(most) = record_max
        // SAFETY: as the caller says.
        && unsafe { all_servers(main) }
            .into_iter()
            // SAFETY: as above.
            .any(|server| unsafe { any_place(server, larger(most)) })
    {
        warnings.push(format!(
            "SessionMaxSize allows larger sessions than this store takes: records of more than {most} \
             bytes are refused"
        ));
    }
    Ok(warnings.into_iter().map(Warning).collect())
}

unsafe fn base_of<'s>(server: *mut sys::server_rec) -> &'s Arc<Place> {
    // SAFETY: a live server.
    let vector = unsafe { (*server).lookup_defaults };
    // SAFETY: made after our module was loaded.
    let place = unsafe { place_in(vector) };
    // SAFETY: lives as long as the configuration.
    unsafe { &*place }
}

/// A virtual host without a name of its own answers under the main server's.
unsafe fn name_of(
    server: *mut sys::server_rec,
    main: *mut sys::server_rec,
    names: &[Named],
) -> Option<Arc<str>> {
    // SAFETY: live servers.
    let find = |server| unsafe { host::name_in(names, server) };
    find(server).or_else(|| find(main)).map(|name| Arc::from(name.to_ascii_lowercase()))
}

fn scope_of(place: &Place, name: Option<&Arc<str>>) -> Arc<str> {
    place.scope(name).cloned().unwrap_or_default()
}

/// Whether sessions exist somewhere on a server.
unsafe fn is_on(server: *mut sys::server_rec) -> bool {
    // SAFETY: a live server.
    unsafe { any_place(server, Place::engine) }
}

unsafe fn any_place(server: *mut sys::server_rec, mut is: impl FnMut(&Place) -> bool) -> bool {
    // SAFETY: a live server.
    let base = unsafe { base_of(server) };
    // SAFETY: as above.
    let config = unsafe { server_config(server) };
    if is(base) {
        return true;
    }
    let section = |place: *const Arc<Place>| {
        // SAFETY: sections live as long as the configuration.
        is(&Place::merge(base, unsafe { &*place }))
    };
    config.sections.iter().map(|at| at.place).any(section)
}

/// Whether sessions exist anywhere.
///
/// # Safety
/// As [`check`].
pub unsafe fn engine_is_on(main: *mut sys::server_rec) -> bool {
    // SAFETY: as the caller says.
    unsafe { all_servers(main) }.into_iter().any(|server| unsafe { is_on(server) })
}

/// The scopes of all places with sessions.
///
/// # Safety
/// As [`check`], which has found the names of servers.
pub unsafe fn scopes(main: *mut sys::server_rec) -> BTreeSet<Arc<str>> {
    let mut scopes = BTreeSet::new();
    // SAFETY: as the caller says.
    for server in unsafe { all_servers(main) } {
        // SAFETY: a live server.
        let name = unsafe { server_config(server) }.name.as_ref();
        let mut see = |place: &Place| {
            if place.engine() {
                scopes.insert(scope_of(place, name));
            }
            // All are to be seen.
            false
        };
        // SAFETY: as above.
        unsafe { any_place(server, &mut see) };
    }
    scopes
}

/// Whether a place writes sessions without a lease.
///
/// # Safety
/// As [`check`].
pub unsafe fn writes_without_lease(main: *mut sys::server_rec) -> bool {
    let without = |place: &Place| matches!(place.locking(), Locking::Commit | Locking::Off);
    // SAFETY: as the caller says.
    unsafe { all_servers(main) }.into_iter().any(|server| unsafe { any_place(server, without) })
}
