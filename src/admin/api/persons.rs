//! For who answers for the company's personal data: what is kept about a person, and its erasure. Each is audited.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Body, Parts, Refusal, Refusals, ShownNotification, Who};
use crate::domain::{Audited, Person};
use crate::outbox::{Erased, Trace};
use crate::route::is_about_customer;
use crate::verify::Content;

/// What is kept about a person.
pub const EXPORT: &str = "/v1/export";
/// Erases what is kept about a person.
pub const FORGET: &str = "/v1/forget";

/// Notifications of one look into the store; others are answered in between.
const LOOK: u32 = 50;
/// Notifications erased in one transaction: short enough that no acknowledgement waits for it.
const STEP: usize = 20;
/// Lines that a slow reader may leave unread.
const BEHIND: usize = 16;

/// Asks for everything that is kept about a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ExportWish {
    pub person: Person,
}

/// Asks that a person be forgotten.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ForgetWish {
    pub person: Person,
    /// Also what still waits for a shop, or for a release: nobody gets it any more.
    #[serde(default)]
    pub cancel: bool,
    /// Only say what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// A line of the answer. The last one is `exported`, `forgotten` or `failed`; without it the answer was cut off.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PersonLine {
    /// So many notifications were found, and all of them stand above.
    Exported(u64),
    /// Why it did not come to its end.
    Failed(String),
    Forgotten(Forgotten),
    /// How much was looked at, in percent.
    Looking(u8),
    Notification(Box<ExportedNotification>),
}

/// A notification with everything personal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ExportedNotification {
    /// As everybody may see it; what shops have answered is masked.
    pub notification: ShownNotification,
    /// Not masked.
    pub full_token: Option<String>,
    /// What the gateway has sent, field by field; `null` if it was deleted after its time.
    pub body: Value,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Forgotten {
    /// Notifications that say nothing about the person any more, or would not.
    pub erased: u64,
    /// Those that were left as they are, for something of them still waits.
    pub waiting: u64,
    /// Whether the store's log was emptied, too: until then what was erased may stand there.
    pub log_emptied: bool,
}

/// Everything that is kept about a person: a line of JSON for each notification, the oldest first.
#[utoipa::path(post, path = "/v1/export", request_body = ExportWish, responses(
    (status = OK, body = PersonLine, content_type = "application/x-ndjson"),
    Refusals,
))]
pub(super) async fn export(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Body(wish): Body<ExportWish>,
) -> Result<impl IntoResponse, Refusal> {
    named(&wish.person)?;
    let (mut lines, answer) = Lines::new();
    tokio::spawn(async move {
        let done = parts.export(&wish.person, &who, &mut lines).await;
        lines.end(done).await;
    });
    Ok(answer)
}

/// Erases what is kept about a person, whether or not anybody reads the lines to their end. It may be asked for again.
#[utoipa::path(post, path = "/v1/forget", request_body = ForgetWish, responses(
    (status = OK, body = PersonLine, content_type = "application/x-ndjson"),
    Refusals,
))]
pub(super) async fn forget(
    State(parts): State<Arc<Parts>>,
    who: Who,
    Body(wish): Body<ForgetWish>,
) -> Result<impl IntoResponse, Refusal> {
    named(&wish.person)?;
    let (mut lines, answer) = Lines::new();
    tokio::spawn(async move {
        let done = parts.forget(&wish, &who, &mut lines).await;
        lines.end(done).await;
    });
    Ok(answer)
}

fn named(person: &Person) -> Result<(), Refusal> {
    match person.name() {
        "" => Err(Refusal::unreadable("person: the name is empty")),
        _ => Ok(()),
    }
}

/// What is answered line by line.
struct Lines(Sender<Bytes>);

impl Lines {
    fn new() -> (Self, impl IntoResponse) {
        let (sender, body) = Channel::<Bytes>::new(BEHIND);
        let answer = ([(CONTENT_TYPE, "application/x-ndjson")], body::Body::new(body));
        (Self(sender), answer)
    }

    /// Returns whether somebody still reads.
    async fn say(&mut self, line: &PersonLine) -> bool {
        match serde_json::to_vec(line) {
            Ok(mut line) => {
                line.push(b'\n');
                self.0.send_data(line.into()).await.is_ok()
            }
            Err(_) => false,
        }
    }

    async fn end(mut self, done: Result<PersonLine, Refusal>) {
        let last = done.unwrap_or_else(|refusal| PersonLine::Failed(refusal.error));
        self.say(&last).await;
    }
}

impl Parts {
    async fn export(&self, person: &Person, who: &Who, lines: &mut Lines) -> Result<PersonLine, Refusal> {
        let keys = self.search(person, lines).await?;
        let notifications = counted(keys.len());
        let act = Audited::PersonalDataExported {
            person: person.to_string(),
            notifications,
        };
        self.outbox.note(act, who.to_string(), self.clock.now()).await?;
        tracing::info!("{who}: exports the data of a person, in {notifications} notifications");
        for key in keys {
            // One may have been deleted meanwhile.
            let Some(trace) = self.outbox.trace(key).await? else {
                continue;
            };
            let Some(shown) = self.outbox.find(trace.id).await? else {
                continue;
            };
            let exported = Box::new(ExportedNotification {
                notification: ShownNotification::new(shown, self.clock.now()),
                full_token: trace.token,
                body: trace.body.map_or(Value::Null, |body| by_field(&body)),
            });
            if !lines.say(&PersonLine::Notification(exported)).await {
                break;
            }
            self.goes_on()?;
        }
        Ok(PersonLine::Exported(notifications))
    }

