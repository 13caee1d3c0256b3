//! What people look at: how destinations stand, what became of a notification, lists.
//!
//! Every question is bounded and walks an index, for there is one reader for everybody. What is long is a list, and
//! comes in pages. Tokens are masked before they leave this folder; bodies do not leave it this way.

#![expect(
    unused_qualifications,
    reason = "utoipa's macros write them for what IntoParams describes"
)]

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::{IncidentRow, Outbox, OutboxError, sqlite};
use crate::domain::{DestinationKey, Format, Kind, KindPattern, LegalEntityId, Mode, NotificationId, ShopId};
use crate::route::Standing;

/// A destination, and what keeps it from being served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct DestinationLine {
    #[serde(flatten)]
    pub key: DestinationKey,
    /// By an operator.
    pub paused_since: Option<Timestamp>,
    pub down_since: Option<Timestamp>,
    /// Since when it is in no configuration, or switched off.
    pub parked_since: Option<Timestamp>,
}

/// What waits for a destination, and what came of the last attempt.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct DestinationLoad {
    /// Counted up to 100,001, which means: over 100,000.
    #[schema(maximum = 100_001)]
    pub waiting: u32,
    /// When the oldest of them was accepted, or replayed.
    pub oldest: Option<Timestamp>,
    /// When a failed one is tried again. Nobody can say it while the destination is down (once a minute one delivery is
    /// tried), paused or parked.
    pub next_attempt: Option<Timestamp>,
    /// Of its newest delivery that was attempted.
    pub last_attempt: Option<AttemptLine>,
    /// The incident that is open.
    pub incident: Option<i64>,
}

/// Counting stops here: over 100,000.
pub const MOST_COUNTED: u32 = 100_001;

/// What lies about, in all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    /// Notifications with nowhere to go, until they are released. What waits for a company or a shop that is switched
    /// off is none of them: it waits at its destinations. As all of these, counted up to 100,001: over 100,000.
    #[schema(maximum = 100_001)]
    pub parked: u32,
    /// Notifications that wait for a release.
    #[schema(maximum = 100_001)]
    pub quarantined: u32,
    #[schema(maximum = 100_001)]
    pub emails_waiting: u32,
    /// Given up, among those that are kept.
    #[schema(maximum = 100_001)]
    pub emails_failed: u32,
    /// What operators asked for and is not done yet.
    #[schema(maximum = 100_001)]
    pub verbs_waiting: u32,
}

/// A notification, without anything personal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct NotificationLine {
    /// Its key in the store.
    #[serde(skip)]
    pub key: i64,
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub legal_entity: LegalEntityId,
    /// The named shop.
    pub named_shop: ShopId,
    pub mode: Mode,
    pub format: Format,
    pub kind: Kind,
    pub standing: Standing,
    /// Masked.
    pub token: Option<String>,
    pub transaction: Option<String>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    Cancelled,
    Delivered,
    GivenUp,
    Waiting,
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cancelled => "cancelled",
            Self::Delivered => "delivered",
            Self::GivenUp => "given-up",
            Self::Waiting => "waiting",
        })
    }
}

/// A delivery.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct DeliveryLine {
    #[serde(flatten)]
    pub destination: DestinationKey,
    /// Its number at the destination.
    pub seq: i64,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it was accepted, or replayed.
    pub since: Timestamp,
    /// End of the last attempt; or when it was given up or cancelled without one.
    pub tried: Option<Timestamp>,
    /// When it is tried again, if it has failed and waits, and its destination is neither down (then one delivery is
    /// tried once a minute), nor paused, nor parked.
    pub due: Option<Timestamp>,
    /// Since when its destination is.
    pub paused_since: Option<Timestamp>,
    pub down_since: Option<Timestamp>,
    pub parked_since: Option<Timestamp>,
    /// The number of the delivery that this one repeats.
    pub replay_of: Option<i64>,
}

/// One call of a shop's server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct AttemptLine {
    pub attempt: u32,
    pub at: Timestamp,
    pub milliseconds: u64,
    pub status: Option<u16>,
    /// `None`: delivered.
    pub cause: Option<String>,
    pub detail: String,
    /// The beginning of the answer, with what may be personal or secret masked.
    pub answer: String,
}

/// A line of a list: a delivery, or a notification that has none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Item {
    pub notification: NotificationLine,
    pub delivery: Option<DeliveryLine>,
}

/// Some lines of a list.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ItemPage {
    pub items: Vec<Item>,
    /// Where the next page begins. There may be one after a page without items, for a page ends after a bounded search.
    pub next: Option<Cursor>,
}

/// A place in a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cursor {
    /// After this delivery, by state and destination.
    After { state: i64, destination: i64, seq: i64 },
    /// Before this notification, by its key.
    Before(i64),
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some(r"^-?[0-9]{1,18}(\.-?[0-9]{1,18}\.-?[0-9]{1,18})?$"))
            .into()
    }
}

