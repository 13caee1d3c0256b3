//! The languages that e-mails are written in.
//!
//! A sentence stands in the code in all of them, one beneath the other ([`Language::say`]): who changes one sees the
//! others, and one that is missing does not compile.

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::domain::Section;

/// `language`: what e-mails are written in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Language {
    #[default]
    English,
    French,
}

impl Language {
    /// All, for loops.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// The one of these that is in this language.
    pub(super) fn say<T>(self, english: T, french: T) -> T {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }

    /// A number with its noun: `1 delivery`, `2 deliveries`. French counts nothing in the singular, too.
    pub(super) fn count(self, number: u64, english: [&str; 2], french: [&str; 2]) -> String {
        let noun = match self {
            Self::English => english[usize::from(number != 1)],
            Self::French => french[usize::from(number > 1)],
        };
        format!("{number} {noun}")
    }

    /// How long, in the two largest units.
    pub fn lasting(self, from: Timestamp, to: Timestamp) -> String {
        let seconds = to.duration_since(from).max(SignedDuration::ZERO).as_secs();
        let day = self.say("d", "j");
        match seconds {
            0..60 => format!("{seconds} s"),
            60..3_600 => format!("{} min", seconds / 60),
            3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
            _ => format!("{} {day} {} h", seconds / 86_400, seconds % 86_400 / 3_600),
        }
    }
}

/// A time, always UTC.
pub(super) fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How an e-mail speaks: its language, and where it sends people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Voice {
    pub(super) language: Language,
    /// How commands begin, so that they run as printed: `ipn-router`, or with `--config FILE`.
    pub(super) program: String,
    /// The status page, if people can reach it.
    pub(super) page: Option<Url>,
}

impl Voice {
    /// A command of ours, to be copied.
    pub(super) fn command(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.program)
    }

    /// The page of an incident.
    pub(super) fn incident_page(&self, number: i64) -> Option<String> {
        self.below_page(&format!("incidents/{number}"))
    }

    /// A section of the runbook, on the page.
    pub(super) fn runbook_page(&self, section: Section) -> Option<String> {
        self.below_page(&format!("runbook#{section}"))
    }

    fn below_page(&self, path: &str) -> Option<String> {
        let page = self.page.as_ref()?.as_str();
        Some(format!("{}/{path}", page.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_say_them() {
        let from = Timestamp::UNIX_EPOCH;
        for (seconds, words) in [
            (-5, "0 s"),
            (59, "59 s"),
            (3_599, "59 min"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            let to = from + SignedDuration::from_secs(seconds);
            assert_eq!(Language::English.lasting(from, to), words);
        }
        assert_eq!(
            Language::French.lasting(from, from + SignedDuration::from_hours(25)),
            "1 j 1 h"
        );
    }

    #[test]
    fn nothing_is_singular_in_french_only() {
        let counted = |language: Language, number| language.count(number, ["try", "tries"], ["essai", "essais"]);
        assert_eq!(
            [0, 1, 2].map(|n| counted(Language::English, n)),
            ["0 tries", "1 try", "2 tries"]
        );
        assert_eq!(
            [0, 1, 2].map(|n| counted(Language::French, n)),
            ["0 essai", "1 essai", "2 essais"]
        );
    }

    #[test]
    fn pages_are_below_the_public_url() {
        for base in ["https://ipn.acme.example/admin", "https://ipn.acme.example/admin/"] {
            let voice = Voice {
                language: Language::English,
                program: "ipn-router".into(),
                page: Some(base.parse().unwrap()),
            };
            assert_eq!(
                voice.incident_page(7).as_deref(),
                Some("https://ipn.acme.example/admin/incidents/7")
            );
            assert_eq!(
                voice.runbook_page(Section::AShopFails).as_deref(),
                Some("https://ipn.acme.example/admin/runbook#a-shop-fails")
            );
        }
    }
}
