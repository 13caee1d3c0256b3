//! Until when a certificate is valid, and when people are told of its end.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Days before the end of a certificate, each of which is told; so is the end.
const TOLD_BEFORE: [i64; 4] = [14, 7, 1, 0];

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the end of a certificate's validity (RFC 5280, 4.1); `None` if this is no certificate in DER.
///
/// rustls has read and judged all of it before; here only the way to one date is walked.
pub fn valid_until(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Whether it is time to tell that a certificate ends: at most once for each of [`TOLD_BEFORE`]. `told`: the end that was
/// told last, and when; another end is another certificate.
pub fn is_end_due(until: Timestamp, told: Option<(Timestamp, Timestamp)>, now: Timestamp) -> bool {
    let passed = |at: Timestamp| {
        let is_passed = |days: &&i64| until.duration_since(at) <= SignedDuration::from_hours(24 * **days);
        TOLD_BEFORE.iter().filter(is_passed).count()
    };
    match told {
        Some((of, at)) if of == until => passed(at) < passed(now),
        _ => passed(now) > 0,
    }
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The length itself takes so many bytes.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
                rest,
            )
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // Two digits of the year; below 50 it is of this century.
        UTC_TIME => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    // Some never end: 99991231235959Z is past what a timestamp holds.
    Some(TimeZone::UTC.to_timestamp(time).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(not_after: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(["lyon.acme.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(not_after.0, not_after.1, not_after.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn end_is_read_in_both_ways_to_write_it() {
        for (made_until, text) in [
            ((2027, 1, 15), "2027-01-15T00:00:00Z"),
            ((2061, 12, 31), "2061-12-31T00:00:00Z"),
        ] {
            assert_eq!(valid_until(&made(made_until)), Some(text.parse().unwrap()));
        }
        assert_eq!(
            time(UTC_TIME, "991231235959Z"),
            Some("1999-12-31T23:59:59Z".parse().unwrap())
        );
        assert_eq!(time(GENERALIZED_TIME, "99991231235959Z"), Some(Timestamp::MAX));
    }

    #[test]
    fn end_is_told_two_weeks_one_week_and_a_day_before_and_when_it_comes() {
        let day = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        let until = day(30);
        let mut told = None;
        let mut days = Vec::new();
        for hour in 0..40 * 24 {
            let now = day(0) + SignedDuration::from_hours(hour);
            if is_end_due(until, told, now) {
                told = Some((until, now));
                days.push(hour / 24);
            }
        }
        assert_eq!(days, [16, 23, 29, 30]);
        assert!(!is_end_due(day(120), told, day(31)), "renewed");
        assert!(is_end_due(day(120), told, day(106)), "and ends in its turn");
        assert!(is_end_due(until, None, day(28)), "late is better than never, and once");
        assert!(!is_end_due(until, Some((until, day(28))), day(28)));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = made((2027, 1, 15));
        for cut in 0..whole.len() {
            assert_eq!(valid_until(&whole[..cut]), None);
        }
        assert_eq!(valid_until(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
