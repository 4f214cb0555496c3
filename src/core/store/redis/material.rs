//! The files that an address names, read by the parent before there are children: who serves requests
//! must not be able to read a password.

use std::fs::File;
use std::io::{self, Read};

use super::Material;
use crate::core::config::RedisAddress;
use crate::core::config::redis::Password;
use crate::core::session::secrets::guarded_file;

/// Most bytes of certificates.
const PEM_MAX: u64 = 1 << 20;

impl Material {
    /// Reads what `address` names. `owner` is the user and group that children run as; `absolute` makes a
    /// relative path absolute.
    ///
    /// # Errors
    /// A sentence that names the file, never what is in it.
    pub fn read(
        address: &RedisAddress,
        owner: (u32, u32),
        absolute: &impl Fn(&str) -> Result<String, String>,
    ) -> Result<Material, String> {
        let word = |path: &str, option: &str| {
            let path = absolute(path)?;
            let named = format!("{option}={path} of SessionStore");
            first_line(guarded_file(&path, owner, &named)?, &named)
        };
        let password = match &address.password {
            None => None,
            Some(Password::Inline(word)) => Some(word.to_string()),
            Some(Password::File(path)) => Some(word(path, "password_file")?),
        };
        let sentinel_password = address.sentinel_password.as_deref();
        let sentinel_password =
            sentinel_password.map(|path| word(path, "sentinel_password_file")).transpose()?;
        let mut material = Material { password, sentinel_password, ..Material::default() };
        let Some(tls) = &address.tls else { return Ok(material) };
        if let Some(path) = &tls.ca {
            material.ca = Some(pem(&absolute(path)?, "ca")?);
        }
        if let Some((cert, key)) = &tls.identity {
            let key = absolute(key)?;
            let named = format!("key={key} of SessionStore");
            let key = guarded_file(&key, owner, &named)?;
            material.identity = Some((pem(&absolute(cert)?, "cert")?, key));
        }
        Ok(material)
    }

    /// Whether all of it can be had, for a configuration test. Somebody else than root cannot judge root's
    /// files.
    ///
    /// # Errors
    /// As [`Material::read`].
    pub fn check(
        address: &RedisAddress,
        owner: (u32, u32),
        absolute: &impl Fn(&str) -> Result<String, String>,
    ) -> Result<(), String> {
        let tls = address.tls.as_ref();
        let identity = tls.and_then(|tls| tls.identity.as_ref());
        let password = match &address.password {
            Some(Password::File(path)) => Some(path),
            _ => None,
        };
        let files = [
            password,
            address.sentinel_password.as_ref(),
            tls.and_then(|tls| tls.ca.as_ref()),
            identity.map(|(cert, _)| cert),
            identity.map(|(_, key)| key),
        ];
        let hidden = |path: &str| {
            let denied = |e: io::Error| e.kind() == io::ErrorKind::PermissionDenied;
            absolute(path).is_ok_and(|path| File::open(path).is_err_and(denied))
        };
        let not_root = !rustix::process::geteuid().is_root();
        if not_root && files.into_iter().flatten().any(|path| hidden(path)) {
            return Ok(());
        }
        Material::read(address, owner, absolute).map(drop)
    }
}

fn first_line(content: Vec<u8>, named: &str) -> Result<String, String> {
    let text = String::from_utf8(content).map_err(|_| format!("{named} is not UTF-8"))?;
    match text.lines().next().map(str::trim_end) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("{named} holds no password in its first line")),
    }
}

/// Certificates in PEM; nobody has to hide them.
fn pem(path: &str, option: &str) -> Result<Vec<u8>, String> {
    let named = format!("{option}={path} of SessionStore");
    let failed = |cause: io::Error| format!("{named}: {cause}");
    let mut content = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(PEM_MAX + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    let marked = content.windows(10).any(|window| window == b"-----BEGIN");
    if content.len() as u64 > PEM_MAX || !marked {
        return Err(format!("{named} holds no certificates in PEM"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const NOBODY: (u32, u32) = (65534, 65534);

    fn read(address: &str) -> Result<Material, String> {
        Material::read(&RedisAddress::parse(address).unwrap(), NOBODY, &|path| Ok(path.to_owned()))
    }

    fn file(folder: &TempDir, content: &str, mode: u32) -> String {
        let path = folder.path().join(format!("file{mode:o}"));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, "hidden word \nsecond line\n", 0o600);
        let material = read(&format!("redis://h?password_file={path}")).unwrap();
        assert_eq!(material.password.as_deref(), Some("hidden word"));
        assert!(!format!("{material:?}").contains("hidden"));
        assert_eq!(read("redis://:inline@h").unwrap().password.as_deref(), Some("inline"));
    }

    #[test]
    fn an_empty_and_a_missing_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, "\n", 0o600);
        let problem = read(&format!("redis://h?password_file={path}")).unwrap_err();
        assert!(problem.contains(&path), "{problem}");
        let problem = read("rediss://h?ca=/nonexistent/ca.pem").unwrap_err();
        assert!(problem.contains("/nonexistent/ca.pem"), "{problem}");
        let problem = read(&format!("rediss://h?ca={path}")).unwrap_err();
        assert!(problem.contains("PEM"), "{problem}");
    }

    #[test]
    fn a_password_that_everybody_can_read_is_refused_to_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, "hidden", 0o644);
        let problem = read(&format!("redis://h?password_file={path}")).unwrap_err();
        assert!(problem.contains("mode 600") && !problem.contains("hidden"), "{problem}");
    }
}
