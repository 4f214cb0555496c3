//! Reading the secrets that sign ids, in the parent, before there are children.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::core::config::SecretSource;

/// Fewest bytes of a secret: 128 bits, if they are random.
const LEAST: usize = 16;
/// Most bytes of a secret.
const MOST: u64 = 4096;
/// Most bytes of a file that is read: the key of a certificate has room.
const GUARDED_MAX: u64 = 64 << 10;
/// Longest run of a command.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads all secrets in order. `owner` is the user and group that children run as: who serves requests
/// must not be able to read a secret's file. `absolute` makes a relative path absolute.
///
/// # Errors
/// A sentence that names the source, never the secret.
pub fn read(
    sources: &[SecretSource],
    owner: (u32, u32),
    absolute: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Vec<u8>>, String> {
    sources
        .iter()
        .map(|source| match source {
            SecretSource::Inline(text) => Ok(text.as_bytes().to_vec()),
            SecretSource::File(path) => from_file(&absolute(path)?, owner),
            SecretSource::Exec(command) => from_command(command),
        })
        .collect()
}

fn from_file(path: &str, owner: (u32, u32)) -> Result<Vec<u8>, String> {
    let named = format!("SessionSecret file:{path}");
    judged(guarded_file(path, owner, &named)?, &named)
}

/// What is in a file that `owner`, the user and group that children run as, must not be able to read:
/// root sees to that. `named` is what it is called in errors.
///
/// # Errors
/// A sentence that shows nothing of it.
pub fn guarded_file(path: &str, (uid, gid): (u32, u32), named: &str) -> Result<Vec<u8>, String> {
    let failed = |cause| format!("{named}: {cause}");
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(format!("{named} is no regular file"));
    }
    let mode = about.mode();
    let root = rustix::process::geteuid().is_root();
    let readable = mode & 0o004 != 0
        || (about.uid() == uid && uid != 0)
        || (about.gid() == gid && mode & 0o040 != 0);
    if root && readable {
        return Err(format!(
            "{named} can be read by the user that serves requests (owner {}, mode \
             {:o}): make it root's with mode 600",
            about.uid(),
            mode & 0o7777
        ));
    }
    let mut secret = Vec::new();
    file.take(GUARDED_MAX + 1).read_to_end(&mut secret).map_err(failed)?;
    if secret.len() as u64 > GUARDED_MAX {
        return Err(format!("{named} holds more than {GUARDED_MAX} bytes"));
    }
    Ok(secret)
}

/// The command is a program and its arguments, parted by blanks; its first words name it in errors.
fn from_command(command: &str) -> Result<Vec<u8>, String> {
    let mut words = command.split_ascii_whitespace();
    let program = words.next().unwrap_or_default();
    let named = format!("SessionSecret exec:{program}");
    let failed = |cause: std::io::Error| format!("{named}: {cause}");
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    // A secret fits into the pipe, so the program ends without being read.
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
            return Err(format!("{named} ran longer than {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        return Err(format!("{named} failed: {status}"));
    }
    let mut secret = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MOST + 1).read_to_end(&mut secret).map_err(failed)?;
    }
    judged(secret, &named)
}

fn judged(mut secret: Vec<u8>, named: &str) -> Result<Vec<u8>, String> {
    if secret.len() as u64 > MOST {
        return Err(format!("{named} holds more than {MOST} bytes"));
    }
    while secret.last().is_some_and(u8::is_ascii_whitespace) {
        secret.pop();
    }
    if secret.len() < LEAST {
        return Err(format!(
            "{named} holds fewer than {LEAST} bytes: \"openssl rand -hex 32\" makes one"
        ));
    }
    Ok(secret)
}

/// Whether every `file:` secret can be had, for a configuration test; commands are not run.
///
/// # Errors
/// As [`read`].
pub fn check_files(
    sources: &[SecretSource],
    owner: (u32, u32),
    absolute: impl Fn(&str) -> Result<String, String>,
) -> Result<(), String> {
    let files = sources.iter().filter(|source| matches!(source, SecretSource::File(_)));
    let files: Vec<SecretSource> = files.cloned().collect();
    if files.iter().any(|source| is_unreadable_for_this_user(source, &absolute)) {
        return Ok(());
    }
    read(&files, owner, absolute).map(drop)
}

/// A configuration test by somebody else than root cannot judge root's files.
fn is_unreadable_for_this_user(
    source: &SecretSource,
    absolute: &impl Fn(&str) -> Result<String, String>,
) -> bool {
    let SecretSource::File(path) = source else { return false };
    let Ok(path) = absolute(path) else { return false };
    !rustix::process::geteuid().is_root()
        && fs::File::open(path).is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    const NOBODY: (u32, u32) = (65534, 65534);

    fn of(source: SecretSource) -> Result<Vec<Vec<u8>>, String> {
        read(&[source], NOBODY, |path| Ok(path.to_owned()))
    }

    fn file(content: &[u8], mode: u32) -> (tempfile::NamedTempFile, SecretSource) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        let source = SecretSource::File(Arc::from(file.path().to_str().unwrap()));
        (file, source)
    }

    #[test]
    fn a_secret_comes_from_a_file_or_a_command_without_its_line_end() {
        let (_kept, source) = file(b"0123456789abcdef\n", 0o600);
        assert_eq!(of(source).unwrap(), [b"0123456789abcdef".to_vec()]);
        let echo = SecretSource::Exec(Arc::from("/bin/echo fedcba9876543210"));
        assert_eq!(of(echo).unwrap(), [b"fedcba9876543210".to_vec()]);
    }

    #[test]
    fn a_short_long_or_missing_secret_is_refused_without_being_shown() {
        for content in [b"hidden".to_vec(), vec![b'x'; 5000]] {
            let (_kept, source) = file(&content, 0o600);
            let error = of(source).unwrap_err();
            assert!(error.contains("SessionSecret file:") && !error.contains("hidden"), "{error}");
        }
        for command in ["/bin/false", "/no/such/program"] {
            assert!(of(SecretSource::Exec(Arc::from(command))).is_err());
        }
        assert!(of(SecretSource::File(Arc::from("/no/such/file"))).is_err());
    }

    #[test]
    fn a_file_that_children_can_read_is_refused_when_root_starts_the_server() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_kept, source) = file(b"0123456789abcdef", 0o644);
        assert!(of(source).unwrap_err().contains("mode 600"));
    }
}
