//! Each interface against each other one: what one did is what the other finds.

use super::interfaces::{Interface, Pythons, all, id};
use crate::support::probed::records;
use crate::support::{Client, Server, parallel};

const NO_GRACE: &str = "SessionRegenerateGrace 0";

fn pairs() -> impl Iterator<Item = (Interface, Interface)> {
    Interface::ALL.into_iter().flat_map(|a| Interface::ALL.into_iter().map(move |b| (a, b)))
}

/// mod_wsgi's application with each that runs beside it, either way round.
fn wsgi_pairs() -> impl Iterator<Item = (Interface, Interface)> {
    let others = Interface::ALL.into_iter().filter(|other| *other != Interface::Python);
    others.flat_map(|other| [(Interface::Wsgi, other), (other, Interface::Wsgi)])
}

#[track_caller]
fn expression(visitor: &mut Client) -> String {
    visitor.get("/expression").expect(200).header("X-Expression").unwrap_or_default().to_owned()
}

#[track_caller]
fn visitor_of(server: &Server, interface: Interface) -> Client {
    let mut visitor = server.client();
    interface.set(&mut visitor, "a", "1");
    assert!(id(&visitor).is_some(), "{interface:?} sets no cookie");
    visitor
}

#[test]
fn what_one_interface_sets_changes_and_removes_each_other_one_finds() {
    let (server, _backends) = all(Pythons::ModPython, NO_GRACE);
    each_finds_what_the_other_did(&server, pairs());
    let (server, _backends) = all(Pythons::ModWsgi, NO_GRACE);
    each_finds_what_the_other_did(&server, wsgi_pairs());
}

#[track_caller]
fn each_finds_what_the_other_did(
    server: &Server,
    pairs: impl Iterator<Item = (Interface, Interface)>,
) {
    for (one, other) in pairs {
        let mut visitor = visitor_of(server, one);
        let found = |visitor: &mut Client| (one.get(visitor, "a"), other.get(visitor, "a"));
        let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
        assert_eq!(found(&mut visitor), both("1"), "{one:?} {other:?}");
        assert_eq!(expression(&mut visitor), "1", "{one:?}");
        other.set(&mut visitor, "b", "2");
        other.set(&mut visitor, "a", "3");
        assert_eq!(found(&mut visitor), both("3"), "{one:?} {other:?}");
        assert_eq!(one.get(&mut visitor, "b").as_deref(), Some("2"), "{one:?} {other:?}");
        other.unset(&mut visitor, "a");
        assert_eq!(found(&mut visitor), (None, None), "{one:?} {other:?}");
        assert_eq!(expression(&mut visitor), "", "{other:?}");
        assert_eq!(one.get(&mut visitor, "b").as_deref(), Some("2"), "{one:?} {other:?}");
    }
}

#[test]
fn a_session_that_one_interface_gives_a_new_id_or_ends_is_so_for_each_other_one() {
    let (server, _backends) = all(Pythons::ModPython, NO_GRACE);
    each_sees_the_other_renew_and_end_it(&server, pairs());
    let (server, _backends) = all(Pythons::ModWsgi, NO_GRACE);
    each_sees_the_other_renew_and_end_it(&server, wsgi_pairs());
}

#[track_caller]
fn each_sees_the_other_renew_and_end_it(
    server: &Server,
    pairs: impl Iterator<Item = (Interface, Interface)>,
) {
    for (one, other) in pairs {
        let mut visitor = visitor_of(server, one);
        let old = visitor.clone();
        other.order_to(&mut visitor, "regenerate");
        assert_ne!(id(&visitor), id(&old), "{other:?}");
        assert_eq!(one.get(&mut visitor, "a").as_deref(), Some("1"), "{one:?} {other:?}");
        assert_eq!(one.get(&mut old.clone(), "a"), None, "{one:?} {other:?}");
        other.order_to(&mut visitor, "invalidate");
        assert_eq!(id(&visitor), None, "{other:?} leaves a cookie");
        assert_eq!(one.get(&mut visitor, "a"), None, "{one:?} {other:?}");
        assert_eq!(records(server), 0, "{one:?} {other:?}");

        let mut visitor = visitor_of(server, one);
        other.order_to(&mut visitor, "delete");
        assert_eq!((one.get(&mut visitor, "a"), records(server)), (None, 0), "{one:?} {other:?}");
    }
}

#[test]
fn parallel_requests_through_all_interfaces_lose_nothing() {
    let (server, _backends) =
        all(Pythons::ModPython, "SessionLockTimeout 30\nSessionLockWaiters 64 100%");
    let mut visitor = visitor_of(&server, Interface::C);
    Interface::C.set(&mut visitor, "n", "0");
    parallel(Interface::ALL.len(), |at| {
        let mut visitor = visitor.clone();
        for round in 0..5 {
            match Interface::ALL[at] {
                Interface::ModSession => {
                    Interface::ModSession.set(&mut visitor, &format!("own{round}"), "1");
                }
                interface => interface.increment(&mut visitor, "n"),
            }
        }
    });
    for interface in Interface::ALL {
        assert_eq!(interface.get(&mut visitor, "n").as_deref(), Some("45"), "{interface:?}");
        for round in 0..5 {
            let own = interface.get(&mut visitor, &format!("own{round}"));
            assert_eq!(own.as_deref(), Some("1"), "{interface:?} {round}");
        }
    }
}
