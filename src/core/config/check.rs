//! Rules over settings that belong together, for the configuration test.
//!
//! One directive is judged where it is read, with its file and line. What is judged here needs all
//! settings of a place after merging. Errors and warnings are whole sentences that name directives.

use std::fmt;

use super::dbm::DbmType;
use super::kinds::{MaxAge, SameSite, Secure};
use super::place::Place;
use super::server::{SecretSource, Server};
use super::stores::StoreChoice;
use super::values::show_duration;

/// Something an administrator should know; the server starts all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of cookies that other software sets or that its documentation proposes.
const FOREIGN_COOKIES: [&str; 8] = [
    "session",
    "session2",
    "ROUTEID",
    "pysid",
    "mod_auth_openidc_session",
    "PHPSESSID",
    "JSESSIONID",
    "connect.sid",
];

/// Judges what is set for the whole server.
///
/// # Errors
/// Settings that contradict each other.
pub fn check_server(server: &Server) -> Result<Vec<Warning>, String> {
    server.directory()?;
    server.memory_size()?;
    if server.cleanup_interval().is_some_and(|interval| server.cleanup_limit() > interval) {
        return Err(
            "SessionCleanupTimeLimit is longer than SessionCleanupInterval: the cleanup would work for \
             longer than it rests"
                .to_owned(),
        );
    }
    let mut warnings = Vec::new();
    if server.max_sessions().is_some() && server.cleanup_interval().is_none() {
        warnings.push(Warning(
            "SessionMaxSessions counts sessions that have ended until they are removed, and \
             SessionCleanupInterval 0 removes none: let htsession purge do it"
                .to_owned(),
        ));
    }
    let inline = |secret: &SecretSource| matches!(secret, SecretSource::Inline(_));
    if server.secrets().iter().any(inline) {
        warnings.push(Warning(
            "SessionSecret has a secret in the configuration itself, where it shows up in dumps and \
             backups: file:PATH or exec:CMD keep it apart"
                .to_owned(),
        ));
    }
    warnings.extend(check_dbm(server)?);
    if matches!(server.store(), StoreChoice::Redis(address) if address.shows_password()) {
        warnings.push(Warning(
            "SessionStore has a password in the configuration itself, where it shows up in dumps and \
             backups: the option password_file=PATH keeps it apart"
                .to_owned(),
        ));
    }
    Ok(warnings)
}

fn check_dbm(server: &Server) -> Result<Option<Warning>, String> {
    let kind = server.dbm_type();
    let StoreChoice::Dbm(file) = server.store() else { return Ok(None) };
    if kind == DbmType::Lmdb {
        return Ok(None);
    }
    if file.map.is_some() {
        return Err("SessionStore dbm:FILE?map=SIZE bounds SessionDBMType lmdb only".to_owned());
    }
    Ok(Some(Warning(format!(
        "SessionDBMType {}: a process that is killed while it writes can damage the whole file; \
         lmdb survives that",
        kind.word()
    ))))
}

/// Judges the settings of a server or virtual host.
///
/// # Errors
/// What cannot work: no directory, a cookie that browsers refuse.
pub fn check(place: &Place, server: &Server) -> Result<Vec<Warning>, String> {
    check_merged(place, place, server)
}

/// Judges a section (`<Directory>`, `<Location>`, …) within the server or virtual host `base`.
///
/// # Errors
/// As [`check`], for what holds in the section.
pub fn check_section(
    base: &Place,
    section: &Place,
    server: &Server,
) -> Result<Vec<Warning>, String> {
    check_merged(&Place::merge(base, section), section, server)
}

/// `own` is what the place sets itself: what it inherits is no mistake of its author.
fn check_merged(place: &Place, own: &Place, server: &Server) -> Result<Vec<Warning>, String> {
    let directory = server.directory()?;
    if !place.engine() {
        return Ok(Vec::new());
    }
    if directory.is_none() && server.needs_directory() {
        return Err("SessionEngine is on, but there is no directory to keep sessions in: write \
                    SessionDataDir DIR, or SessionStore file:DIR, outside of all sections"
            .to_owned());
    }
    let mut warnings = Vec::new();
    if place.id_sources().cookie {
        check_cookie(place)?;
        warnings.extend(foreign_cookie(place));
        warnings.extend(cookie_life(place));
    } else {
        warnings.extend(unused(own));
    }
    warnings.extend(session_life(place));
    warnings.extend(shared_scope(place, server));
    Ok(warnings)
}

