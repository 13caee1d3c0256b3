//! `[legal_entities.X]`.

use std::collections::BTreeMap;

use lettre::message::Mailbox;

use super::addresses::mailboxes;
use super::codes;
use super::delivery::{DeliveryKeys, not_yet};
use super::diagnostics::{Problem, Problems};
use super::reader::{Entry, Given, Table, Value};
use super::source::Spot;
use super::values::{any_text, duration, flag, list, text, word};
use crate::domain::{Kind, KindPattern, LegalEntityId};

/// A company as written.
#[derive(Debug)]
pub(super) struct LegalEntityTable {
    pub(super) spot: Spot,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) failure_emails: Given<Vec<Mailbox>>,
    pub(super) share: Vec<KindPattern>,
    pub(super) delivery: DeliveryKeys,
}

pub(super) type LegalEntities = BTreeMap<LegalEntityId, LegalEntityTable>;

/// Adds the companies of one file.
pub(super) fn read(table: Table<'_>, all: &mut LegalEntities, problems: &mut Problems) {
    for Entry { key, value } in table.entries() {
        let Ok(id) = key.value.parse::<LegalEntityId>() else {
            problems.push(
                Problem::new(
                    codes::BAD_LEGAL_ENTITY_ID,
                    &key.spot,
                    "this cannot be the key of a legal entity",
                )
                .instead("1 to 64 letters, digits, `-` or `_`; the full name goes into `name`"),
            );
            continue;
        };
        let Some(table) = value.table() else {
            value.wrong_type("a table", problems);
            continue;
        };
        let read = legal_entity(&id, table.named(format!("[legal_entities.{id}]")), key.spot, problems);
        if let Some(first) = all.get(&id) {
            problems.push(
                Problem::new(codes::TWICE, &read.spot, format!("legal entity \"{id}\" stands twice"))
                    .also(&first.spot, "first here")
                    .instead("keep one of the two"),
            );
        } else {
            all.insert(id, read);
        }
    }
}

fn legal_entity(id: &LegalEntityId, mut table: Table<'_>, spot: Spot, problems: &mut Problems) -> LegalEntityTable {
    let name = table
        .required("name", "\"ACME SAS\"", problems, text)
        .or(id.to_string());
    let language = table
        .optional("language", problems, word(&[("en", false), ("fr", true)]))
        .at();
    if let Some(french) = language.filter(|french| french.value) {
        problems.push(not_yet(Problem::new(
            codes::NOT_YET,
            &french.spot,
            "e-mails are written in English by this version",
        )));
    }
    for (key, what) in [
        ("expect_every", "silence of the gateway is not noticed by this version"),
        (
            "wait_for_named_shop",
            "answers do not wait for the named shop in this version",
        ),
    ] {
        if let Some(given) = table.optional(key, problems, duration).at() {
            problems.push(not_yet(Problem::new(codes::NOT_YET, &given.spot, what)));
        }
    }
    let read = LegalEntityTable {
        spot,
        name,
        enabled: table.optional("enabled", problems, flag).or(true),
        failure_emails: table.optional("failure_emails", problems, mailboxes),
        share: table
            .optional("share", problems, list(kinds))
            .or(vec![KindPattern::Family("token")]),
        delivery: DeliveryKeys::take(&mut table, problems),
    };
    table.refuse_the_rest(problems);
    read
}

fn kinds(value: &Value<'_>, problems: &mut Problems) -> Option<KindPattern> {
    let read = any_text(value, "a list of kinds such as [\"token.*\"]", problems)?
        .parse()
        .ok();
    if read.is_none() {
        let known: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
        problems.push(
            Problem::new(codes::UNKNOWN_WORD, &value.spot, "this is no kind of notification")
                .instead(format!("\"token.*\", or one of: {}", known.join(", "))),
        );
    }
    read
}
