//! TOML to the settings of every part.

use std::sync::Arc;

use crate::domain::Circle;
use crate::verify::ShopKeys;
use crate::{alert, deliver, outbox, receive};

/// The whole configuration, checked: nothing after this checks again.
#[derive(Clone, Debug)]
pub struct Config {
    pub receiver: receive::Settings,
    pub store: outbox::Settings,
    pub circles: Vec<Arc<Circle>>,
    /// For every shop and mode that has a key.
    pub keys: Vec<ShopKeys>,
    /// For every URL of every enabled shop of an enabled company, once per rendition.
    pub destinations: Vec<deliver::Settings>,
    pub alert: alert::Settings,
}
