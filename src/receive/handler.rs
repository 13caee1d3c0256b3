use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::facts::{Awaited, Facts};
use super::hourly::{Hourly, OnceAnHour};
use super::refusals::{BodyShape, Refusal, Refusals};
use super::request::Arrived;
use super::respond::{Kept, ReceiveError};
use super::signatures::Signatures;
use crate::domain::{Clock, Format, Mode, NotificationId, ShopId, Trouble};
use crate::outbox::{Accepted, Outbox, OutboxError};
use crate::route::{self, Routed, Standing};
use crate::verify::{Keyring, VerifyError};

/// Form texts without `vads_hash` that are kept for an operator in an hour (design.md 5).
const QUARANTINED_AN_HOUR: u32 = 100;
/// Anybody can name an unknown shop, so each is reported once an hour, and no more than these. One that a stranger names
/// does not hide the one that the admin forgot.
const UNKNOWN_SHOPS_AN_HOUR: usize = 100;
/// Answers held back for a named shop, of all companies; more are given at once. A quarter of the calls in work.
const WAITING: usize = 256;

/// What a notification is verified and routed by.
#[derive(Debug)]
struct Rules {
    keyring: Keyring,
    /// The key in the store of the configuration that they come from; 0: not known.
    configuration: i64,
}

/// Takes notifications in: verifies, routes and stores them, and remembers what it refused.
#[derive(Debug)]
pub struct Intake {
    /// Swapped as a whole when the configuration is reloaded; a request keeps those that it began with.
    rules: RwLock<Arc<Rules>>,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    refusals: Refusals,
    quarantined: Hourly,
    unknown_shops: OnceAnHour<(Option<String>, Format, Mode)>,
    signatures: Signatures,
    /// Answers that may wait for a named shop at once.
    waiting: Semaphore,
}

impl Intake {
    /// Stores what these keys verify in this outbox.
    pub fn new(keyring: Keyring, outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        Self {
            rules: RwLock::new(Arc::new(Rules {
                keyring,
                configuration: 0,
            })),
            outbox,
            clock,
            refusals: Refusals::default(),
            quarantined: Hourly::new(QUARANTINED_AN_HOUR),
            unknown_shops: OnceAnHour::new(UNKNOWN_SHOPS_AN_HOUR),
            signatures: Signatures::default(),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Verifies and routes by these keys and their circles from now on; `configuration` is where they come from.
    pub fn replace_rules(&self, keyring: Keyring, configuration: i64) {
        let rules = Rules { keyring, configuration };
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The last refusals, newest first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.refusals.last()
    }

    /// How many signatures were refused in a row, by the key that they should have had.
    pub fn refused_signatures(&self) -> Vec<(ShopId, Mode, Format, u32)> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        self.signatures.in_a_row(&rules.keyring)
    }

    /// Remembers and logs a refusal; the body only as a hash and a shape.
    pub(super) fn note_refusal(&self, client: IpAddr, error: &ReceiveError, body: Option<&Bytes>) {
        let (cause, _) = error.word_and_status();
        let hint = error.to_string();
        tracing::warn!(client.address = %client, cause, "refused a call from {client}: {hint}");
        self.refusals.note(Refusal {
            at: self.clock.now(),
            client,
            cause,
            hint,
            body: body.map(|body| BodyShape::of(body)),
        });
    }

    /// Answers only once the notification is on disk, or never will be by this call.
    pub(super) async fn take(self: Arc<Self>, arrived: Arrived) -> Result<Kept, ReceiveError> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let verified = match rules.keyring.verify(arrived.body.clone()) {
            Ok(verified) => verified,
            Err(why) => {
                self.report_unknown_shop(&why);
                self.report_signature(&why, &rules.keyring);
                let why = why.into();
                self.note_refusal(arrived.client, &why, Some(&arrived.body));
                return Err(why);
            }
        };
        if let Some(right) = self.signatures.verified(&verified) {
            self.report(right);
        }
        let received_at = self.clock.now();
        let routed = Routed {
            configuration: rules.configuration,
            ..route::route(
                &verified,
                NotificationId::new(received_at),
                received_at,
                arrived.headers,
            )
        };
        let patience = verified
            .circle()
            .legal_entity
            .wait_for_named_shop
            .filter(|_| routed.charge.is_some());
        let mut awaited = Awaited::new(&routed);
        // A task of its own: when the client leaves or the time is over, this future is dropped, but what was decided
        // is still stored, and what follows from that is still done.
        let stored = tokio::spawn(self.store(routed, patience)).await;
        awaited.answered = stored.is_ok();
        stored.unwrap_or_else(|_| Err(ReceiveError::Store(OutboxError::Failed("the task has ended".into()))))
    }

    /// `patience`: a buyer's result page waits for the named shop, so the answer does too.
    async fn store(self: Arc<Self>, routed: Routed, patience: Option<Duration>) -> Result<Kept, ReceiveError> {
        let facts = Facts::of(&routed);
        let standing = routed.standing;
        let doubtful = standing == Standing::Quarantined && routed.format == Format::Form;
        if doubtful && !self.quarantined.take(routed.received_at) {
            facts.log_not_stored("too many texts without vads_hash within an hour");
            return Err(ReceiveError::QuarantineFull);
        }
        // Who waits keeps a place among the calls in work; one company must not take them all.
        let place = patience.and_then(|_| self.waiting.try_acquire().ok());
        let accepted = match (patience, &place) {
            (Some(patience), Some(_)) => self.outbox.accept_and_wait(routed, patience).await,
            _ => self.outbox.accept(routed).await,
        };
        if doubtful && !matches!(accepted, Ok(Accepted::Stored)) {
            self.quarantined.put_back();
        }
        match accepted {
            Ok(Accepted::Duplicate { first }) => {
                facts.log_kept("duplicate");
                Ok(Kept::Duplicate(first))
            }
            Ok(Accepted::Stored) => {
                facts.log_kept("new");
                Ok(match standing {
                    Standing::Parked | Standing::Quarantined => Kept::Parked(facts.id),
                    Standing::Routed if place.is_some() => Kept::Awaited(facts.id),
                    Standing::Routed => Kept::Stored(facts.id),
                })
            }
            Err(why) => {
                facts.log_not_stored(&why.to_string());
                self.outbox.not_stored(facts.lost());
                Err(ReceiveError::Store(why))
            }
        }
    }

    /// One call was put off unread.
    pub(super) fn put_off(&self) {
        self.outbox.put_off(self.clock.now());
    }

    fn report_signature(self: &Arc<Self>, why: &VerifyError, keyring: &Keyring) {
        if let Some(wrong) = self.signatures.refused(why, keyring, self.clock.now()) {
            self.report(wrong);
        }
    }

    fn report_unknown_shop(self: &Arc<Self>, why: &VerifyError) {
        let VerifyError::UnknownShop { shop, mode, format, .. } = why else {
            return;
        };
        // A text without a mode lacks a key for either.
        let (format, mode) = (*format, mode.unwrap_or(Mode::Production));
        if self
            .unknown_shops
            .is_new((shop.clone(), format, mode), self.clock.now())
        {
            self.report(Trouble::UnknownShop {
                site_id: shop.clone(),
                format,
                mode,
            });
        }
    }

    /// Tells the operators, without keeping the gateway waiting.
    fn report(self: &Arc<Self>, trouble: Trouble) {
        let intake = Arc::clone(self);
        tokio::spawn(async move {
            let word = trouble.word();
            if let Err(why) = intake.outbox.report(trouble, intake.clock.now()).await {
                tracing::error!(trouble = word, error = %why, "cannot tell the operators ({word}): {why}");
            }
        });
    }
}
