//! Carries out what operators ask for, one step after the other.
//!
//! What a verb means and writes is the outbox's; here is what the outbox must not know: the configuration of now, by
//! which a notification is routed anew, and how long to rest between two steps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::{Circle, Clock, LegalEntityId, Mode, ShopId, Verb};
use crate::outbox::{
    Batch, Foreseen, Found, Kept, LeftOut, Outbox, OutboxError, Progress, Rerouted, VerbId, VerbResult, VerbState,
};
use crate::route::{Plan, Standing, lane, plan};
use crate::verify::Content;

/// After a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// After each step it rests this many times as long as the step took: a fifth of the store's time at most is ours, on
/// any disk.
const REST: u32 = 4;

/// The circles of the configuration.
pub type Circles = Arc<Vec<Arc<Circle>>>;

/// Carries out the operators' verbs.
#[derive(Clone, Debug)]
pub struct Verbs {
    outbox: Outbox,
    circles: watch::Receiver<Circles>,
    clock: Arc<dyn Clock>,
}

impl Verbs {
    /// Will route by the circles as they are at each step.
    pub fn new(outbox: Outbox, circles: watch::Receiver<Circles>, clock: Arc<dyn Clock>) -> Self {
        Self { outbox, circles, clock }
    }

    /// Carries out verb after verb, as they are asked for, until `stop`. What is under way then goes on after the next
    /// start.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let turn = async {
                match self.turn().await {
                    Ok(true) => {}
                    Ok(false) => self.outbox.verb_asked().notified().await,
                    Err(error) => {
                        tracing::error!(%error, "cannot carry out what operators ask for, trying again: {error}");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = turn => {}
            }
        }
    }

    /// Counts what a verb would do, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Failed`] if the store cannot be read.
    pub async fn foresee(&self, verb: &Verb) -> Result<VerbResult, OutboxError> {
        let mut progress = match self.begin(verb).await? {
            Ok(progress) => progress,
            Err(failed) => return Ok(failed),
        };
        let mut foreseen = Foreseen::default();
        loop {
            let started = Instant::now();
            let batch;
            (batch, progress) = self.look(verb, progress).await?;
            (progress, foreseen) = self.outbox.foresee(verb, batch, progress, foreseen).await?;
            if progress.is_over() {
                return Ok(progress.result);
            }
            tokio::time::sleep(started.elapsed() * REST).await;
        }
    }

    /// Whether there was something to do.
    async fn turn(&self) -> Result<bool, OutboxError> {
        let Some(id) = self.outbox.next_verb().await? else {
            return Ok(false);
        };
        match self.carry_out(id).await {
            // Written by a newer version, perhaps. Another try would find the same.
            Err(OutboxError::Unreadable(why)) => {
                tracing::error!(verb.id = %id, "cannot carry out verb {id}: {why}");
                self.end(id, VerbResult::failed(why)).await?;
            }
            other => other?,
        }
        Ok(true)
    }

    /// Carries a verb out from where it stands, or until a quick one is to go first.
    async fn carry_out(&self, id: VerbId) -> Result<(), OutboxError> {
        let row = self.outbox.verb(id).await?;
        let verb = &row.verb;
        let mut progress = match row.state {
            VerbState::Done { .. } => return Ok(()),
            VerbState::UnderWay(progress) => progress,
            VerbState::Asked => match self.begin(verb).await? {
                Ok(progress) => progress,
                Err(failed) => return self.end(id, failed).await,
            },
        };
        loop {
            let started = Instant::now();
            let batch;
            (batch, progress) = self.look(verb, progress).await?;
            if progress.is_over() || !batch.is_empty() {
                progress = self.outbox.act(id, verb, batch, progress, self.clock.now()).await?;
            }
            if progress.is_over() {
                let (asked_by, result) = (&row.asked_by, &progress.result);
                tracing::info!(verb.id = %id, %asked_by, "carried out verb {id} of {asked_by}: {result}");
                return Ok(());
            }
            tokio::time::sleep(started.elapsed() * REST).await;
            if self.outbox.next_verb().await? != Some(id) {
                // A pause does not wait behind a backfill, which goes on afterwards.
                let nothing = Batch::Deliveries(Vec::new());
                self.outbox.act(id, verb, nothing, progress, self.clock.now()).await?;
                return Ok(());
            }
        }
    }

    async fn end(&self, id: VerbId, result: VerbResult) -> Result<(), OutboxError> {
        self.outbox.end_verb(id, result, self.clock.now()).await
    }

    /// Where a verb begins, or why it cannot.
    async fn begin(&self, verb: &Verb) -> Result<Result<Progress, VerbResult>, OutboxError> {
        let legal_entity = match verb {
            Verb::Backfill { shop, mode, .. } => match self.legal_entity_of(*shop, *mode) {
                Some(id) => Some(id),
                None => {
                    let why = format!("no company of the configuration has a shop {shop} in mode {mode}");
                    return Ok(Err(VerbResult::failed(why)));
                }
            },
            Verb::Cancel(_) | Verb::Pause(_) | Verb::Release { .. } | Verb::Replay { .. } | Verb::Resume(_) => None,
        };
        self.outbox
            .begin_verb(verb, legal_entity, self.clock.now())
            .await
            .map(Ok)
    }

    fn legal_entity_of(&self, shop: ShopId, mode: Mode) -> Option<LegalEntityId> {
        let circles = self.circles.borrow();
        let circle = circles
            .iter()
            .find(|circle| circle.mode == mode && circle.member(shop).is_some())?;
        Some(circle.legal_entity.id.clone())
    }

    /// What comes next, routed where it has to be.
    async fn look(&self, verb: &Verb, progress: Progress) -> Result<(Batch, Progress), OutboxError> {
        let (found, mut progress) = self.outbox.look(verb, progress).await?;
        let batch = match found {
            Found::Deliveries(deliveries) => Batch::Deliveries(deliveries),
            Found::Notifications(kept) => {
                let circles = Arc::clone(&self.circles.borrow());
                let reroute = |kept| reroute(verb, kept, &circles, &mut progress.result);
                Batch::Notifications(kept.iter().filter_map(reroute).collect())
            }
        };
        Ok((batch, progress))
    }
}

