//! Who a visitor is: ids, where they come from, how they travel, for whom they are good.

mod cookies;
mod ids;
mod scope;
mod secrets;
mod tls;

use crate::support::Response;

/// The value of the only `Set-Cookie` of an answer, up to its attributes; none if it has none.
#[track_caller]
fn id_set(response: &Response) -> Option<String> {
    let lines = response.set_cookies();
    assert!(lines.len() < 2, "{lines:?}");
    let pair = lines.first()?.split(';').next()?;
    Some(pair.split_once('=')?.1.to_owned())
}

/// Whether a text is an id without a signature.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == 43 && text.bytes().all(plain)
}
