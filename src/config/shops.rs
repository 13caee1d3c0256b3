//! `[shops.N]`, `[shops.N.test]` and `[shops.N.production]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lettre::message::Mailbox;
use url::Url;

use super::addresses::mailboxes;
use super::codes;
use super::delivery::DeliveryKeys;
use super::diagnostics::{Problem, Problems};
use super::legal_entities;
use super::network::web_url;
use super::outside::Outside;
use super::reader::{Entry, Given, Table, Value};
use super::receiver::{certificate_and_key, pem_file};
use super::secrets::{Secrets, event_secrets, secrets};
use super::source::{At, Spot};
use super::values::{flag, list, one_or_list, text, word};
use crate::deliver::AnswerCheck;
use crate::domain::{ForeignOrders, Format, LegalEntityId, Mode, ShopId};
use crate::verify::FormHash;

/// A shop as written.
#[derive(Debug)]
pub(super) struct ShopTable {
    pub(super) id: ShopId,
    pub(super) spot: Spot,
    pub(super) name: String,
    /// `None`: missing or wrong, which has been told.
    pub(super) legal_entity: Option<At<LegalEntityId>>,
    pub(super) enabled: bool,
    pub(super) allow_private: bool,
    pub(super) extra_failure_emails: Given<Vec<Mailbox>>,
    pub(super) learns_by: LearnsBy,
    pub(super) foreign_orders: At<ForeignOrders>,
    pub(super) answer_check: AnswerCheck,
    pub(super) ca: Option<PathBuf>,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(super) delivery: DeliveryKeys,
    /// At most one of each mode.
    pub(super) modes: Vec<ModeTable>,
}

/// A shop in one mode, as written.
#[derive(Debug)]
pub(super) struct ModeTable {
    pub(super) mode: Mode,
    pub(super) spot: Spot,
    pub(super) form_key: Given<Secrets>,
    pub(super) form_hash: Given<Vec<FormHash>>,
    pub(super) form_url: Given<Url>,
    pub(super) rest_password: Given<Secrets>,
    pub(super) rest_url: Given<Url>,
    pub(super) event_secret: Given<Secrets>,
    pub(super) event_url: Given<Url>,
}

/// `learns_by`: which of its URLs learn of the other shops' tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct LearnsBy {
    pub(super) event: bool,
    pub(super) form: bool,
    pub(super) rest: bool,
}

impl LearnsBy {
    pub(super) fn format(self, format: Format) -> bool {
        match format {
            Format::Form => self.form,
            Format::Rest => self.rest,
        }
    }

    /// Whether the shop wants to learn nothing.
    pub(super) fn is_none(self) -> bool {
        !self.event && !self.form && !self.rest
    }
}

impl ShopTable {
    pub(super) fn mode(&self, mode: Mode) -> Option<&ModeTable> {
        self.modes.iter().find(|table| table.mode == mode)
    }
}

impl ModeTable {
    /// What the gateway signs notifications of a format with.
    pub(super) fn key(&self, format: Format) -> &Given<Secrets> {
        match format {
            Format::Form => &self.form_key,
            Format::Rest => &self.rest_password,
        }
    }

    pub(super) fn gateway_url(&self, format: Format) -> &Given<Url> {
        match format {
            Format::Form => &self.form_url,
            Format::Rest => &self.rest_url,
        }
    }

    /// Every URL that is given and right.
    pub(super) fn urls(&self) -> impl Iterator<Item = &At<Url>> {
        [&self.form_url, &self.rest_url, &self.event_url]
            .into_iter()
            .filter_map(Given::as_ref)
    }
}

/// As in the keys, for messages.
pub(super) fn key_name(format: Format) -> &'static str {
    match format {
        Format::Form => "form_key",
        Format::Rest => "rest_password",
    }
}

pub(super) type Shops = BTreeMap<ShopId, ShopTable>;

/// Adds the shops of one file.
pub(super) fn read(table: Table<'_>, all: &mut Shops, outside: &dyn Outside, problems: &mut Problems) {
    for Entry { key, value, .. } in table.entries() {
        let Some(table) = value.table() else {
            problems.push(match key.value.parse::<ShopId>() {
                Ok(id) => value.wrong_type("a table").instead(format!(
                    "write [shops.{id}] on a line of its own, and its keys below it"
                )),
                Err(_) => bad_id(key.value, &key.spot),
            });
            continue;
        };
        let table = table.named(format!("[shops.{}]", key.value));
        let Ok(id) = key.value.parse::<ShopId>() else {
            problems.push(bad_id(key.value, &key.spot));
            // Its other mistakes are told in the same run.
            let unnamed = "00000000".parse().expect("8 digits");
            shop(unnamed, table, key.spot, outside, problems);
            continue;
        };
        let read = shop(id, table, key.spot, outside, problems);
        if let Some(first) = all.get(&id) {
            let owner = |shop: &ShopTable| shop.legal_entity.as_ref().map(|owner| owner.value.clone());
            let problem = Problem::new(codes::SHOP_TWICE, &read.spot, format!("shop {id} stands twice"))
                .also(&first.spot, "first here")
                .instead("keep one of the two");
            problems.push(if owner(first) == owner(&read) {
                problem
            } else {
                problem.why("a token is shared inside one legal entity only; a shop in two would leak it")
            });
        } else {
            all.insert(id, read);
        }
    }
}

