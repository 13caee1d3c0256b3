//! The runbook: what to do at night. It is part of the program, so that every e-mail can name a section that is there.

use std::fmt;
use std::str::FromStr;

use super::{Cause, Symptom, Trouble};

/// All of it, in Markdown.
pub const RUNBOOK: &str = include_str!("../../deploy/RUNBOOK.md");

/// What a section of it begins with.
const HEADING: &str = "\n## ";

/// A section of the runbook.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Section {
    AShopAnswersKo,
    AShopFails,
    BackupAndRestore,
    Certificate,
    DeliveriesGivenUp,
    DiskNearlyFull,
    DnsDoesNotAnswer,
    EmailsAreNotSent,
    FirstLook,
    ManyShopsFailAlike,
    NotStored,
    ParkedAndQuarantined,
    ReloadRefused,
    RouterDown,
    SendAgain,
    SignaturesRefused,
    SlowAnswers,
    StoreFailed,
    TheGatewayIsSilent,
    UnknownShop,
    Upgrade,
    WrongKeyAtAShop,
}

/// There is no such section.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no section {0} in the runbook")]
pub struct NoSuchSection(String);

impl Section {
    /// All, as they follow each other.
    pub const ALL: [Self; 22] = [
        Self::FirstLook,
        Self::RouterDown,
        Self::AShopFails,
        Self::ManyShopsFailAlike,
        Self::DnsDoesNotAnswer,
        Self::DeliveriesGivenUp,
        Self::WrongKeyAtAShop,
        Self::AShopAnswersKo,
        Self::SignaturesRefused,
        Self::UnknownShop,
        Self::ParkedAndQuarantined,
        Self::NotStored,
        Self::DiskNearlyFull,
        Self::StoreFailed,
        Self::ReloadRefused,
        Self::Certificate,
        Self::TheGatewayIsSilent,
        Self::EmailsAreNotSent,
        Self::SlowAnswers,
        Self::SendAgain,
        Self::BackupAndRestore,
        Self::Upgrade,
    ];

    /// What helps with a destination in trouble. `is_lost`: what counts is that deliveries were given up.
    pub fn of_failure(symptom: Symptom, is_lost: bool) -> Self {
        match (symptom, is_lost) {
            (Symptom::KoSignature, _) => Self::WrongKeyAtAShop,
            (Symptom::Failed(_), true) => Self::DeliveriesGivenUp,
            (Symptom::Failed(Cause::Resolver), false) => Self::DnsDoesNotAnswer,
            (Symptom::Failed(_), false) => Self::AShopFails,
        }
    }

    /// The same for several destinations that fail alike.
    pub fn of_failures_alike(symptom: Symptom, is_lost: bool) -> Self {
        match Self::of_failure(symptom, is_lost) {
            Self::AShopFails => Self::ManyShopsFailAlike,
            other => other,
        }
    }

    /// What helps with a trouble of the daemon's own.
    pub fn of_trouble(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::CertificateEnds { .. } => Self::Certificate,
            Trouble::Disk { .. } => Self::DiskNearlyFull,
            Trouble::HeardAgain { .. } | Trouble::Silence { .. } => Self::TheGatewayIsSilent,
            Trouble::NotStored { .. } => Self::NotStored,
            Trouble::Parked { .. } | Trouble::Quarantined { .. } => Self::ParkedAndQuarantined,
            Trouble::ReloadRefused { .. } => Self::ReloadRefused,
            Trouble::SignaturesRefused { .. } | Trouble::SignaturesRight { .. } => Self::SignaturesRefused,
            Trouble::StoreFailed { .. } => Self::StoreFailed,
            Trouble::UnknownShop { .. } => Self::UnknownShop,
        }
    }

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::AShopAnswersKo => "A shop answers KO",
            Self::AShopFails => "A shop fails",
            Self::BackupAndRestore => "Backup and restore",
            Self::Certificate => "Certificate",
            Self::DeliveriesGivenUp => "Deliveries given up",
            Self::DiskNearlyFull => "Disk nearly full",
            Self::DnsDoesNotAnswer => "DNS does not answer",
            Self::EmailsAreNotSent => "E-mails are not sent",
            Self::FirstLook => "First look",
            Self::ManyShopsFailAlike => "Many shops fail alike",
            Self::NotStored => "Not stored",
            Self::ParkedAndQuarantined => "Parked and quarantined",
            Self::ReloadRefused => "Reload refused",
            Self::RouterDown => "Router down",
            Self::SendAgain => "Send again from the Back Office",
            Self::SignaturesRefused => "Signatures refused",
            Self::SlowAnswers => "Slow answers",
            Self::StoreFailed => "Store failed",
            Self::TheGatewayIsSilent => "The gateway is silent",
            Self::UnknownShop => "Unknown shop",
            Self::Upgrade => "Upgrade",
            Self::WrongKeyAtAShop => "Wrong key at a shop",
        }
    }

    /// The section with its heading; nothing, if the runbook lacks it.
    pub fn text(self) -> &'static str {
        let heading = format!("{HEADING}{}\n", self.title());
        let Some(start) = RUNBOOK.find(&heading) else {
            return "";
        };
        let text = &RUNBOOK[start + 1..];
        text.find(HEADING).map_or(text, |end| &text[..=end])
    }
}

/// As links name it: `a-shop-fails`.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&anchor(self.title()))
    }
}

/// Reads its name however somebody has copied it: `a-shop-fails`, `#a-shop-fails`, a whole link, or the heading.
impl FromStr for Section {
    type Err = NoSuchSection;

    fn from_str(text: &str) -> Result<Self, NoSuchSection> {
        let name = anchor(text.rsplit('#').next().unwrap_or(text).trim());
        let found = Self::ALL.into_iter().find(|section| section.to_string() == name);
        found.ok_or_else(|| NoSuchSection(text.to_owned()))
    }
}

/// As Markdown makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runbook_has_these_sections_and_no_others() {
        let headings: Vec<_> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, Section::ALL.map(Section::title));
    }

    #[test]
    fn sections_are_the_whole_but_for_its_beginning() {
        let (beginning, _) = RUNBOOK.split_once(HEADING).unwrap();
        let sections: String = Section::ALL.map(Section::text).concat();
        assert_eq!(format!("{beginning}\n{sections}"), RUNBOOK);
    }

    #[test]
    fn section_is_found_by_whatever_names_it() {
        for name in [
            "e-mails-are-not-sent",
            "#e-mails-are-not-sent",
            "https://ipn.acme.example/admin/runbook#e-mails-are-not-sent",
            "E-mails are not sent",
        ] {
            assert_eq!(name.parse(), Ok(Section::EmailsAreNotSent), "{name}");
        }
        for section in Section::ALL {
            assert_eq!(section.to_string().parse(), Ok(section));
        }
        assert_eq!("#nothing".parse::<Section>(), Err(NoSuchSection("#nothing".into())));
    }

    #[test]
    fn links_lead_to_sections_that_there_are() {
        for link in RUNBOOK.split("](#").skip(1) {
            let link = link.split(')').next().unwrap();
            assert!(link.parse::<Section>().is_ok(), "{link}");
        }
    }
}
