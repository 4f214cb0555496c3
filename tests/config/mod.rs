//! The configuration as httpd reads it: what is taken where, what holds in the end.

mod directives;
mod htaccess;
mod places;
mod whole;
