//! Who may ask the running daemon, and change it: the commands, through a Unix socket.
//!
//! ```text
//!   ipn-router reload ── HTTP over ipn-router.sock ─▶ api ── Asked ─▶ app
//!                                                    ── reads, verbs ─▶ outbox
//! ```
//!
//! The socket's file mode says who: its owner and its group (root may always). There is no token to look for at night.
//! What is asked by whom is logged.
//!
//! Whoever listens tells the routes who asks ([`Who`]); they do not know through what the request came.
//!
//! What is left out: doing it. What is only read comes from the outbox; what operators want done is written down there,
//! and the engine does it; only what concerns the whole daemon is a question to `app`.

mod api;
mod socket;
mod verdict;

pub use api::{
    Asked, AskedVerb, DestinationStatus, FoundNotification, HeardLine, INCIDENTS, IncidentLine, NOTIFICATIONS, Paging,
    Parts, RELOAD, Refusal, Reload, Running, STATUS, ShownIncident, ShownNotification, Status, TAIL, ToldDelivery,
    VERBS, VerbStanding, VerbStatus, VerbWish, WHERE, WhereQuery, Whereabouts, Who, Why,
};
pub use socket::{Admin, SocketError};
pub use verdict::{Problem, Told, Verdict, VerdictKind};