fn bad_id(text: &str, spot: &Spot) -> Problem {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let what = if digits == text.len() {
        format!("a shop id has 8 digits, and this one {digits}")
    } else {
        "a shop id has 8 digits, and nothing else".to_owned()
    };
    Problem::new(codes::BAD_SHOP_ID, spot, what)
        .why("the gateway names the shop by this number in every notification")
        .instead("[shops.12345678], with the number of the Back Office: Settings > Shop; leading zeros count")
}

fn shop(id: ShopId, mut table: Table<'_>, spot: Spot, outside: &dyn Outside, problems: &mut Problems) -> ShopTable {
    let name = table
        .required("name", "\"ACME Paris\"", problems, text)
        .or(id.to_string());
    let legal_entity = table.optional("legal_entity", problems, legal_entity_id);
    if legal_entity.is_absent() {
        problems.push(
            Problem::new(
                codes::NO_LEGAL_ENTITY,
                &spot,
                format!("{} has no `legal_entity`", table.name),
            )
            .why("tokens are shared inside a legal entity; without one nobody is told anything")
            .instead("add legal_entity = \"acme\""),
        );
    }
    let foreign_orders = table.optional("foreign_orders", problems, word(&FOREIGN_ORDERS)).at();
    let pem = |value: &Value<'_>, problems: &mut Problems| pem_file(value, outside, problems);
    let certificate = |value: &Value<'_>, problems: &mut Problems| certificate_and_key(value, outside, problems);
    let read = ShopTable {
        id,
        name,
        legal_entity: legal_entity.at(),
        enabled: table.optional("enabled", problems, flag).or(true),
        allow_private: table.optional("allow_private", problems, flag).or(false),
        extra_failure_emails: table.optional("extra_failure_emails", problems, mailboxes),
        learns_by: learns_by(&mut table, problems),
        foreign_orders: foreign_orders.unwrap_or(At {
            value: ForeignOrders::default(),
            spot: spot.clone(),
        }),
        answer_check: table
            .optional("answer_check", problems, word(&ANSWER_CHECKS))
            .or(AnswerCheck::default()),
        ca: table.optional("ca", problems, pem).value(),
        client_certificate: table.optional("client_certificate", problems, certificate).value(),
        delivery: DeliveryKeys::take(&mut table, problems),
        modes: [("test", Mode::Test), ("production", Mode::Production)]
            .into_iter()
            .filter_map(|(key, mode)| {
                let table = table.section(key, &format!("[shops.{id}.{key}]"), problems).value()?;
                Some(mode_table(mode, table, outside, problems))
            })
            .collect(),
        spot,
    };
    table.refuse_the_rest(problems);
    read
}

const FOREIGN_ORDERS: [(&str, ForeignOrders); 2] =
    [("send", ForeignOrders::Send), ("withhold", ForeignOrders::Withhold)];
const ANSWER_CHECKS: [(&str, AnswerCheck); 2] = [
    ("status-only", AnswerCheck::StatusOnly),
    ("verdict", AnswerCheck::Verdict),
];
const FORM_HASHES: [(&str, FormHash); 2] = [("hmac-sha-256", FormHash::HmacSha256), ("sha-1", FormHash::Sha1)];
const WAYS: [(&str, &str); 3] = [("event", "event"), ("form", "form"), ("rest", "rest")];

fn learns_by(table: &mut Table<'_>, problems: &mut Problems) -> LearnsBy {
    let ways = table.optional("learns_by", problems, list(word(&WAYS))).value();
    let by = |way| ways.as_ref().is_none_or(|ways| ways.contains(&way));
    LearnsBy {
        event: by("event"),
        form: by("form"),
        rest: by("rest"),
    }
}

fn legal_entity_id(value: &Value<'_>, problems: &mut Problems) -> Option<LegalEntityId> {
    let text = text(value, problems)?;
    let read = text.parse().ok();
    if read.is_none() {
        problems.push_once(legal_entities::bad_id(&text, &value.spot));
    }
    read
}

fn mode_table(mode: Mode, mut table: Table<'_>, outside: &dyn Outside, problems: &mut Problems) -> ModeTable {
    let read = ModeTable {
        mode,
        spot: table.spot.clone(),
        form_key: table.optional("form_key", problems, secrets(outside)),
        form_hash: table.optional("form_hash", problems, one_or_list(word(&FORM_HASHES))),
        form_url: table.optional("form_url", problems, web_url),
        rest_password: table.optional("rest_password", problems, secrets(outside)),
        rest_url: table.optional("rest_url", problems, web_url),
        event_secret: table.optional("event_secret", problems, event_secrets(outside)),
        event_url: table.optional("event_url", problems, web_url),
    };
    table.refuse_the_rest(problems);
    read
}
