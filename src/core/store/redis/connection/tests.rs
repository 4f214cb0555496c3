//! Servers that are there and say nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::core::config::redis::Host;

const SOON: Duration = Duration::from_secs(20);
/// How long each of the servers is waited for: together, two that say nothing use the time up in which
/// somebody has to say where to go.
const PATIENCE: Duration = Duration::from_millis(150);

fn ways() -> Ways {
    Ways {
        tls: None,
        user: None,
        password: None,
        database: 0,
        connect_timeout: PATIENCE,
        timeout: PATIENCE,
    }
}

fn listen() -> (TcpListener, Host) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Host { name: Arc::from("127.0.0.1"), port })
}

/// A server that says `answer` to everything, for as long as somebody asks.
fn says(answer: impl Fn(&Host) -> String) -> Host {
    let (listener, host) = listen();
    let answer = answer(&host);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, answer) = (connection.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut asked = [0; 1024];
                // Each question is small enough to come whole.
                while connection.read(&mut asked).is_ok_and(|length| length > 0) {
                    let _ = connection.write_all(answer.as_bytes());
                }
            });
        }
    });
    host
}

/// Two machines are dead, so that nothing comes back from them; the third server of the address is well.
/// Every attempt began with the first two and had no time left for the third.
#[track_caller]
fn is_found_behind_two_dead<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> T {
    assert!(ask().is_err(), "there was time to ask the third one at once");
    let start = Instant::now();
    loop {
        match ask() {
            Ok(found) => return found,
            Err(cause) => assert!(start.elapsed() < SOON, "the third one is never asked: {cause}"),
        }
        thread::yield_now();
    }
}

#[test]
fn sentinels_that_do_not_answer_hide_no_other_one() {
    // Connections are made by the system and never taken by anybody.
    let [(_first, first), (_second, second)] = [listen(), listen()];
    let third = says(|_| "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7777\r\n".to_owned());
    let sentinels = Sentinels::new(&[first, second, third], &Arc::from("sessions"), ways(), ways());
    let master = is_found_behind_two_dead(|| sentinels.master("asking"));
    assert_eq!(master.place.to_string(), "127.0.0.1:7777");
}

#[test]
fn servers_of_a_cluster_that_do_not_answer_hide_no_other_one() {
    let [(_first, first), (_second, second)] = [listen(), listen()];
    let third = says(|host| {
        format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{}\r\n", host.port)
    });
    let cluster = Cluster::new(&[first, second, third.clone()], ways());
    let masters = is_found_behind_two_dead(|| cluster.masters("asking"));
    assert_eq!(masters[0].1.place, Place::Host(third));
}
