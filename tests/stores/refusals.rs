//! Stores that cannot work are refused when the configuration is tested, with what to do about it.

use super::behaviour::kept_in;
use super::provider::own;
use crate::support::{Builder, Mpm};

#[track_caller]
fn refused(builder: Builder, parts: &[&str]) {
    let test = builder.configtest();
    assert!(!test.passed, "{}", test.output);
    for part in parts {
        assert!(test.output.contains(part), "{part} is not in {}", test.output);
    }
}

#[track_caller]
fn accepted(builder: Builder, parts: &[&str]) {
    let test = builder.configtest();
    assert!(test.passed, "{}", test.output);
    for part in parts {
        assert!(test.output.contains(part), "{part} is not in {}", test.output);
    }
}

#[test]
fn a_store_that_nobody_provides_is_refused_with_those_there_are() {
    refused(kept_in("flie"), &["SessionStore flie is none of file", "there is none"]);
    refused(own("flie"), &["there is broken, example, failing, lonely, plain, threadless"]);
    let named = ["SessionStore socache:shm: no module provides", "load mod_socache_shm"];
    refused(kept_in("socache:shm"), &named);
    refused(kept_in("socache:shm").module("socache_shmcb"), &["there is default, shmcb"]);
}

#[test]
fn what_is_wrong_with_an_argument_is_said_by_who_takes_it() {
    let shmcb = kept_in("socache:shmcb:run/a(12)").module("socache_shmcb");
    refused(shmcb, &["SessionStore socache:shmcb: ", "8192"]);
    let memcache = kept_in("socache:memcache").module("socache_memcache");
    refused(memcache, &["SessionStore socache:memcache: List of server names"]);
    let mut example = own("example").clear_conf();
    example = example.conf("SessionStore example\nSessionEngine on");
    refused(example, &["SessionStore example: a file has to be named"]);
}

#[test]
fn a_store_that_is_not_safe_for_threads_is_refused_where_there_are_some() {
    for mpm in [Mpm::Worker, Mpm::Event] {
        refused(own("threadless").mpm(mpm), &["not safe for threads", "25 in a process"]);
    }
    accepted(own("threadless").mpm(Mpm::Prefork), &[]);
}

#[test]
fn a_store_of_one_process_is_refused_where_there_are_more() {
    refused(own("lonely"), &["SessionStore lonely keeps what one process stores from every other"]);
    let one = own("lonely").start_servers(1).max_workers(25);
    accepted(one, &[]);
}

#[test]
fn a_struct_of_another_version_is_refused() {
    refused(own("broken"), &["its module is built wrong"]);
}

#[test]
fn what_a_store_cannot_do_is_said_when_the_configuration_is_tested() {
    let sync = "SessionSync on";
    accepted(
        own("example").conf(sync),
        &["SessionSync on has no effect", "4016 bytes are refused"],
    );
    let shmcb = kept_in("socache:shmcb").module("socache_shmcb").conf(sync);
    let said = ["drops the oldest sessions", "SessionSync on has no effect", "are refused"];
    accepted(shmcb, &said);
    for store in ["memory", "redis://127.0.0.1:1"] {
        let name = store.split(':').next().expect("a name");
        let said = format!("SessionSync on has no effect with SessionStore {name}");
        accepted(kept_in(store).conf(sync), &[&said]);
        let test = kept_in(store).conf("SessionSync off").configtest();
        assert!(!test.output.contains("SessionSync"), "{}", test.output);
    }
    let memcache = kept_in("socache:memcache:127.0.0.1:1").module("socache_memcache");
    accepted(memcache, &["on this machine only", "longer than 30 days"]);
}

#[test]
fn a_limit_of_sessions_is_refused_where_nobody_can_count_them() {
    let limit = "SessionMaxSessions 1000";
    let memcache = || kept_in("socache:memcache:127.0.0.1:1").module("socache_memcache");
    refused(
        memcache().conf(limit),
        &["SessionMaxSessions needs a store whose sessions can be listed"],
    );
    refused(own("plain").conf(limit), &["SessionMaxSessions needs", "SessionStore plain cannot"]);
    accepted(memcache().conf("SessionMaxSessions 0"), &[]);
    accepted(own("example").conf(limit), &[]);
    accepted(kept_in("socache:shmcb").module("socache_shmcb").conf(limit), &[]);
}

#[test]
fn an_argument_that_may_hold_a_password_is_not_shown() {
    let test = kept_in("socache:other:hidden-argument").configtest();
    assert!(!test.output.contains("hidden"), "{}", test.output);
    let test = kept_in("other:hidden-argument").configtest();
    assert!(!test.output.contains("hidden"), "{}", test.output);
}
