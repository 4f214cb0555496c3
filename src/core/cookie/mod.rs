//! Cookies: reading one name out of `Cookie` headers, taking it out of them, writing `Set-Cookie` (RFC 6265).

mod hide;
mod read;
mod write;

pub use self::hide::without;
pub use self::read::values_of;
pub use self::write::SetCookie;
