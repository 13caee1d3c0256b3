//! `[legal_entities.X]`.

use std::collections::BTreeMap;
use std::time::Duration;

use lettre::message::Mailbox;

use super::addresses::mailboxes;
use super::codes;
use super::delivery::DeliveryKeys;
use super::diagnostics::{Problem, Problems};
use super::names::closest;
use super::reader::{Entry, Given, Table, Value};
use super::source::{At, Spot};
use super::values::{Expected, any_text, duration_from, duration_within, flag, list, text, word};
use crate::alert::Language;
use crate::domain::{Kind, KindPattern, LegalEntityId};

const LANGUAGES: &[(&str, Language)] = &[("en", Language::English), ("fr", Language::French)];

/// A company as written.
#[derive(Debug)]
pub(super) struct LegalEntityTable {
    pub(super) spot: Spot,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) failure_emails: Given<Vec<Mailbox>>,
    pub(super) language: Language,
    pub(super) share: Vec<KindPattern>,
    pub(super) wait_for_named_shop: Option<At<Duration>>,
    pub(super) expect_every: Given<Duration>,
    pub(super) delivery: DeliveryKeys,
}

pub(super) type LegalEntities = BTreeMap<LegalEntityId, LegalEntityTable>;

/// Adds the companies of one file.
pub(super) fn read(table: Table<'_>, all: &mut LegalEntities, problems: &mut Problems) {
    for Entry { key, value, .. } in table.entries() {
        let Ok(id) = key.value.parse::<LegalEntityId>() else {
            problems.push_once(bad_id(key.value, &key.spot));
            continue;
        };
        let Some(table) = value.table() else {
            let problem = value.wrong_type("a table");
            problems.push(problem.instead(format!(
                "write [legal_entities.{id}] on a line of its own, and its keys below it"
            )));
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

/// That a text cannot be the key of a legal entity: told once, where it is first written.
pub(super) fn bad_id(text: &str, spot: &Spot) -> Problem {
    let what = format!("\"{text}\" cannot be the key of a legal entity");
    Problem::new(codes::BAD_LEGAL_ENTITY_ID, spot, what)
        .why("it stands in headers, commands and events: 1 to 64 letters without accents, digits, `-` or `_`")
        .instead("a short key such as `acme`; the company's full name goes into its `name`")
}

fn legal_entity(id: &LegalEntityId, mut table: Table<'_>, spot: Spot, problems: &mut Problems) -> LegalEntityTable {
    let name = table
        .required("name", "\"ACME SAS\"", problems, text)
        .or(id.to_string());
    let read = LegalEntityTable {
        spot,
        name,
        enabled: table.optional("enabled", problems, flag).or(true),
        failure_emails: table.optional("failure_emails", problems, mailboxes),
        language: table
            .optional("language", problems, word(LANGUAGES))
            .or(Language::default()),
        share: table
            .optional("share", problems, list(kinds))
            .or(vec![KindPattern::Family("token")]),
        wait_for_named_shop: table
            .optional("wait_for_named_shop", problems, wait_for_named_shop)
            .at(),
        expect_every: table.optional("expect_every", problems, expect_every),
        delivery: DeliveryKeys::take(&mut table, problems),
    };
    table.refuse_the_rest(problems);
    read
}

fn wait_for_named_shop(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let why = "the gateway waits 10 seconds for an answer, and then calls the notification failed";
    duration_within(Duration::from_secs(10), "10s", why)(value, problems)
}

fn expect_every(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let why = "every shop has quiet hours, and the gateway tries a failed call again for about an hour";
    duration_from(Duration::from_hours(1), "1h", why)(value, problems)
}

fn kinds(value: &Value<'_>, problems: &mut Problems) -> Option<KindPattern> {
    let expected = Expected {
        what: "a list of kinds",
        examples: "[\"token.*\"]",
    };
    let text = any_text(value, expected, problems)?;
    let read = text.parse().ok();
    if read.is_none() {
        let known: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
        let problem = value.problem(codes::UNKNOWN_WORD, "this is no kind of notification");
        problems.push(match closest(text, &known) {
            Some(meant) => problem.instead(format!("did you mean \"{meant}\"?")),
            None => problem.instead(format!("\"token.*\", or one of: {}", known.join(", "))),
        });
    }
    read
}
