//! Cookies: reading one name out of `Cookie` headers, writing `Set-Cookie` (RFC 6265).

mod read;
mod write;

pub use self::read::values_of;
pub use self::write::SetCookie;