/// Browsers drop such cookies without a word, so that every request would start a session.
fn check_cookie(place: &Place) -> Result<(), String> {
    let host = has_prefix(place, "__Host-");
    let http = has_prefix(place, "__Http-") || has_prefix(place, "__Host-Http-");
    let secure_needed = [
        (place.id_same_site() == SameSite::None, "SessionIdSameSite None"),
        (place.id_partitioned(), "SessionIdPartitioned on"),
        (host, "a SessionIdName that begins with __Host-"),
        (has_prefix(place, "__Secure-"), "a SessionIdName that begins with __Secure-"),
        (http, "a SessionIdName that begins with __Http-"),
    ];
    let secure = place.id_secure() == Secure::On;
    if let Some((_, what)) = secure_needed.iter().find(|(needed, _)| *needed && !secure) {
        return Err(format!(
            "{what} needs SessionIdSecure on: browsers refuse the cookie otherwise"
        ));
    }
    if host && place.id_path() != "/" {
        return Err("a SessionIdName that begins with __Host- needs SessionIdPath /".to_owned());
    }
    if host && place.id_domain().is_some() {
        return Err(
            "a SessionIdName that begins with __Host- needs SessionIdDomain none".to_owned()
        );
    }
    if http && !place.id_http_only() {
        return Err("a SessionIdName that begins with __Http- or __Host-Http- needs \
                    SessionIdHttpOnly on"
            .to_owned());
    }
    Ok(())
}

