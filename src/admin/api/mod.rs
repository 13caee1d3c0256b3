//! The routes, one file for each group of them.

mod acknowledge;
mod list;
mod refusal;
mod reload;
mod show;
mod status;
mod tail;
mod verbs;
mod whereabouts;
mod who;
mod why;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::alert;
use crate::deliver::{Circles, Verbs};
use crate::domain::Clock;
use crate::outbox::Outbox;
use crate::receive::Intake;

pub use acknowledge::{ACKNOWLEDGE, AcknowledgeWish, Acknowledged};
pub use list::{NOTIFICATIONS, Paging};
pub use refusal::Refusal;
pub use reload::{Asked, RELOAD, RefusedReload, Reload};
pub use show::{INCIDENTS, IncidentLine, ShownIncident, ShownNotification, ToldDelivery};
pub(in crate::admin) use status::look;
pub use status::{DestinationStatus, HeardLine, MailLine, MailRefusal, STATUS, Status};
pub use tail::TAIL;
pub use verbs::{AskedVerb, VERBS, VerbStanding, VerbStatus, VerbWish};
pub use whereabouts::{FoundNotification, WHERE, WhereQuery, Whereabouts};
pub use who::Who;
pub use why::Why;

/// What the routes look at, and what does what they are asked for.
#[derive(Clone, Debug)]
pub struct Parts {
    pub outbox: Outbox,
    /// Remembers what was refused.
    pub intake: Arc<Intake>,
    /// The store's file.
    pub store: PathBuf,
    /// Says what a verb would do.
    pub verbs: Verbs,
    /// The configuration of now, as far as it routes.
    pub circles: watch::Receiver<Circles>,
    pub running: watch::Receiver<Running>,
    /// Knows how the sending of e-mails goes.
    pub alert: alert::Control,
    pub clock: Arc<dyn Clock>,
    /// For what only `app` can do.
    pub questions: mpsc::Sender<Asked>,
}

/// What can be said of the daemon itself.
#[derive(Clone, Debug)]
pub struct Running {
    pub since: Timestamp,
    /// Where the gateway's calls arrive.
    pub listen: SocketAddr,
    /// The hash of the configuration's texts.
    pub configuration: String,
    /// Why the files are not what runs, if that was asked for last.
    pub refused: Option<RefusedReload>,
}

/// Every route. Whoever mounts it puts a [`Who`] into the extensions of each request.
pub(super) fn router(parts: Parts) -> Router {
    Router::new()
        .route(RELOAD, post(reload::reload))
        .route(STATUS, get(status::status))
        .route(NOTIFICATIONS, get(list::list))
        .route(&format!("{NOTIFICATIONS}/{{id}}"), get(show::notification))
        .route(&format!("{INCIDENTS}/{{id}}"), get(show::incident))
        .route(
            &format!("{INCIDENTS}/{{id}}/{ACKNOWLEDGE}"),
            post(acknowledge::acknowledge),
        )
        .route(WHERE, get(whereabouts::find))
        .route(TAIL, get(tail::tail))
        .route(VERBS, post(verbs::ask))
        .route(&format!("{VERBS}/{{id}}"), get(verbs::standing))
        .with_state(Arc::new(parts))
}
