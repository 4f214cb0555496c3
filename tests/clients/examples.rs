//! The examples in `httpd-conf/clients`: notes, in four languages.

use super::interfaces::{id, with_clients};
use crate::support::probed::{ask, probed};
use crate::support::{Mpm, apxs};

#[test]
fn the_examples_of_each_language_count_the_same_visits() {
    let server = with_clients(probed())
        .mpm(Mpm::Prefork)
        .module("lua")
        .module("perl")
        .module("python")
        .load("php_module", apxs::php())
        .conf(
            "SessionRegenerateGrace 0\n\
             Alias \"/lua\" \"${DOCS}/clients/lua/visits.lua\"\n\
             <Location \"/lua\">\nSetHandler lua-script\n</Location>\n\
             Alias \"/php\" \"${DOCS}/clients/php/visits.php\"\n\
             <Location \"/php\">\nSetHandler application/x-httpd-php\n</Location>\n\
             PerlRequire \"${DOCS}/clients/perl/Visits.pm\"\n\
             <Location \"/perl\">\nSetHandler modperl\nPerlResponseHandler Visits\n</Location>\n\
             <Location \"/python\">\nSetHandler mod_python\nPythonHandler visits\n\
             PythonPath \"sys.path + ['${DOCS}/clients/python']\"\n</Location>",
        )
        .start();
    let places = ["/lua", "/php", "/perl", "/python"];
    let mut visitor = server.client();
    for (at, place) in places.iter().enumerate() {
        let said = visitor.get(place).expect(200).text();
        assert_eq!(said, format!("visit {} of stranger\n", at + 1), "{place}");
    }
    ask(&mut visitor, "/c?set_user:ann");
    for place in places {
        assert!(visitor.get(place).expect(200).text().ends_with(" of ann\n"), "{place}");
    }
    for place in places {
        visitor.get(place).expect(200);
        let before = id(&visitor);
        visitor.get(&format!("{place}?forget")).expect(200);
        assert_ne!(id(&visitor), before, "{place}");
        assert_eq!(
            ask(&mut visitor, "/c?get:visits;user"),
            "get=NOTFOUND\nuser=SUCCESS ann",
            "{place}"
        );
    }
}
