//! httpd's own language: expressions, Require, AuthType, log formats, rewrite maps.

mod auth;
mod expressions;
mod logs;

use crate::steps::sessions;
use crate::support::Builder;

/// Sessions, pages, and the modules of this language.
fn pages() -> Builder {
    sessions()
        .module("headers")
        .module("rewrite")
        .module("authn_core")
        .module("authz_user")
        .document("page.html", "page\n")
        .document("admin.html", "admin\n")
        .document("none.html", "none\n")
}
