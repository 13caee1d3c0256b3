//! The routes, one file for each group of them.

mod acknowledge;
mod description;
mod list;
mod persons;
mod read;
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
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::alert;
use crate::deliver::{Circles, Verbs};
use crate::domain::Clock;
use crate::outbox::Outbox;
use crate::receive::Intake;

pub use acknowledge::{ACKNOWLEDGE, AcknowledgeWish, Acknowledged};
pub use list::{NOTIFICATIONS, Paging};
pub use persons::{EXPORT, ExportWish, ExportedNotification, FORGET, ForgetWish, Forgotten, PersonLine};
use read::{Body, InPath, InQuery};
pub use refusal::Refusal;
use refusal::Refusals;
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
    /// What of it only the next restart changes.
    pub waits_for_restart: Vec<&'static str>,
    /// Why the files are not what runs, if that was asked for last.
    pub refused: Option<RefusedReload>,
}

/// Every route. Whoever mounts it puts a [`Who`] into the extensions of each request.
pub(super) fn router(parts: Parts) -> Router {
    let (router, _) = routes().split_for_parts();
    router.with_state(Arc::new(parts))
}

/// The routes with their descriptions: `routes!` takes no handler without one.
fn routes() -> OpenApiRouter<Arc<Parts>> {
    OpenApiRouter::with_openapi(description::head())
        .routes(routes!(acknowledge::acknowledge))
        .routes(routes!(description::describe))
        .routes(routes!(list::list))
        .routes(routes!(persons::export))
        .routes(routes!(persons::forget))
        .routes(routes!(reload::reload))
        .routes(routes!(show::incident))
        .routes(routes!(show::notification))
        .routes(routes!(status::status))
        .routes(routes!(tail::tail))
        .routes(routes!(verbs::ask))
        .routes(routes!(verbs::standing))
        .routes(routes!(whereabouts::find))
}
