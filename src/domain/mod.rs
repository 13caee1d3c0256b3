//! The nouns of the trade and the pure state machines: no socket, no file, no clock of its own.

mod attempt;
mod circle;
mod clock;
mod delivery;
mod health;
mod excerpt;
mod ids;
mod incident;
mod kind;
mod mode;
mod retry;
mod secret;
mod silence;
mod stored;
mod trouble;
mod verb;

pub use attempt::{Answer, Cause, Outcome, Verdict};
pub use circle::{Circle, ForeignOrders, LegalEntity, Member};
pub use clock::{Clock, SystemClock, TestClock};
pub use delivery::{DestinationKey, Lane, Rendition};
pub use excerpt::{one_line, shown_token, shown_url, useful_text};
pub use health::{Decision, Failure, Health, PROBE_EVERY};
pub use ids::{BadId, LegalEntityId, NotificationId, ShopId};
pub use incident::{Attempted, GivenUp, Incident, LastFailure, Symptom};
pub use kind::{Kind, KindPattern};
pub use mode::{Format, Mode};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use silence::{Expectation, Hearing, SilenceDue};
pub use trouble::Trouble;
pub use verb::{DestinationFilter, Ended, Period, Scope, Selection, Verb};
