//! Secure cookies over TLS. The visitor of the harness speaks none: a second server does it for it.

use std::process::Command;

use tempfile::TempDir;

use super::id_set;
use crate::steps::sessions;
use crate::support::{Builder, Server};

/// A key and its own certificate for `localhost`.
fn certificate() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-batch"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .expect("running openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

fn with_tls(builder: Builder, certificate: &TempDir) -> Server {
    let folder = certificate.path().display();
    let conf = format!(
        "SSLSessionCache none\nSSLEngine on\nSSLCertificateFile \"{folder}/cert.pem\"\n\
         SSLCertificateKeyFile \"{folder}/key.pem\"\n\
         <Location \"/off\">\nSetHandler probe\nSessionIdSecure off\n</Location>"
    );
    builder.module("ssl").module("socache_shmcb").conf(&conf).start()
}

fn front(port: u16) -> Server {
    let conf = format!(
        "SSLProxyEngine on\nSSLProxyVerify none\nSSLProxyCheckPeerName off\nSSLSessionCache none\n\
         ProxyPass \"/\" \"https://127.0.0.1:{port}/\""
    );
    let builder = Server::builder().without_session_store().module("ssl").module("socache_shmcb");
    builder.module("proxy").module("proxy_http").conf(&conf).start()
}

#[test]
fn a_cookie_is_secure_by_itself_when_the_request_came_over_tls() {
    let certificate = certificate();
    let server = with_tls(sessions(), &certificate);
    let front = front(server.port());
    let mut client = front.client();
    let made = client.get("/probe?set:a=1").expect(200);
    assert!(id_set(&made).is_some());
    assert!(made.set_cookies()[0].contains("; Secure;"), "{:?}", made.set_cookies());
    assert_eq!(client.get("/probe?get:a").text(), "get=SUCCESS 1\n");
    let off = front.get("/off?set:a=1").expect(200);
    assert!(!off.set_cookies()[0].contains("Secure"), "{:?}", off.set_cookies());
}
