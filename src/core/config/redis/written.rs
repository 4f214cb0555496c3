//! An address written out again, for another program that is to find the same Redis.

use std::fmt::Write;

use super::{Host, Password, RedisAddress, Servers};

impl RedisAddress {
    /// The address with every option it has. `absolute` makes a relative path absolute. None if it holds
    /// a password itself, which is told to nobody.
    ///
    /// # Errors
    /// What `absolute` says.
    pub fn written(
        &self,
        absolute: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Option<String>, String> {
        let mut options = vec![
            ("prefix", self.prefix.to_string()),
            ("connect_timeout", format!("{}ms", self.connect_timeout.as_millis())),
            ("timeout", format!("{}ms", self.timeout.as_millis())),
            ("lease", format!("{}ms", self.lease.as_millis())),
        ];
        let mut file = |name: &'static str, path: Option<&str>| {
            if let Some(path) = path {
                options.push((name, absolute(path)?));
            }
            Ok::<(), String>(())
        };
        match &self.password {
            None => {}
            Some(Password::Inline(_)) => return Ok(None),
            Some(Password::File(path)) => file("password_file", Some(path))?,
        }
        file("sentinel_password_file", self.sentinel_password.as_deref())?;
        if let Some(tls) = &self.tls {
            file("ca", tls.ca.as_deref())?;
            file("cert", tls.identity.as_ref().map(|(cert, _)| &**cert))?;
            file("key", tls.identity.as_ref().map(|(_, key)| &**key))?;
        }
        if let Some(user) = &self.user {
            options.push(("user", user.to_string()));
        }
        if self.database != 0 {
            options.push(("database", self.database.to_string()));
        }
        let secure = if self.tls.is_some() { "rediss" } else { "redis" };
        let mut text = match &self.servers {
            Servers::One(host) => format!("{secure}://{host}"),
            Servers::Socket(path) => format!("{secure}+unix://{path}"),
            Servers::Sentinels(hosts, name) => {
                format!("{secure}+sentinel://{}/{}", list(hosts), encoded(name, b"-._~"))
            }
            Servers::Cluster(hosts) => format!("{secure}+cluster://{}", list(hosts)),
        };
        let mut mark = '?';
        for (name, value) in options {
            // Writing to a text does not fail.
            let _ = write!(text, "{mark}{name}={}", encoded(&value, b"-._~/:"));
            mark = '&';
        }
        Ok(Some(text))
    }
}

fn list(hosts: &[Host]) -> String {
    hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
}

/// With `%XX` for every byte but letters, digits and those of `plain`.
fn encoded(text: &str, plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_means_the_same() {
        for text in [
            "redis://127.0.0.1",
            "redis://[::1]:7000/3?prefix=a:b:&timeout=20ms",
            "rediss://bob@example.org?ca=/etc/ca.pem&cert=/c&key=/k&lease=90s",
            "redis+unix:///run/redis.sock?database=2&password_file=/etc/a%26b%20c",
            "redis+sentinel://a:1,b/the%2Fmaster/4?sentinel_password_file=/s&password_file=/p",
            "rediss+cluster://a,b:2,c?user=ann%40x",
        ] {
            let address = RedisAddress::parse(text).unwrap();
            let written = address.written(|path| Ok(path.to_owned())).unwrap().unwrap();
            assert_eq!(RedisAddress::parse(&written), Ok(address), "{text}: {written}");
        }
    }

    #[test]
    fn a_password_is_not_written_and_paths_are_made_absolute() {
        let with = RedisAddress::parse("redis://:secret@host").unwrap();
        assert_eq!(with.written(|path| Ok(path.to_owned())), Ok(None));
        let relative = RedisAddress::parse("redis://host?password_file=conf/p").unwrap();
        let written = relative.written(|path| Ok(format!("/server/{path}"))).unwrap().unwrap();
        assert!(written.contains("password_file=/server/conf/p"), "{written}");
    }
}
