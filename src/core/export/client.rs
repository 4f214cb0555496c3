//! What a client sends that only this server may say.

use super::names::is_ours;

/// A `Connection` header without the names of ours: a proxy drops the headers that it names, and with
/// them what we say. None if there is none in it; empty if nothing is left.
pub fn connection_without_ours(header: &[u8]) -> Option<Vec<u8>> {
    let tokens = || header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if !tokens().any(is_ours) {
        return None;
    }
    let others: Vec<&[u8]> =
        tokens().filter(|token| !is_ours(token) && !token.is_empty()).collect();
    Some(others.join(&b", "[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(header: &str) -> Option<String> {
        let left = connection_without_ours(header.as_bytes())?;
        Some(String::from_utf8(left).unwrap())
    }

    #[test]
    fn names_of_ours_go_and_others_stay() {
        assert_eq!(without("keep-alive"), None);
        assert_eq!(without("X-Session-Token, close"), None);
        assert_eq!(without("x_session.user").as_deref(), Some(""));
        assert_eq!(
            without("Upgrade,X-Session-User , ,X-Session-Value-Cart, keep-alive").as_deref(),
            Some("Upgrade, keep-alive")
        );
    }
}
