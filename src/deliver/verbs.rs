//! Carries out what operators ask for, one step after the other.
//!
//! What a verb means and writes is the outbox's; here is what the outbox must not know: the configuration of now, by
//! which a notification is routed anew, and how long to rest between two steps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::{Circle, Clock, DestinationFilter, LegalEntityId, Mode, ShopId, Verb};
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
                    Ok(false) => self.rest().await,
                    Err(error) => {
                        tracing::error!(%error, "cannot carry out what operators ask for, trying again: {error}");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return self.outbox.stop_verbs(),
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

    /// Until something is asked for, or a pause is over.
    async fn rest(&self) {
        let next = match self.end_pauses().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "cannot see whether a pause is over, trying again: {error}");
                Some(STORE_PAUSE)
            }
        };
        let over = async {
            match next {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.outbox.verb_asked().notified() => {}
            () = over => {}
        }
    }

    /// Resumes what was paused until now, and returns how long it is until the next pause is over.
    async fn end_pauses(&self) -> Result<Option<Duration>, OutboxError> {
        let now = self.clock.now();
        let (over, others): (Vec<_>, Vec<_>) = self
            .outbox
            .pauses()
            .await?
            .into_iter()
            .partition(|(_, until)| *until <= now);
        for (key, until) in over {
            let meant = DestinationFilter {
                legal_entity: Some(key.legal_entity),
                shop: Some(key.shop),
                mode: Some(key.mode),
                rendition: Some(key.rendition),
            };
            let why = format!("the pause until {until}");
            self.outbox.ask_for(Verb::Resume(meant), &why, now).await?;
        }
        let next = others.iter().map(|(_, until)| *until).min();
        Ok(next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default()))
    }

    /// Whether there was something to do.
    async fn turn(&self) -> Result<bool, OutboxError> {
        let Some(id) = self.outbox.next_verb().await? else {
            return Ok(false);
        };
        match self.carry_out(id).await {
            // Another try would find the same.
            Err(OutboxError::Unreadable(why)) => {
                tracing::error!(verb.id = %id, error = why, "cannot carry out verb {id}: {why}");
                let done_before = match self.outbox.verb(id).await.map(|row| row.state) {
                    Ok(VerbState::UnderWay(progress)) => progress.result,
                    // The verb itself may be what cannot be read.
                    _ => VerbResult::default(),
                };
                let failed = Some(why);
                self.end(id, VerbResult { failed, ..done_before }).await?;
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
            if kept.standing == Standing::Parked {
                // It waits for all of its shops: one alone must not take it from the others.
                result.leave_out(LeftOut::Parked);
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{
        DestinationFilter, ForeignOrders, LegalEntity, Member, NotificationId, Period, Rendition, Scope, Selection,
    };

    const PARIS: &str = "12345678";
    const LYON: &str = "23456789";

    /// Paris is notified by form; Lyon learns by event, and by form what carries no order.
    fn circles(legal_entity: &str) -> [Arc<Circle>; 1] {
        let member = |shop: &str, event_url: Option<&str>| Member {
            shop: shop.parse().unwrap(),
            name: String::new(),
            enabled: true,
            form_url: Some("https://shop.example/form".parse().unwrap()),
            rest_url: None,
            event_url: event_url.map(|url| url.parse().unwrap()),
            learns_by_event: true,
            learns_by_form: true,
            learns_by_rest: true,
            foreign_orders: ForeignOrders::Withhold,
            notified_by_form: shop == PARIS,
            notified_by_rest: false,
        };
        let legal_entity = LegalEntity {
            id: legal_entity.parse().unwrap(),
            name: String::new(),
            enabled: true,
            share: vec!["token.*".parse().unwrap()],
            wait_for_named_shop: None,
        };
        [Arc::new(Circle {
            legal_entity: Arc::new(legal_entity),
            mode: Mode::Test,
            members: vec![member(PARIS, None), member(LYON, Some("https://shop.example/events"))],
        })]
    }

    fn kept(body: &str) -> Kept {
        Kept {
            key: 7,
            id: NotificationId::before(Timestamp::UNIX_EPOCH),
            received_at: Timestamp::UNIX_EPOCH,
            legal_entity: "acme".parse().unwrap(),
            shop: PARIS.parse().unwrap(),
            mode: Mode::Test,
            standing: Standing::Routed,
            event: None,
            body: Some(body.to_owned().into()),
        }
    }

    const CREATED: &str =
        "vads_page_action=REGISTER&vads_identifier=token-1&vads_identifier_status=CREATED&vads_trans_uuid=ab01";

    fn backfill(shop: &str) -> Verb {
        let (from, until) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        Verb::Backfill {
            shop: shop.parse().unwrap(),
            mode: Mode::Test,
            received: Period { from, until },
        }
    }

    fn release() -> Verb {
        let notification = NotificationId::before(Timestamp::UNIX_EPOCH);
        Verb::Release { notification }
    }

    fn replay() -> Verb {
        Verb::Replay {
            which: Selection {
                scope: Scope::Incident(1),
                destinations: DestinationFilter::default(),
                kind: None,
            },
            ended: None,
            as_new: false,
        }
    }

    /// Shops and renditions that get it, or why it is left out.
    fn outcome(verb: &Verb, kept: &Kept, circles: &[Arc<Circle>]) -> (Vec<(String, Rendition)>, Vec<LeftOut>) {
        let mut result = VerbResult::default();
        let rerouted = reroute(verb, kept, circles, &mut result);
        let destinations = rerouted.map(|rerouted| rerouted.destinations).unwrap_or_default();
        let to = destinations
            .into_iter()
            .map(|key| (key.shop.to_string(), key.rendition));
        (to.collect(), result.left_out.into_keys().collect())
    }

    #[test]
    fn backfill_is_for_its_shop_alone_and_release_for_all() {
        use crate::domain::Format::Form;
        let (paris, lyon) = (PARIS.to_owned(), LYON.to_owned());
        let event = (lyon.clone(), Rendition::Event);
        let re_signed = (lyon, Rendition::ReSigned(Form));
        let as_received = (paris, Rendition::AsReceived(Form));
        let circles = circles("acme");
        let created = kept(CREATED);
        for (verb, expected) in [
            (backfill(LYON), vec![event.clone(), re_signed.clone()]),
            (backfill(PARIS), vec![as_received.clone()]),
            (backfill("99999999"), vec![]),
            (release(), vec![as_received, event.clone(), re_signed]),
        ] {
            assert_eq!(outcome(&verb, &created, &circles), (expected, vec![]), "{verb:?}");
        }
        let with_order = kept(&format!("{CREATED}&vads_order_id=1"));
        let withheld = outcome(&backfill(LYON), &with_order, &circles);
        assert_eq!(withheld, (vec![event], vec![LeftOut::Withheld]));
    }

    #[test]
    fn what_cannot_be_routed_anew_is_left_out_with_its_reason() {
        let created = || kept(CREATED);
        let quarantined = Kept {
            standing: Standing::Quarantined,
            ..created()
        };
        let parked = Kept {
            standing: Standing::Parked,
            ..created()
        };
        let deleted = Kept {
            body: None,
            ..created()
        };
        let (of_acme, of_bravo) = (circles("acme"), circles("bravo"));
        let nowhere = [Arc::new(Circle {
            members: Vec::new(),
            ..(*of_acme[0]).clone()
        })];
        for (verb, kept, circles, why) in [
            (backfill(LYON), &quarantined, &of_acme, LeftOut::Quarantined),
            (replay(), &quarantined, &of_acme, LeftOut::Quarantined),
            (backfill(LYON), &parked, &of_acme, LeftOut::Parked),
            (release(), &deleted, &of_acme, LeftOut::BodyDeleted),
            (backfill(LYON), &created(), &of_bravo, LeftOut::NotConfigured),
            (backfill(LYON), &kept("%"), &of_acme, LeftOut::Unreadable),
            (release(), &created(), &nowhere, LeftOut::NothingReachable),
        ] {
            assert_eq!(outcome(&verb, kept, circles), (vec![], vec![why]), "{verb:?}");
        }
        assert!(!outcome(&release(), &quarantined, &of_acme).0.is_empty());
        assert!(!outcome(&replay(), &parked, &of_acme).0.is_empty());
    }

    #[test]
    fn event_that_it_had_from_the_beginning_stays_its_event() {
        let had = Kept {
            event: Some([1; 16]),
            ..kept(CREATED)
        };
        let circles = circles("acme");
        let event = |kept| {
            reroute(&backfill(LYON), kept, &circles, &mut VerbResult::default())
                .unwrap()
                .event
        };
        assert_eq!(event(&had), Some([1; 16]));
        assert!(event(&kept(CREATED)).is_some_and(|event| event != [1; 16]));
    }
}
