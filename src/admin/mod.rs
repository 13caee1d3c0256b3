//! Who may ask the running daemon, and change it: the commands, through a Unix socket; programs, by TCP.
//!
//! ```text
//!   ipn-router reload ── HTTP over ipn-router.sock ── socket ──┬─▶ api ── Asked ─▶ app
//!   programs ─ HTTP, Bearer token ────────────────▶ listener ──┘      ── reads, verbs ─▶ outbox
//!   Prometheus ─ Bearer token ────────────────────▶ listener ─▶ metrics
//!   load balancers ───────────────────────────────▶ listener ─▶ /livez, /readyz
//! ```
//!
//! The socket's file mode says who: its owner and its group (root may always). There is no token to look for at night.
//! By TCP the token says it ([`Guard`]); without one only health is told. What is asked by whom is logged.
//!
//! Whoever listens tells the routes who asks ([`Who`]); they do not know through what the request came.
//!
//! What is left out: doing it. What is only read comes from the outbox; what operators want done is written down there,
//! and the engine does it; only what concerns the whole daemon is a question to `app`.

mod api;
mod auth;
mod gauges;
mod listener;
mod page;
mod settings;
mod socket;
mod verdict;

pub use api::{
    ACKNOWLEDGE, AcknowledgeWish, Acknowledged, Asked, AskedVerb, DestinationStatus, EXPORT, ExportWish,
    ExportedNotification, FORGET, ForgetWish, Forgotten, FoundNotification, HeardLine, INCIDENTS, IncidentLine,
    MailLine, MailRefusal, NOTIFICATIONS, Paging, Parts, PersonLine, RELOAD, Refusal, RefusedReload, Reload, Running,
    STATUS, ShownIncident, ShownNotification, Status, TAIL, ToldDelivery, VERBS, VerbStanding, VerbStatus, VerbWish,
    WHERE, WhereQuery, Whereabouts, Who, Why,
};
pub use auth::Guard;
pub use listener::{Inside, Listener};
pub use settings::Settings;
pub use socket::{Admin, SocketError};
pub use verdict::{Problem, Told, Verdict, VerdictKind};
