use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NotificationId;

/// What somebody did that is no [`Verb`](super::Verb) and is kept as a record all the same.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum Audited {
    /// Looks after an incident: no reminders until then; `None`: until it is over.
    Acknowledged {
        incident: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Has got everything that is kept about a person.
    PersonalDataExported {
        /// Does not say who it is: [`Person`](super::Person), printed.
        person: String,
        notifications: u64,
    },
    /// Has looked at the personal data of a notification.
    PersonalDataShown { notification: NotificationId },
    /// Has had everything erased that says who a person is.
    PersonForgotten {
        /// Does not say who it was.
        person: String,
        /// Those that were found; what still waits is left as it is, unless it is cancelled.
        notifications: u64,
        cancel: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_gives_back_every_record() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let notification = NotificationId::new(at);
        for (audited, word) in [
            (
                Audited::Acknowledged {
                    incident: 7,
                    until: Some(at),
                },
                "acknowledged",
            ),
            (
                Audited::Acknowledged {
                    incident: 7,
                    until: None,
                },
                "acknowledged",
            ),
            (
                Audited::PersonalDataExported {
                    person: "token #4ad2c0be".into(),
                    notifications: 3,
                },
                "personal-data-exported",
            ),
            (Audited::PersonalDataShown { notification }, "personal-data-shown"),
            (
                Audited::PersonForgotten {
                    person: "customer #4ad2c0be".into(),
                    notifications: 3,
                    cancel: true,
                },
                "person-forgotten",
            ),
        ] {
            let json = serde_json::to_string(&audited).unwrap();
            assert!(json.starts_with(&format!(r#"{{"act":"{word}""#)), "{json}");
            assert_eq!(serde_json::from_str::<Audited>(&json).unwrap(), audited);
        }
    }
}
