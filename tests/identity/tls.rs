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

/// Below `/tls` of the plain host everything comes from the host with TLS, on another loopback address.
fn with_tls(builder: Builder, certificate: &TempDir) -> Server {
    let folder = certificate.path().display();
    let conf = format!(
        "Listen 127.0.0.2:${{PORT}}\n\
         <VirtualHost 127.0.0.2:${{PORT}}>\nServerName localhost\n\
         SSLEngine on\nSSLCertificateFile \"{folder}/cert.pem\"\n\
         SSLCertificateKeyFile \"{folder}/key.pem\"\n\
         <Location \"/off\">\nSetHandler probe\nSessionIdSecure off\n</Location>\n\
         </VirtualHost>\n\
         SSLProxyEngine on\nSSLProxyCheckPeerName off\n\
         ProxyPass \"/tls/\" \"https://127.0.0.2:${{PORT}}/\"\n\
         <Location \"/tls\">\nSessionEngine off\n</Location>"
    );
    let modules = ["ssl", "socache_shmcb", "proxy", "proxy_http"];
    let builder = modules.into_iter().fold(builder, Builder::module).conf(&conf);
    let server = builder.start();
    // Of mod_ssl: a certificate that is its own authority, no cache, another patch level of OpenSSL.
    for warning in ["AH01906", "AH01873", "AH01882"] {
        server.allow_log(warning);
    }
    server
}

#[test]
fn a_cookie_is_secure_by_itself_when_the_request_came_over_tls() {
    let server = with_tls(sessions(), &certificate());
    let mut client = server.client();
    let made = client.get("/tls/probe?set:a=1").expect(200);
    assert!(id_set(&made).is_some());
    assert!(made.set_cookies()[0].contains("; Secure;"), "{:?}", made.set_cookies());
    assert_eq!(client.get("/tls/probe?get:a").text(), "get=SUCCESS 1\n");
    let off = server.get("/tls/off?set:a=1").expect(200);
    assert!(!off.set_cookies()[0].contains("Secure"), "{:?}", off.set_cookies());
    let plain = server.get("/probe?set:a=1").expect(200);
    assert!(!plain.set_cookies()[0].contains("Secure"), "{:?}", plain.set_cookies());
}
