use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use super::handler::Intake;
use super::request::{Arrived, Call, read_whole};
use super::respond::{Kept, ReceiveError, respond};
use super::settings::Settings;
use crate::metrics::Receiving;

/// From a request's head to an answer; clones share their limits and counts.
#[derive(Clone)]
pub(super) struct Stack {
    layers: BoxCloneService<Call, Kept, BoxError>,
    intake: Arc<Intake>,
    counts: Receiving,
}

impl Stack {
    pub(super) fn new(settings: &Arc<Settings>, intake: &Arc<Intake>) -> Self {
        let reader = Reader {
            settings: Arc::clone(settings),
            intake: Arc::clone(intake),
        };
        let taking = Arc::clone(intake);
        let layers = ServiceBuilder::new()
            // Full means "try later" now: a queue here would only make the gateway wait for its time-out.
            .load_shed()
            .concurrency_limit(settings.max_in_flight.get())
            // Reads the request to its end, within a time of its own, so that the next time-out is about our work only.
            .filter_async(move |call| reader.clone().read(call))
            // A cut-off request may still be committed; the notification's identity covers that.
            .timeout(settings.answer_timeout)
            .service_fn(move |arrived| Arc::clone(&taking).take(arrived))
            .boxed_clone();
        Self {
            layers,
            intake: Arc::clone(intake),
            counts: Receiving::default(),
        }
    }

    pub(super) fn counts(&self) -> &Receiving {
        &self.counts
    }

    /// Sends a call through the layers; outermost, so that what a layer refuses is answered and counted too.
    pub(super) async fn answer(self, call: Call) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let outcome = self.layers.oneshot(call).await.map_err(ReceiveError::from);
        if let Err(ReceiveError::Busy) = outcome {
            tracing::error!("put a call off unread: too many requests at once; the gateway may not send it again");
            self.intake.put_off();
        }
        let (word, response) = respond(&outcome);
        self.counts.answered(word);
        if matches!(outcome, Ok(Kept::Duplicate(_) | Kept::Parked(_) | Kept::Stored(_))) {
            self.counts.acknowledged(began.elapsed());
        }
        response
    }
}

#[derive(Clone)]
struct Reader {
    settings: Arc<Settings>,
    intake: Arc<Intake>,
}

impl Reader {
    async fn read(self, call: Call) -> Result<Arrived, ReceiveError> {
        let client = call.client;
        let read = read_whole(call, &self.settings).await;
        if let Err(why) = &read {
            self.intake.note_refusal(client, why, None);
        }
        read
    }
}
