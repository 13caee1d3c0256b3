use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// A time, as people read it: `2026-11-22 14:05:09 UTC, 3 min ago`.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// As little as possible.
    pub(super) fn short(self) -> Short {
        Short(self)
    }
}

/// Digits and our own words only.
impl askama::filters::HtmlSafe for When {}
impl askama::filters::HtmlSafe for Short {}

/// The same in a narrow place: `3 min ago`, and exactly for those who point at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short(When);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        let ago = Ago(self.0.now.duration_since(self.0.at));
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{ago}</time>")
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, exact) = (
            self.at.strftime("%Y-%m-%d %H:%M"),
            self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        );
        let ago = Ago(self.now.duration_since(self.at));
        write!(
            f,
            "<time datetime=\"{exact}\" title=\"{exact}\">{day}</time> <span class=\"ago\">{ago}</span>"
        )
    }
}

/// How long something is over.
struct Ago(SignedDuration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = match seconds {
            ..0 => return f.write_str("to come"),
            0..60 => return f.write_str("just now"),
            60..3_600 => (seconds / 60, "min"),
            3_600..172_800 => (seconds / 3_600, "h"),
            _ => (seconds / 86_400, "days"),
        };
        write!(f, "{count} {unit} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_roughly_and_exactly() {
        let at: Timestamp = "2026-11-22T14:05:09Z".parse().unwrap();
        let text = When::new(at, at + SignedDuration::from_mins(3)).to_string();
        assert_eq!(
            text,
            "<time datetime=\"2026-11-22T14:05:09Z\" title=\"2026-11-22T14:05:09Z\">2026-11-22 14:05</time> \
             <span class=\"ago\">3 min ago</span>"
        );
        let ago = |seconds| Ago(SignedDuration::from_secs(seconds)).to_string();
        for (seconds, told) in [
            (-5, "to come"),
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), told);
        }
    }
}