impl ToSchema for Cursor {}

/// Not a place in a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After {
                state,
                destination,
                seq,
            } => write!(f, "{state}.{destination}.{seq}"),
            Self::Before(key) => write!(f, "{key}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let numbers = text.split('.').map(|number| number.parse().map_err(|_| BadCursor));
        match numbers.collect::<Result<Vec<i64>, _>>()?[..] {
            [key] => Ok(Self::Before(key)),
            [state, destination, seq] => Ok(Self::After {
                state,
                destination,
                seq,
            }),
            _ => Err(BadCursor),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What a list is to hold; what is not said matches all.
#[derive(Clone, Debug, Default, Deserialize, Eq, IntoParams, PartialEq, Serialize)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// What waited while it was open, or waits, and what was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<WantedState>,
    /// The shop that is to get it; of a notification without deliveries, the named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<ShopId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The gateway's uuid of the deciding transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// Received at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Received before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// States that a list can be asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WantedState {
    Cancelled,
    Delivered,
    GivenUp,
    Parked,
    Quarantined,
    Waiting,
}

/// One notification, with everything that became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Shown {
    pub notification: NotificationLine,
    /// The first notification of the same happening, if this is a manual resend.
    pub resend_of: Option<NotificationId>,
    /// Whether its body is kept still: without one it cannot be delivered again.
    pub has_body: bool,
    /// By which it was routed.
    pub configuration: Option<ConfigurationLine>,
    /// By destination, the oldest first; no more than [`MOST_SHOWN`].
    pub deliveries: Vec<ShownDelivery>,
}

/// Deliveries of one notification that are shown.
pub(super) const MOST_SHOWN: u32 = 500;

/// A configuration that was applied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ConfigurationLine {
    pub hash: String,
    pub applied_at: Timestamp,
    pub applied_by: String,
}

/// A delivery, and why it stands where it stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ShownDelivery {
    #[serde(flatten)]
    pub line: DeliveryLine,
    /// The delivery that must end before, if it waits.
    pub behind: Option<Behind>,
    /// The last of them.
    pub last_attempts: Vec<AttemptLine>,
}

/// The first of a lane.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Behind {
    pub notification: NotificationId,
    pub attempts: u32,
    pub due: Option<Timestamp>,
}

/// Bytes of the store's files, and what is free beside them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Space {
    pub used: u64,
    pub free: u64,
}

/// How large a store is.
///
/// # Errors
///
/// The file or its disk cannot be asked.
pub fn space(store: &Path) -> io::Result<Space> {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    // There is none while nothing is written.
    let log = fs::metadata(log).map_or(0, |file| file.len());
    let disk = rustix::fs::statvfs(store)?;
    Ok(Space {
        used: fs::metadata(store)?.len() + log,
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
    })
}

impl Outbox {
    /// Every destination that there ever was, with its key in the store.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read; so for all of these.
    pub async fn destinations(&self) -> Result<Vec<(i64, DestinationLine)>, OutboxError> {
        self.shared.store.ask(sqlite::destinations).await
    }

    /// What waits for one of them.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn load(&self, destination: i64) -> Result<DestinationLoad, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::load(connection, destination))
            .await
    }

    /// What lies about.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn totals(&self) -> Result<Totals, OutboxError> {
        self.shared.store.ask(sqlite::totals).await
    }

    /// The incidents that are open.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn open_incidents(&self) -> Result<Vec<IncidentRow>, OutboxError> {
        self.shared.store.ask(sqlite::open_incidents).await
    }

    /// One incident, open or not.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Unreadable`] if there is none, or this version does not know what it says.
    pub async fn incident(&self, id: i64) -> Result<IncidentRow, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::incident(connection, id))
            .await
    }

    /// Some lines of a list: about `limit`, or fewer.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn list(&self, wanted: Wanted, from: Option<Cursor>, limit: usize) -> Result<ItemPage, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::list(connection, &wanted, from, limit))
            .await
    }

    /// A notification with everything that became of it, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn find(&self, id: NotificationId) -> Result<Option<Shown>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::find(connection, id))
            .await
    }

    /// The newest notifications about a token.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn about_token(&self, token: String, limit: u32) -> Result<Vec<NotificationId>, OutboxError> {
        self.shared
            .store
            .ask(move |connection| sqlite::about_token(connection, &token, limit))
            .await
    }

    /// The notification that was stored last.
    ///
    /// # Errors
    ///
    /// As [`Outbox::destinations`].
    pub async fn newest(&self) -> Result<Option<NotificationLine>, OutboxError> {
        self.shared.store.ask(sqlite::newest).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_read_as_it_was_written() {
        for cursor in [
            Cursor::Before(7),
            Cursor::After {
                state: 2,
                destination: 3,
                seq: 4,
            },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "x", "1.2", "1.2.3.4", "1.2.x"] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