/// Browsers know these prefixes in any case.
fn has_prefix(place: &Place, prefix: &str) -> bool {
    let start = place.id_name().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn foreign_cookie(place: &Place) -> Option<Warning> {
    let name = place.id_name();
    FOREIGN_COOKIES.contains(&name).then(|| {
        Warning(format!(
            "SessionIdName {name} is a name that other software uses for its own cookie; where it \
             does, either loses its sessions"
        ))
    })
}

fn cookie_life(place: &Place) -> Option<Warning> {
    let MaxAge::For(age) = place.id_max_age() else { return None };
    let (age_shown, timeout) = (show_duration(age), place.timeout());
    if age < timeout {
        let timeout = show_duration(timeout);
        return Some(Warning(format!(
            "SessionIdMaxAge {age_shown} ends the cookie before SessionTimeout {timeout} ends the \
             session"
        )));
    }
    let lifetime = place.max_lifetime().filter(|lifetime| age > *lifetime)?;
    Some(Warning(format!(
        "SessionIdMaxAge {age_shown} keeps the cookie longer than SessionMaxLifetime {} keeps any \
         session",
        show_duration(lifetime)
    )))
}

fn session_life(place: &Place) -> Option<Warning> {
    let (timeout, lifetime) = (place.timeout(), place.max_lifetime()?);
    (timeout > lifetime).then(|| {
        Warning(format!(
            "SessionTimeout {} is never reached: SessionMaxLifetime {} ends sessions before",
            show_duration(timeout),
            show_duration(lifetime)
        ))
    })
}

/// Every server that shares a Redis has to make the same scope of its own configuration.
fn shared_scope(place: &Place, server: &Server) -> Option<Warning> {
    let shared = matches!(server.store(), StoreChoice::Redis(_));
    (shared && place.scope.is_none()).then(|| {
        Warning(
            "SessionScope is not set: servers that share a Redis share sessions only where its default, \
             SessionIdDomain or ServerName, is the same in all of them"
                .to_owned(),
        )
    })
}

/// SessionIdDomain is missing here on purpose: the scope is taken from it without a cookie too.
fn unused(own: &Place) -> Option<Warning> {
    let settings = [
        (own.id_name.is_some(), "SessionIdName"),
        (own.id_path.is_some(), "SessionIdPath"),
        (own.id_same_site.is_some(), "SessionIdSameSite"),
        (own.id_secure.is_some(), "SessionIdSecure"),
        (own.id_http_only.is_some(), "SessionIdHttpOnly"),
        (own.id_partitioned.is_some(), "SessionIdPartitioned"),
        (own.id_max_age.is_some(), "SessionIdMaxAge"),
        (own.id_refresh.is_some(), "SessionIdRefresh"),
    ];
    let names: Vec<&str> = settings.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        Warning(format!("SessionIdSource has no cookie here, so {names} has no effect"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{place, server};
    use super::*;

    const DIR: &[&str] = &["SessionDataDir /srv/sessions"];

    /// The verdict on a place with the engine on and a directory.
    fn verdict(lines: &[&str]) -> Result<Vec<String>, String> {
        let lines: Vec<&str> = ["SessionEngine on"].iter().chain(lines).copied().collect();
        let warnings = check(&place(&lines), &server(DIR))?;
        Ok(warnings.iter().map(Warning::to_string).collect())
    }

    fn refused(lines: &[&str], naming: &str) {
        let error = verdict(lines).expect_err(&lines.join(", "));
        assert!(error.contains(naming), "{error} does not name {naming}");
    }

    fn warned(lines: &[&str], naming: &str) {
        let warnings = verdict(lines).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains(naming), "{lines:?}: {warnings:?}");
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(verdict(&[]), Ok(vec![]));
    }

    #[test]
    fn an_engine_without_a_directory_is_refused_and_says_what_to_write() {
        let nothing = server(&[]);
        assert_eq!(check(&place(&[]), &nothing), Ok(vec![]));
        let error = check(&place(&["SessionEngine on"]), &nothing).unwrap_err();
        assert!(error.contains("SessionDataDir DIR"), "{error}");
        let named = server(&["SessionStore file:/srv/sessions"]);
        assert_eq!(check(&place(&["SessionEngine on"]), &named), Ok(vec![]));
    }

    #[test]
    fn two_directories_are_refused_even_where_the_engine_is_off() {
        let both = server(&["SessionStore file:/a", "SessionDataDir /b"]);
        assert!(check_server(&both).is_err());
        assert!(check(&place(&[]), &both).is_err());
    }

    #[test]
    fn a_limit_of_sessions_without_a_cleanup_is_warned_of() {
        let warnings = |lines: &[&str]| check_server(&server(lines)).unwrap().len();
        assert_eq!(warnings(&["SessionMaxSessions 9", "SessionCleanupInterval 0"]), 1);
        assert_eq!(warnings(&["SessionMaxSessions 9"]), 0);
        assert_eq!(warnings(&["SessionMaxSessions 0", "SessionCleanupInterval 0"]), 0);
    }

    #[test]
    fn a_round_of_the_cleanup_ends_before_the_next_one() {
        let server = |lines: &[&str]| check_server(&server(lines)).map(drop);
        let limit = "SessionCleanupTimeLimit 30s";
        assert!(server(&[limit, "SessionCleanupInterval 10s"]).is_err());
        assert_eq!(server(&[limit, "SessionCleanupInterval 30s"]), Ok(()));
        assert_eq!(server(&[limit, "SessionCleanupInterval 0"]), Ok(()));
    }

    #[test]
    fn what_browsers_take_from_secure_cookies_only_needs_secure_on() {
        for line in [
            "SessionIdSameSite None",
            "SessionIdPartitioned on",
            "SessionIdName __Host-id",
            "SessionIdName __Secure-id",
            "SessionIdName __SECURE-id",
            "SessionIdName __Http-id",
        ] {
            refused(&[line], "SessionIdSecure on");
            refused(&[line, "SessionIdSecure off"], "SessionIdSecure on");
            assert_eq!(verdict(&[line, "SessionIdSecure on"]), Ok(vec![]), "{line}");
        }
    }

    #[test]
    fn a_host_cookie_has_the_path_of_the_whole_host_and_no_domain() {
        let host = ["SessionIdName __host-id", "SessionIdSecure on"];
        let with = |line| [host[0], host[1], line];
        refused(&with("SessionIdPath /shop"), "SessionIdPath /");
        refused(&with("SessionIdDomain example.org"), "SessionIdDomain none");
    }

    #[test]
    fn an_http_cookie_is_http_only() {
        for name in ["SessionIdName __Http-id", "SessionIdName __Host-Http-id"] {
            let lines = [name, "SessionIdSecure on", "SessionIdHttpOnly off"];
            refused(&lines, "SessionIdHttpOnly on");
            assert_eq!(verdict(&lines[..2]), Ok(vec![]));
        }
    }

    #[test]
    fn rules_of_cookies_are_not_asked_of_a_place_without_sessions_or_without_cookie() {
        let none = "SessionIdSameSite None";
        assert_eq!(check(&place(&[none]), &server(DIR)), Ok(vec![]));
        warned(&[none, "SessionIdSource header:X-Session-Id"], "SessionIdSameSite");
    }

    #[test]
    fn a_cookie_name_of_other_software_is_warned_of() {
        warned(&["SessionIdName PHPSESSID"], "PHPSESSID");
    }

    #[test]
    fn a_cookie_that_ends_before_its_session_or_outlives_it_is_warned_of() {
        warned(&["SessionIdMaxAge 10m"], "SessionTimeout 30m");
        warned(&["SessionIdMaxAge 7d"], "SessionMaxLifetime 1d");
        assert_eq!(verdict(&["SessionIdMaxAge 12h"]), Ok(vec![]));
        assert_eq!(verdict(&["SessionIdMaxAge 7d", "SessionMaxLifetime 0"]), Ok(vec![]));
    }

    #[test]
    fn a_timeout_that_is_never_reached_is_warned_of() {
        warned(&["SessionTimeout 2d"], "SessionMaxLifetime 1d");
        assert_eq!(verdict(&["SessionTimeout 2d", "SessionMaxLifetime 0"]), Ok(vec![]));
    }

    #[test]
    fn cookie_settings_without_a_cookie_are_warned_of_where_they_are_written() {
        let header = "SessionIdSource header:X-Session-Id";
        warned(
            &[header, "SessionIdName id", "SessionIdRefresh on"],
            "SessionIdName, SessionIdRefresh",
        );

        let base = place(&["SessionEngine on", "SessionIdName id"]);
        let section = |lines: &[&str]| check_section(&base, &place(lines), &server(DIR)).unwrap();
        assert_eq!(section(&[header]), []);
        assert_eq!(section(&[header, "SessionIdPath /a"]).len(), 1);
        assert_eq!(section(&[header, "SessionIdDomain example.org"]), []);
    }

    #[test]
    fn a_section_is_judged_by_what_it_inherits() {
        let base = place(&["SessionEngine on", "SessionIdSecure on"]);
        let section = place(&["SessionIdSameSite None"]);
        assert_eq!(check_section(&base, &section, &server(DIR)), Ok(vec![]));
        assert!(check_section(&place(&["SessionEngine on"]), &section, &server(DIR)).is_err());
    }

    #[test]
    fn kinds_of_databases_are_judged_with_their_store() {
        let verdict = |lines: &[&str]| check_server(&server(lines));
        assert_eq!(verdict(&["SessionStore dbm"]), Ok(vec![]));
        assert_eq!(verdict(&["SessionStore dbm:/a/b?map=8G", "SessionDBMType lmdb"]), Ok(vec![]));
        let said = |lines: &[&str]| verdict(lines).unwrap()[0].to_string();
        assert_eq!(verdict(&["SessionDBMType DB"]), Ok(vec![]));
        assert!(said(&["SessionStore dbm", "SessionDBMType DB"]).contains("killed"));
        assert!(verdict(&["SessionStore dbm:/a/b?map=8G", "SessionDBMType DB"]).is_err());
        assert!(verdict(&["SessionStore dbm:/a/b", "SessionDataDir /b"]).is_err());
        assert!(verdict(&["SessionStore dbm:/a/b", "SessionDataDir /a"]).is_ok());
    }

    #[test]
    fn memory_needs_no_directory_and_one_size() {
        let on = place(&["SessionEngine on"]);
        assert_eq!(check(&on, &server(&["SessionStore memory"])), Ok(vec![]));
        let both = server(&["SessionStore memory:2M", "SessionMemorySize 3M"]);
        assert!(check_server(&both).unwrap_err().contains("SessionMemorySize"));
    }

    #[test]
    fn an_inline_secret_is_warned_of_once_and_never_shown() {
        let inline = server(&["SessionSecret file:/etc/secret hidden-hidden-hidden"]);
        let warnings = check_server(&inline).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(!warnings[0].to_string().contains("hidden"));
        assert_eq!(check_server(&server(&["SessionSecret file:/etc/secret"])), Ok(vec![]));
    }

    #[test]
    fn a_redis_wants_a_scope_that_is_set_and_a_password_that_is_elsewhere() {
        let redis = |lines: &[&str], address: &str| {
            let server = server(&[address]);
            let lines: Vec<&str> = ["SessionEngine on"].iter().chain(lines).copied().collect();
            let mut warnings = check_server(&server).unwrap();
            warnings.extend(check(&place(&lines), &server).unwrap());
            warnings.iter().map(Warning::to_string).collect::<Vec<_>>()
        };
        let quiet = redis(&["SessionScope shop"], "SessionStore redis://h?password_file=/word");
        assert_eq!(quiet, Vec::<String>::new());
        let warnings = redis(&[], "SessionStore redis://:hidden@h");
        assert!(warnings[0].contains("password_file") && !warnings[0].contains("hidden"));
        assert!(warnings[1].contains("SessionScope") && warnings.len() == 2, "{warnings:?}");
    }
}
