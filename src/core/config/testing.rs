//! Settings for tests, written as in a configuration.

use super::{DIRECTIVES, Directive, Origin, Place, Server, Target};

/// The place that these lines make, as `SessionTimeout 5m`.
pub fn place(lines: &[&str]) -> Place {
    let mut place = Place::default();
    for line in lines {
        let (row, words) = split(line);
        row.apply(Target::Place(&mut place), &words, Origin { htaccess: false }).expect(line);
    }
    place
}

/// The server settings that these lines make.
pub fn server(lines: &[&str]) -> Server {
    let mut server = Server::default();
    for line in lines {
        let (row, words) = split(line);
        row.apply(Target::Server(&mut server), &words, Origin { htaccess: false }).expect(line);
    }
    server
}

fn split(line: &str) -> (&'static Directive, Vec<&str>) {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let row = DIRECTIVES.iter().find(|row| row.name == name).expect(line);
    (row, words.collect())
}
