//! Notifications and their deliveries, kept across restarts.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::{Format, Kind, LegalEntityId, Mode, NotificationId, ShopId};

/// `[store]`: where notifications are kept, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The SQLite file (`url = "sqlite:/…"`).
    pub path: PathBuf,
    /// Bodies, after the last delivery.
    pub keep_bodies: Duration,
    /// Everything else.
    pub keep_records: Duration,
}

/// A stored notification, as a delivery needs it.
#[derive(Clone, Debug)]
pub struct StoredNotification {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub legal_entity: LegalEntityId,
    /// The named shop.
    pub shop: ShopId,
    pub mode: Mode,
    pub format: Format,
    pub kind: Kind,
    /// The identity of the event that the other shops learn.
    pub event: Option<[u8; 16]>,
    /// For a manual resend: the first notification of the same happening.
    pub resend_of: Option<NotificationId>,
    /// The received header lines, `name: value`, one a line.
    pub headers: String,
    pub body: Bytes,
}