    async fn forget(&self, wish: &ForgetWish, who: &Who, lines: &mut Lines) -> Result<PersonLine, Refusal> {
        let ForgetWish {
            person,
            cancel,
            dry_run,
        } = wish;
        let keys: Vec<i64> = self.search(person, lines).await?.into_iter().collect();
        let mut forgotten = Forgotten::default();
        if *dry_run {
            for step in keys.chunks(STEP) {
                let wait = self.outbox.wait(step.to_vec()).await?;
                let left = if *cancel {
                    0
                } else {
                    wait.iter().filter(|waits| **waits).count()
                };
                forgotten.count(step.len() - left, left);
            }
            return Ok(PersonLine::Forgotten(forgotten));
        }
        let act = Audited::PersonForgotten {
            person: person.to_string(),
            notifications: counted(keys.len()),
            cancel: *cancel,
        };
        self.outbox.note(act, who.to_string(), self.clock.now()).await?;
        for step in keys.chunks(STEP) {
            self.goes_on()?;
            let erased = self.outbox.erase(step.to_vec(), *cancel, self.clock.now()).await?;
            let left = erased.iter().filter(|erased| **erased == Erased::Waits).count();
            forgotten.count(step.len() - left, left);
        }
        forgotten.log_emptied = self.outbox.empty_log().await?;
        let Forgotten { erased, waiting, .. } = forgotten;
        tracing::info!("{who}: a person is forgotten, in {erased} notifications; {waiting} wait and are left");
        Ok(PersonLine::Forgotten(forgotten))
    }

    /// The keys of all notifications about a person. A customer's are found as long as they have their bodies, and by
    /// the tokens that stand there.
    async fn search(&self, person: &Person, lines: &mut Lines) -> Result<BTreeSet<i64>, Refusal> {
        let mut keys = BTreeSet::new();
        let mut tokens = BTreeSet::new();
        match person {
            Person::Customer(customer) => {
                let newest = self.outbox.newest().await?;
                let newest = newest.map_or(0, |newest| newest.key);
                let (mut first, mut after) = (None, 0);
                // What comes later is not meant.
                while after < newest {
                    let looked_at = self.outbox.bodies(after, LOOK).await?;
                    let (Some(oldest), Some(last)) = (looked_at.first(), looked_at.last()) else {
                        break;
                    };
                    let first = *first.get_or_insert(oldest.key);
                    after = last.key;
                    for trace in looked_at.into_iter().filter(|trace| is_about(trace, customer)) {
                        keys.insert(trace.key);
                        tokens.extend(trace.token);
                    }
                    lines.say(&PersonLine::Looking(percent(first, after, newest))).await;
                    self.goes_on()?;
                }
            }
            Person::Token(token) => {
                tokens.insert(token.clone());
            }
        }
        for token in tokens {
            let mut after = 0;
            loop {
                let found = self.outbox.of_token(token.clone(), after, LOOK).await?;
                let Some(last) = found.last() else {
                    break;
                };
                after = last.key;
                keys.extend(found.iter().map(|trace| trace.key));
                self.goes_on()?;
            }
        }
        Ok(keys)
    }

    /// A daemon that stops would wait for us.
    fn goes_on(&self) -> Result<(), Refusal> {
        match self.questions.is_closed() {
            true => Err(Refusal::stopping()),
            false => Ok(()),
        }
    }
}

impl Forgotten {
    fn count(&mut self, erased: usize, waiting: usize) {
        self.erased += counted(erased);
        self.waiting += counted(waiting);
    }
}

fn is_about(trace: &Trace, customer: &str) -> bool {
    let content = trace.body.as_ref().and_then(|body| Content::decode(body).ok());
    content.is_some_and(|content| is_about_customer(&content, customer))
}

/// How much of the way from the first to the last was gone.
fn percent(first: i64, reached: i64, last: i64) -> u8 {
    let (gone, way) = (reached - first, (last - first).max(1));
    u8::try_from(gone.saturating_mul(100) / way).unwrap_or(100).min(100)
}

/// A body as JSON, field by field; the JSON that a REST notification carries in one of them stands as such.
fn by_field(body: &[u8]) -> Value {
    let Ok(content) = Content::decode(body) else {
        return String::from_utf8_lossy(body).into();
    };
    let form = match &content {
        Content::Form(form) => form,
        Content::Rest(rest) => rest.outer(),
    };
    let mut fields: Map<String, Value> = form.pairs().map(|(name, value)| (name.into(), value.into())).collect();
    if let Content::Rest(rest) = &content {
        fields.insert("kr-answer".into(), rest.json().clone());
    }
    fields.into()
}

fn counted(notifications: usize) -> u64 {
    u64::try_from(notifications).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn body_is_told_field_by_field() {
        assert_eq!(
            by_field(b"vads_cust_name=Zo%C3%AB+d%27Orl%C3%A9ans&vads_cust_id="),
            json!({"vads_cust_name": "Zoë d'Orléans", "vads_cust_id": ""})
        );
        let answer = r#"{"customer":{"email":"ann@example.com"}}"#;
        let rest = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("kr-src", "PAY"), ("kr-answer", answer)])
            .finish();
        assert_eq!(
            by_field(rest.as_bytes()),
            json!({"kr-src": "PAY", "kr-answer": {"customer": {"email": "ann@example.com"}}})
        );
        assert_eq!(by_field(b"\xff"), json!("\u{fffd}"), "what cannot be read");
    }

    #[test]
    fn the_way_is_gone_at_its_end_and_never_beyond() {
        assert_eq!([percent(5, 5, 9), percent(5, 7, 9), percent(5, 9, 9)], [0, 50, 100]);
        assert_eq!([percent(5, 5, 5), percent(5, 60, 9)], [0, 100]);
    }
}
