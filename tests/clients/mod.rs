//! One session for handlers in every language, and the clients of `httpd-conf/clients`.

mod demo;
mod examples;
mod interfaces;
mod matrix;
mod php;
mod python;
