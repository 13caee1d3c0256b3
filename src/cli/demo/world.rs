//! Everybody in the demo, and what can be made to happen.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Seen;
use super::company::City;
use super::ledger::Ledger;
use super::mailbox::Mail;
use super::shop::{Call, Shop, Verdict};
use super::stage::{Actor, Mark, Stage};
use crate::cli::simulator::{self, Gateway, Occasion, Occurrence};
use crate::deliver::Connection;
use crate::domain::{Clock, Format, Kind, NotificationId, Rendition};

/// For what happens within milliseconds.
const AT_ONCE: Duration = Duration::from_secs(3);

/// What becomes of a delivery at first, with a note about it.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Arrives(&'static str),
    Fails(&'static str),
    Waits(&'static str),
}

pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) clock: Arc<dyn Clock>,
    /// The gateway's side of Paris, by form and by REST.
    pub(super) gateways: [Gateway; 2],
    pub(super) receiver: Url,
    pub(super) connection: Connection,
    pub(super) shops: [Arc<Shop>; 3],
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
    pub(super) ledger: Ledger,
    /// Every call that a shop has answered, in order.
    pub(super) calls: Vec<Call>,
    pub(super) mails: Vec<Mail>,
    /// Notifications that were acknowledged as stored.
    pub(super) acknowledged: usize,
}

impl World {
    pub(super) fn occurrence(&self, kind: Kind) -> Occurrence {
        Occurrence::new(kind, self.clock.now())
    }

    /// The gateway's notification of Paris.
    pub(super) fn written(&self, format: Format, occurrence: &Occurrence, occasion: Occasion) -> anyhow::Result<Bytes> {
        let gateway = self.gateways.iter().find(|gateway| gateway.format() == format);
        let gateway = gateway.context("Paris is notified in both formats")?;
        Ok(gateway.tell(occurrence, occasion, self.clock.now())?)
    }

    /// The same, by somebody who has no key.
    pub(super) fn forged(&self, like: &Occurrence) -> anyhow::Result<Bytes> {
        let [gateway, _] = &self.gateways;
        let forger = Gateway {
            key: gateway.key.wrong(),
            ..gateway.clone()
        };
        Ok(forger.tell(like, Occasion::First, self.clock.now())?)
    }

    /// The gateway notifies Paris of something new, and these shops hear of it.
    pub(super) async fn tell(
        &mut self,
        format: Format,
        occurrence: &Occurrence,
        hears: &[(City, Rendition, Fate)],
    ) -> anyhow::Result<NotificationId> {
        let body = self.written(format, occurrence, Occasion::First)?;
        let token = occurrence.token.as_deref().unwrap_or_default();
        let what = format!("{} by {format}", occurrence.kind);
        let note = format!("for Paris; token {token}");
        self.stage.line(Actor::Gateway, Mark::Sends, &what, &note)?;
        let begun = Instant::now();
        let answer = self.post(body.clone()).await?;
        let took = begun.elapsed();
        let id = answer.strip_prefix("200 OK-stored ").and_then(|id| id.parse().ok());
        let id: NotificationId = id.with_context(|| format!("the router has answered: {answer}"))?;
        self.acknowledged += 1;
        let note = format!("on disk, answered in {} ms", took.as_millis());
        self.stage.line(Actor::Router, Mark::Fine, &answer, &note)?;

        let hears: Vec<_> = hears
            .iter()
            .map(|(city, rendition, fate)| {
                let delivery = self.ledger.owe(id, *city, *rendition, &body);
                (*city, *rendition, *fate, delivery)
            })
            .collect();
        self.until(AT_ONCE, |world| {
            hears.iter().all(|(.., fate, delivery)| match fate {
                Fate::Arrives(_) => world.ledger.has_arrived(delivery),
                Fate::Fails(_) => world.calls.iter().any(|call| call.delivery == *delivery),
                Fate::Waits(_) => true,
            })
        })
        .await;
        for (city, rendition, fate, delivery) in hears {
            let call = self.calls.iter().find(|call| call.delivery == delivery);
            let after = call.map_or(0, |call| call.at.saturating_duration_since(begun).as_millis());
            let (mark, note) = match fate {
                Fate::Arrives(note) if self.ledger.has_arrived(&delivery) => {
                    let colon = if note.is_empty() { "" } else { ": " };
                    (Mark::Fine, format!("after {after} ms{colon}{note}"))
                }
                Fate::Arrives(_) => (Mark::Failed, "has not arrived".to_owned()),
                Fate::Fails(note) => (Mark::Failed, note.to_owned()),
                Fate::Waits(note) => (Mark::Waits, note.to_owned()),
            };
            self.stage.line(Actor::Shop(city), mark, in_words(rendition), &note)?;
        }
        Ok(id)
    }

    /// Somebody sends a body from which nothing follows but an answer that begins so.
    pub(super) async fn expect(
        &mut self,
        (actor, what): (Actor, &str),
        body: Bytes,
        expected: &str,
        note: &str,
    ) -> anyhow::Result<()> {
        self.stage.line(actor, Mark::Sends, what, "")?;
        let answer = self.post(body).await?;
        ensure!(
            answer.starts_with(expected),
            "the router has answered: {answer}, not {expected}"
        );
        self.stage.line(Actor::Router, Mark::Fine, &answer, "")?;
        self.stage.line(Actor::Router, Mark::Nothing, note, "")?;
        Ok(())
    }