/// What follows for a stored notification from the configuration of now, as far as the verb wants it. Notes in the
/// result what is left out.
fn reroute(verb: &Verb, kept: &Kept, circles: &[Arc<Circle>], result: &mut VerbResult) -> Option<Rerouted> {
    let plan = match plan_anew(verb, kept, circles) {
        Ok(plan) => plan,
        Err(why) => {
            result.leave_out(why);
            return None;
        }
    };
    let lane = lane(&plan.happening, kept.id);
    let transaction = plan.happening.transaction_uuid().map(str::to_owned);
    let destinations = match verb {
        Verb::Backfill { shop, .. } => {
            if plan.destinations.withheld.contains(shop) {
                result.leave_out(LeftOut::Withheld);
            }
            let mut keys = plan.destinations.into_keys();
            keys.retain(|key| key.shop == *shop);
            if keys.is_empty() {
                return None;
            }
            keys
        }
        _ if plan.destinations.reachable.is_empty() => {
            result.leave_out(LeftOut::NothingReachable);
            return None;
        }
        _ => plan.destinations.into_keys(),
    };
    Some(Rerouted {
        key: kept.key,
        received_at: kept.received_at,
        kind: plan.kind,
        token: plan.happening.token,
        transaction,
        identity: plan.identified.identity,
        resend_of: plan.identified.resend_of,
        event: kept.event.or(plan.event),
        lane,
        destinations,
    })
}

fn plan_anew(verb: &Verb, kept: &Kept, circles: &[Arc<Circle>]) -> Result<Plan, LeftOut> {
    let releases = matches!(verb, Verb::Release { .. });
    if kept.standing == Standing::Quarantined && !releases {
        return Err(LeftOut::Quarantined);
    }
    let body = kept.body.as_ref().ok_or(LeftOut::BodyDeleted)?;
    let circle = circles
        .iter()
        .find(|circle| circle.legal_entity.id == kept.legal_entity && circle.mode == kept.mode)
        .ok_or(LeftOut::NotConfigured)?;
    let content = Content::decode(body).map_err(|_| LeftOut::Unreadable)?;
    Ok(plan(&content, kept.shop, circle, kept.received_at, false))
}
