//! httpd is asked for its store: by its own reading of its own configuration.

use std::fs;

use super::{Tool, code, delete, id, on, reached, tool};
use crate::steps::{probed, sessions, visitor};
use crate::support::{Reach, Server, Store, apxs, is_root};

/// The program, which is to ask for the store of a server.
fn ask(server: &Server, arguments: &[&str]) -> Tool {
    let conf = server.root().join("conf/httpd.conf").display().to_string();
    let httpd = apxs::httpd().display().to_string();
    tool(["-f", &conf, "--httpd", &httpd].iter().chain(arguments))
}

#[test]
fn the_store_is_the_one_that_httpd_would_use() {
    let conf = "SessionStore file\n<IfDefine Other>\nDefine WHERE other\n</IfDefine>\n\
                <IfDefine !Other>\nDefine WHERE sessions\n</IfDefine>\n\
                SessionDataDir ${WHERE}\nSessionEngine on";
    let server = probed().conf(conf).start();
    visitor(&server);
    let listed = ask(&server, &["list", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["scope"], "localhost", "the name is known");
    ask(&server, &["-D", "Other", "list"]).fail(code::STORE, &["/other"]);
}

#[test]
fn an_id_needs_no_scope_where_httpd_knows_them() {
    let _reached = reached();
    let conf = "<Location \"/shop\">\nSetHandler probe\nSessionScope shop\n</Location>";
    let server = sessions().conf(conf).start();
    let mut client = server.client();
    client.get("/shop?set:n=1").expect(200);
    let shown = ask(&server, &["show", "-", "--json"]).input(&id(&client)).json();
    assert_eq!(shown["scope"], "shop");
    delete(&server, ask(&server, &["delete", "-"]).input(&id(&client)));
    let gone = u8::from(Store::current().lets_delete_beside_a_server());
    let seen = client.get("/shop?is_new").expect(200).text();
    assert_eq!(seen, format!("is_new=SUCCESS {gone}\n"));
}

/// The program looks into every store but those that live inside httpd, or that a server has for itself, and
/// says so of them.
#[test]
fn the_store_of_the_run_is_looked_into_or_refused_with_the_reason() {
    let server = sessions().start();
    visitor(&server);
    for asked in [ask(&server, &["list", "--json"]), on(&server, &["list", "--json"])] {
        match Store::current().reach() {
            Reach::Always => assert_eq!(asked.json().as_array().map(Vec::len), Some(1)),
            Reach::Alone => {
                drop(asked.fail(code::IN_USE, &[&format!("the server {}", server.pid())]))
            }
            Reach::Never => drop(asked.fail(code::STORE, &["can be opened by httpd"])),
        }
    }
}

#[test]
fn the_owner_is_the_user_of_the_configuration() {
    let mut server = probed().conf("SessionDataDir fresh\nSessionEngine on").start();
    server.stop();
    let path = server.root().join("fresh");
    fs::remove_dir_all(&path).expect("removing what the server made");
    ask(&server, &["init"]).succeed();
    server.restart();
    visitor(&server);
    assert_eq!(ask(&server, &["stats", "--json"]).json()["live"], 1);
}

/// httpd tells every setting, a command line one or two: they are compared by what they lead to. With
/// --replace each session would be deleted and made anew where it is.
#[test]
fn a_store_is_not_copied_onto_itself_by_another_of_its_names() {
    let _files = Store::File.only("its directory gets other names");
    let server = sessions().start();
    visitor(&server);
    server.stop();
    let (root, data) = (server.root(), server.data_dir());
    let name = data.strip_prefix(&root).expect("it is below the root").display();
    std::os::unix::fs::symlink(&root, root.join("run/again")).expect("a link");
    let root = root.display();
    let same = format!("file:{}", data.display());
    for to in
        [&same, &format!("file:{root}/conf/../{name}"), &format!("file:{root}/run/again/{name}")]
    {
        let said = ["and this is one"];
        ask(&server, &["copy", to, "--replace"]).fail(code::USAGE, &said);
        tool(["copy", &same, to, "--replace"]).fail(code::USAGE, &said);
        ask(&server, &["copy", to]).fail(code::USAGE, &said);
    }
}

#[test]
fn what_httpd_finds_wrong_is_told_in_its_words() {
    let mut server = sessions().start();
    server.stop();
    server.reconfigure(|builder| builder.conf("SessionTimeout never"));
    let refused = server.root().join("conf/httpd.conf");
    let text = fs::read_to_string(&refused).expect("the configuration");
    fs::write(&refused, text + "\nSessionTimeout never\n").expect("writing the configuration");
    ask(&server, &["list"])
        .fail(code::STORE, &["finds its configuration wrong", "SessionTimeout takes"]);
}

#[test]
fn a_configuration_without_a_store_or_without_the_module_is_told() {
    let server = probed().conf("SessionEngine off").start();
    ask(&server, &["list"]).fail(code::STORE, &["tells of no store", "SessionDataDir"]);
    let server = Server::builder().without_session_store().start();
    ask(&server, &["list"]).fail(code::STORE, &["is the module loaded?"]);
}

#[test]
fn a_missing_httpd_or_configuration_is_told() {
    tool(["--httpd", "/no/such/httpd", "list"]).fail(code::STORE, &["asking /no/such/httpd"]);
    let httpd = apxs::httpd().display().to_string();
    tool(["--httpd", &httpd, "-f", "/no/such.conf", "list"]).fail(code::STORE, &["/no/such.conf"]);
}

#[test]
fn debians_httpd_gets_its_environment_from_its_file_unless_it_is_there() {
    let _files = Store::File.only("its directory is a variable");
    let server = sessions().start();
    visitor(&server);
    let conf = server.root().join("conf/httpd.conf");
    let text = fs::read_to_string(&conf).expect("the configuration");
    let text = text.replace("Define DATA \"", "Define DATA \"${APACHE_SESSIONS}").replace(
        &format!("${{APACHE_SESSIONS}}{}/sessions", server.root().display()),
        "${APACHE_SESSIONS}",
    );
    fs::write(&conf, text).expect("writing the configuration");
    let envvars = server.root().join("conf/envvars");
    let assignment = format!("export APACHE_SESSIONS='{}'\n", server.data_dir().display());
    fs::write(&envvars, assignment).expect("writing the variables");
    let debian = server.root().join("apache2");
    std::os::unix::fs::symlink(apxs::httpd(), &debian).expect("a name");

    let conf = conf.display().to_string();
    let debian = debian.display().to_string();
    let arguments = ["-f", &conf, "--httpd", &debian, "list", "--json"];
    let listed = tool(arguments).env("APACHE_ENVVARS", &envvars).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let by_hand = tool(arguments).env("APACHE_RUN_USER", "www-data");
    let listed = by_hand.env("APACHE_SESSIONS", server.data_dir()).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

#[test]
fn the_dump_tells_no_secret_and_starts_nothing() {
    let _files = Store::File.only("its directory is not made");
    let secret = "an-inline-secret-of-some-length";
    let mut server = sessions().conf(&format!("SessionSecret {secret}")).start();
    server.allow_log("SessionSecret has a secret in the configuration itself");
    server.stop();
    server.reconfigure(|builder| builder);
    fs::remove_dir_all(server.data_dir()).expect("removing the data");
    let root = server.root();
    let output = std::process::Command::new(apxs::httpd())
        .args(["-t", "-D", "DUMP_SESSION_STORE", "-f"])
        .arg(root.join("conf/httpd.conf"))
        .output()
        .expect("asking httpd");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains(&format!("session-store: set SessionStore file:{}/sessions", root.display())),
        "{said}"
    );
    assert!(said.ends_with("session-store: end\n"), "{said}");
    assert!(said.contains("session-store: scope localhost\n"), "{said}");
    let workers = said.lines().find_map(|line| line.strip_prefix("session-store: workers "));
    assert!(workers.is_some_and(|count| count.parse::<u32>().is_ok_and(|n| n >= 64)), "{said}");
    assert!(!said.contains(secret));
    assert!(!server.data_dir().exists(), "a dump makes nothing");
    if is_root() {
        let (user, group) = crate::support::ids_of(crate::support::SERVER_USER);
        assert!(said.contains(&format!("session-store: owner {user} {group}\n")), "{said}");
    }
}
