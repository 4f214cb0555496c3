//! `%{key}^ss` in log formats.

use super::pages;
use crate::steps::run;

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
    let log = crate::support::wait_for("four lines", std::time::Duration::from_secs(10), || {
        let log = std::fs::read_to_string(server.root().join("logs/session.log")).ok()?;
        log.contains("/none.html").then_some(log)
    });
    // Behind the line of the request by which the harness saw that the server is up.
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(lines[0], "/probe admin -");
    // What could be taken for another line is escaped.
    assert_eq!(lines[1], "/probe a \\\"quote\\\"\\nline -");
    assert_eq!(lines[2], "/page.html a \\\"quote\\\"\\nline -");
    assert_eq!(lines[3], "/none.html - -");
}
