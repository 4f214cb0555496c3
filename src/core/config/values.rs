//! Argument texts: numbers, times, sizes, choices, paths.
//!
//! An error says what is wrong with the text and which bound it breaks, as "is longer than 1h"; it goes
//! behind what the directive takes. It never repeats the text.

use std::sync::Arc;
use std::time::Duration;

/// Longest path, in bytes: leaves room for the names of records below it.
pub const PATH_MAX: usize = 1024;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A whole number from `least` to `most`.
pub fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = digits(text).ok_or("is no number")?;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    within(number, least, most, |n| n.to_string())
}

/// A time: digits and `s`, `m`, `h`, `d` or nothing for seconds.
pub fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let (count, unit) = split_unit(text).ok_or("is no time")?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err("has a unit other than s, m, h and d".to_owned()),
    };
    let time = Duration::from_secs(count.saturating_mul(seconds));
    within(time, least, most, show_duration)
}

/// A size: digits and `K`, `M`, `G` in either case, or nothing for bytes.
pub fn size(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let (count, unit) = split_unit(text).ok_or("is no size")?;
    let bytes = match unit {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return Err("has a unit other than K, M and G".to_owned()),
    };
    within(count.saturating_mul(bytes), least, most, show_size)
}

/// `on` or `off`.
pub fn on_off(text: &str) -> Result<bool, String> {
    choice(text, &[("on", true), ("off", false)])
}

/// One of some words, in any case.
pub fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| "is none of them".to_owned())
}

/// The path of a file or directory; a relative one is meant below ServerRoot.
pub fn path(text: &str) -> Result<Arc<str>, String> {
    plain(text, PATH_MAX)
}

/// A text of 1 to `most` bytes without control characters.
pub fn plain(text: &str, most: usize) -> Result<Arc<str>, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > most {
        return Err(format!("is longer than {most} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character in it".to_owned());
    }
    Ok(Arc::from(text))
}

/// A time as it is written in a configuration, in its largest whole unit.
pub fn show_duration(time: Duration) -> String {
    show(time.as_secs(), &[(DAY, "d"), (HOUR, "h"), (MINUTE, "m")], "s")
}

fn show_size(bytes: u64) -> String {
    show(bytes, &[(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")], " bytes")
}

/// `units` are the larger ones, largest first; `one` is the name of the smallest.
fn show(count: u64, units: &[(u64, &str)], one: &str) -> String {
    let whole = units.iter().find(|(unit, _)| count > 0 && count.is_multiple_of(*unit));
    let (unit, name) = whole.copied().unwrap_or((1, one));
    format!("{}{name}", count / unit)
}

fn within<T: PartialOrd>(
    value: T,
    least: T,
    most: T,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if value < least {
        return Err(format!("is less than {}", show(least)));
    }
    if value > most {
        return Err(format!("is more than {}", show(most)));
    }
    Ok(value)
}

/// The digits in front and what follows them.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(end);
    Some((digits(count)?, unit))
}

/// A number too large for 64 bits becomes the largest one, which every bound refuses.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let add = |n: u64, digit: u8| n.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(text.bytes().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(400 * DAY);

    fn time(text: &str) -> Result<u64, String> {
        duration(text, NONE, LONG).map(|time| time.as_secs())
    }

    #[test]
    fn times_have_four_units_and_seconds_without_one() {
        let good =
            [("0", 0), ("30", 30), ("30s", 30), ("15m", 900), ("12h", 43_200), ("7d", 604_800)];
        for (text, seconds) in good {
            assert_eq!(time(text), Ok(seconds), "{text}");
        }
        for bad in ["", "s", "m5", "-1", "+5", "1.5h", "5 m", "5M", "5ms", "5min", "٣s", "5w"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_past_its_bounds_is_refused_with_the_bound() {
        let least = Duration::from_secs(1);
        assert_eq!(duration("0", least, LONG), Err("is less than 1s".to_owned()));
        assert_eq!(time("401d"), Err("is more than 400d".to_owned()));
        for huge in ["99999999999999999999999999", "213503982334602d", "18446744073709551615h"] {
            assert_eq!(time(huge), Err("is more than 400d".to_owned()), "{huge}");
        }
    }

    #[test]
    fn sizes_have_three_units_and_bytes_without_one() {
        let good =
            [("17", 17), ("64K", 65_536), ("64k", 65_536), ("16M", 1 << 24), ("1G", 1 << 30)];
        for (text, bytes) in good {
            assert_eq!(size(text, 1, 1 << 30), Ok(bytes), "{text}");
        }
        for bad in ["", "K", "-1", "1KB", "1 K", "1T", "0x10"] {
            assert!(size(bad, 0, u64::MAX - 1).is_err(), "{bad}");
        }
        assert_eq!(size("0", 1, 9), Err("is less than 1 bytes".to_owned()));
        assert_eq!(size("17179869185G", 1, 1 << 20), Err("is more than 1M".to_owned()));
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(number("65536", 1, 65_536), Ok(65_536));
        for bad in ["", "0", "65537", "+1", "-1", "1e3", "4294967297"] {
            assert!(number(bad, 1, 65_536).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!((on_off("On"), on_off("OFF")), (Ok(true), Ok(false)));
        assert_eq!(on_off("yes"), Err("is none of them".to_owned()));
    }

    #[test]
    fn a_path_is_bounded_and_printable() {
        assert!(path("/var/lib/sessions").is_ok());
        assert!(path(&"p".repeat(PATH_MAX)).is_ok());
        for bad in ["", "a\nb", "nul\0", &"p".repeat(PATH_MAX + 1)] {
            assert!(path(bad).is_err());
        }
    }

    #[test]
    fn times_are_shown_in_their_largest_whole_unit() {
        for text in ["0s", "90s", "15m", "25h", "400d"] {
            assert_eq!(show_duration(duration(text, NONE, LONG).unwrap()), text);
        }
    }
}
