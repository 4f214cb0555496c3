//! `%{key}^ss` in log formats.

use std::fs;
use std::time::Duration;

use super::pages;
use crate::steps::run;
use crate::support::wait_for;

#[test]
fn a_log_shows_a_value_as_the_request_saw_it_last() {
    let server = pages()
        .conf(
            "LogFormat \"%U %{role}^ss %{no}^ss\" session\nCustomLog logs/session.log session\n\
             <Location \"/page.html\">\nRequire session\n</Location>",
        )
        .start();
    let mut client = server.client();
    run(&mut client, "set:role=admin");
    run(&mut client, "set:role=a%20%22quote%22%0aline");
    client.get("/page.html").expect(200);
    client.get("/none.html").expect(200);
    // A request is logged once its answer has left, so in any order.
    let wanted = [
        "/none.html - -",
        "/page.html a \\\"quote\\\"\\nline -",
        "/probe a \\\"quote\\\"\\nline -",
        "/probe admin -",
    ];
    wait_for("the lines", Duration::from_secs(10), || {
        let log = fs::read_to_string(server.root().join("logs/session.log")).ok()?;
        // Not that of the request by which the harness saw that the server is up.
        let mut lines: Vec<&str> = log.lines().filter(|line| line.starts_with('/')).collect();
        lines.sort_unstable();
        (lines == wanted).then_some(())
    });
}
