//! What mod_python's, Myghty's, Quixote's and Spyce's sessions do for one session, row by row of their
//! comparison (F20 to F40 identity, F50 to F77 life), in the store of the run, which is files if none is named,
//! and in shared memory.

mod identity;
mod life;

use crate::steps::{COOKIE, ask, run};
use crate::support::{Client, Server, wait_for};

/// Makes of each row the tests `ROW_NAME::chosen` and `ROW_NAME::memory`, and a list of the rows.
macro_rules! rows {
    ($($row:literal $name:ident,)*) => {
        $(mod $name {
            use crate::support::{Store, on};

            #[test]
            fn chosen() {
                super::$name();
            }

            #[test]
            fn memory() {
                on(Store::Memory, super::$name);
            }
        })*

        /// The rows that are shown here.
        pub const ROWS: &[u8] = &[$($row),*];
    };
}
use rows;

#[test]
fn every_row_is_shown() {
    let shown: Vec<u8> = identity::ROWS.iter().chain(life::ROWS).copied().collect();
    assert_eq!(shown, (20..=40).chain(50..=77).collect::<Vec<u8>>());
}

/// The id of a visitor who has a session.
#[track_caller]
fn id_of(client: &Client) -> String {
    client.jar.get(COOKIE).expect("a cookie").to_owned()
}

/// A visitor who brings `id`.
fn with_id(server: &Server, id: &str) -> Client {
    let mut client = server.client();
    client.jar.set(COOKIE, id);
    client
}

/// The `Set-Cookie` lines of a list that is run at `path`.
#[track_caller]
fn cookies(client: &mut Client, path: &str) -> Vec<String> {
    let answer = client.get(path).expect(200);
    answer.set_cookies().into_iter().map(str::to_owned).collect()
}