    /// Shows the last event that a shop has received, as it was.
    pub(super) fn show_event(&mut self, city: City) -> io::Result<()> {
        let events = Rendition::Event.word();
        let mut calls = self.calls.iter().rev();
        let call = calls.find(|call| call.city == city && call.delivery.ends_with(events));
        let Some(call) = call else { return Ok(()) };
        let head = format!("webhook-id: {}", call.delivery);
        let body = String::from_utf8_lossy(&call.body);
        let lines = broken_at_commas(&body);
        self.stage
            .quote(std::iter::once(head.as_str()).chain(lines.iter().map(String::as_str)))
    }

    pub(super) fn take_down(&self, city: City) {
        self.shop(city).is_down.store(true, Ordering::SeqCst);
    }

    pub(super) fn bring_back(&self, city: City) {
        self.shop(city).is_down.store(false, Ordering::SeqCst);
    }

    /// Plants a loss: a shop that says yes and forgets.
    pub(super) fn let_forget(&self, city: City) {
        self.shop(city).forgets_next.store(true, Ordering::SeqCst);
    }

    /// Lets some time pass.
    pub(super) async fn pause(&mut self, pause: Duration) {
        self.until(pause, |_| false).await;
    }

    /// Shows each failed attempt until so many e-mails have come, then the last of them.
    pub(super) async fn wait_for_mail(&mut self, count: usize, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while self.mails.len() < count && Instant::now() < deadline {
            let shown = self.calls.len();
            self.until(deadline - Instant::now(), |world| {
                world.mails.len() >= count || world.calls.len() > shown
            })
            .await;
            for call in self.calls.split_off(shown) {
                self.show(&call)?;
                self.calls.push(call);
            }
        }
        match self.mails.get(count - 1) {
            Some(mail) => self.stage.mail(mail)?,
            None => self
                .stage
                .line(Actor::Mailbox, Mark::Failed, "no e-mail", "though one was due")?,
        }
        Ok(())
    }

    /// Shows what arrives at a shop until it has all that it is owed.
    pub(super) async fn wait_for_backlog(&mut self, city: City, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let is_complete = |world: &Self| {
            let (owed, arrived) = world.ledger.count(city);
            owed == arrived
        };
        while !is_complete(self) && Instant::now() < deadline {
            let shown = self.calls.len();
            self.until(deadline - Instant::now(), |world| world.calls.len() > shown)
                .await;
            for call in self.calls.split_off(shown) {
                self.show(&call)?;
                self.calls.push(call);
            }
        }
        Ok(())
    }

    /// Takes note of what shops and mailbox see until it is enough, or the time is over.
    pub(super) async fn until(&mut self, patience: Duration, is_enough: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !is_enough(self) {
            match timeout_at(deadline, self.seen.recv()).await {
                Ok(Some(Seen::Call(call))) => {
                    if call.verdict == Verdict::Accepted {
                        self.ledger.receive(call.city, &call.delivery, &call.body);
                    }
                    self.calls.push(call);
                }
                Ok(Some(Seen::Mail(mail))) => self.mails.push(mail),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn show(&mut self, call: &Call) -> io::Result<()> {
        let (mark, note) = match call.verdict {
            Verdict::Accepted => (Mark::Fine, ""),
            Verdict::Down => (Mark::Failed, "404 "),
            Verdict::Forged => (Mark::Failed, "wrong signature "),
        };
        let note = format!("{note}at attempt {}", call.attempt);
        self.stage.line(Actor::Shop(call.city), mark, &call.kind, &note)
    }

    /// The status and the text of the router's answer.
    async fn post(&mut self, body: Bytes) -> anyhow::Result<String> {
        let outcome = self.connection.attempt(simulator::call(&self.receiver, body)).await;
        let answer = outcome.answer().with_context(|| outcome.detail().to_owned())?;
        let text = String::from_utf8_lossy(&answer.excerpt);
        Ok(format!("{} {text}", answer.status))
    }

    fn shop(&self, city: City) -> &Shop {
        self.shops
            .iter()
            .find(|shop| shop.city == city)
            .expect("there is a shop in every city")
    }
}

/// JSON on lines of a terminal.
fn broken_at_commas(json: &str) -> Vec<String> {
    const WIDTH: usize = 96;
    let mut lines = vec![String::new()];
    for piece in json.split_inclusive(',') {
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() <= WIDTH => line.push_str(piece),
            _ => lines.push(piece.to_owned()),
        }
    }
    lines
}

fn in_words(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(Format::Form) => "form, as received",
        Rendition::AsReceived(Format::Rest) => "REST, as received",
        Rendition::Event => "event",
        Rendition::ReSigned(Format::Form) => "form, signed again",
        Rendition::ReSigned(Format::Rest) => "REST, signed again",
    }
}
