//! Certificates of an authority of the test's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// An authority, and a certificate of it for 127.0.0.1 and localhost.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them by `openssl`.
    #[track_caller]
    pub fn make() -> Certificates {
        let folder = tempfile::tempdir().expect("making a folder for certificates");
        let made = Certificates { folder };
        fs::write(
            made.path("leaf.cnf"),
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n\
             extendedKeyUsage=serverAuth,clientAuth\n",
        )
        .expect("writing a configuration for openssl");
        let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        made.openssl(
            &[["req", "-x509", "-subj", "/CN=tests", "-days", "2"].as_slice(), &new_key].concat(),
            &[("-keyout", "ca.key"), ("-out", "ca.pem")],
        );
        made.openssl(
            &[["req", "-new", "-subj", "/CN=127.0.0.1"].as_slice(), &new_key].concat(),
            &[("-keyout", "key.pem"), ("-out", "leaf.csr")],
        );
        made.openssl(
            &["x509", "-req", "-days", "2", "-CAcreateserial"],
            &[
                ("-in", "leaf.csr"),
                ("-CA", "ca.pem"),
                ("-CAkey", "ca.key"),
                ("-extfile", "leaf.cnf"),
                ("-out", "cert.pem"),
            ],
        );
        made
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The certificate that it made.
    pub fn cert(&self) -> PathBuf {
        self.path("cert.pem")
    }

    /// The key of that.
    pub fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str], files: &[(&str, &str)]) {
        let mut command = Command::new("openssl");
        command.args(arguments);
        for (option, file) in files {
            command.arg(option).arg(self.path(file));
        }
        let output = command.output().expect("running openssl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    }
}
