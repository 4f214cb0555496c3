//! What the README tells a new user to write, written and visited.

use std::fs;
use std::path::Path;

use crate::support::{Client, Mpm, Server, apxs};

/// The indented block of the README that begins with `start`.
fn example(start: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).expect("the README");
    let from = text.find(&format!("    {start}")).expect("the example");
    let lines = text[from..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn counts_visits(client: &mut Client, path: &str) {
    for visit in 1..=3 {
        assert_eq!(client.get(path).expect(200).text().trim(), format!("visit {visit}"), "{path}");
    }
}

#[test]
fn the_examples_in_lua_and_php_count_visits() {
    let conf = "<Files \"*.php\">\nSetHandler application/x-httpd-php\n</Files>\n\
                <Files \"*.lua\">\nSetHandler lua-script\n</Files>";
    let server = Server::builder()
        .mpm(Mpm::Prefork)
        .module("lua")
        .load("php_module", apxs::php())
        .sessions()
        .conf(conf)
        .document("visits.php", example("<?php"))
        .document("visits.lua", example("function handle(r)"))
        .start();
    counts_visits(&mut server.client(), "/visits.php");
    counts_visits(&mut server.client(), "/visits.lua");
    // One visitor, two languages, one session.
    let mut both = server.client();
    assert_eq!(both.get("/visits.php").expect(200).text().trim(), "visit 1");
    assert_eq!(both.get("/visits.lua").expect(200).text().trim(), "visit 2");
}

#[test]
fn the_example_in_c_counts_visits() {
    let body = example("#include \"mod_session_store.h\"");
    let (top, handler) = body.split_once("apr_int64_t n;").expect("the handler's part");
    let source = format!(
        "#include \"httpd.h\"\n#include \"http_config.h\"\n#include \"http_protocol.h\"\n{top}\n\
         static int visits(request_rec *r)\n{{\n    apr_int64_t n;\n{handler}\n    return OK;\n}}\n\
         static void find(void)\n{{\n    session_add = APR_RETRIEVE_OPTIONAL_FN(session_store_add);\n}}\n\
         static void hooks(apr_pool_t *p)\n{{\n    (void)p;\n    \
         ap_hook_handler(visits, NULL, NULL, APR_HOOK_MIDDLE);\n    \
         ap_hook_optional_fn_retrieve(find, NULL, NULL, APR_HOOK_MIDDLE);\n}}\n\
         AP_DECLARE_MODULE(visits) = {{ STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks }};\n"
    );
    let module = apxs::source("visits", &source);
    let server = Server::builder()
        .load("visits_module", module)
        .sessions()
        .conf("<Location \"/visits\">\nSetHandler visits\n</Location>")
        .start();
    counts_visits(&mut server.client(), "/visits");
}
