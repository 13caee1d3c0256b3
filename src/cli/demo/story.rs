//! What happens in the demo, scene by scene.

use std::time::Duration;

use super::company::City::{Lyon, Nice, Paris};
use super::stage::{Actor, Mark};
use super::world::{Fate, World};
use crate::cli::simulator::{Occasion, Occurrence};
use crate::domain::Format::{Form, Rest};
use crate::domain::Kind;
use crate::domain::Rendition::{AsReceived, Event, ReSigned};

/// Between two scenes, so that one can follow.
const PAUSE: Duration = Duration::from_millis(1200);

/// For an e-mail: the router gathers for 10 s before it writes one.
const MAIL: Duration = Duration::from_secs(20);

/// For the deliveries that wait for Lyon: its longest retry delay, and then some.
const BACKLOG: Duration = Duration::from_secs(10);

pub(super) async fn play(world: &mut World) -> anyhow::Result<()> {
    let card = world.occurrence(Kind::TokenCreated);
    world.stage.scene(
        "A customer saves a card at Paris.",
        "The gateway notifies Paris alone, although every shop of the company can charge that card.",
    )?;
    let first = world
        .tell(
            Form,
            &card,
            &[
                (
                    Paris,
                    AsReceived(Form),
                    Fate::Arrives("byte for byte, so its plugin works as before"),
                ),
                (Lyon, Event, Fate::Arrives("signature right by Standard Webhooks")),
                (Nice, Event, Fate::Arrives("")),
                (
                    Nice,
                    ReSigned(Form),
                    Fate::Arrives("as if the gateway had notified Nice, with Nice's own key"),
                ),
            ],
        )
        .await?;
    world.stage.text("   What Lyon has received:")?;
    world.show_event(Lyon)?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "Somebody switches Lyon's module off, and the card is replaced at the Back Office.",
        "A shop in trouble holds up nobody but itself.",
    )?;
    world.take_down(Lyon);
    let update = world.same_card(Kind::TokenUpdated, &card);
    world
        .tell(
            Form,
            &update,
            &[
                (Paris, AsReceived(Form), Fate::Arrives("")),
                (
                    Lyon,
                    Event,
                    Fate::Fails("404: tried again in half a second, then ever more seldom"),
                ),
                (Nice, Event, Fate::Arrives("")),
                (Nice, ReSigned(Form), Fate::Arrives("")),
            ],
        )
        .await?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "It is replaced once more; this time the gateway writes in its other format, REST.",
        "REST does not tell a created token from an updated one: both are token.saved.",
    )?;
    let update = world.same_card(Kind::TokenSaved, &card);
    world
        .tell(
            Rest,
            &update,
            &[
                (Paris, AsReceived(Rest), Fate::Arrives("")),
                (
                    Lyon,
                    Event,
                    Fate::Waits("its turn: what concerns one token arrives in order"),
                ),
                (Nice, Event, Fate::Arrives("")),
                (Nice, ReSigned(Rest), Fate::Arrives("")),
            ],
        )
        .await?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "The card is cancelled.",
        "How the gateway tells that is documented nowhere; this is an assumption, and unknown words get through too.",
    )?;
    let cancellation = world.same_card(Kind::TokenCancelled, &card);
    world
        .tell(
            Form,
            &cancellation,
            &[
                (Paris, AsReceived(Form), Fate::Arrives("")),
                (Lyon, Event, Fate::Waits("its turn")),
                (Nice, Event, Fate::Arrives("")),
                (Nice, ReSigned(Form), Fate::Arrives("")),
            ],
        )
        .await?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "Another customer pays order 4711 at Paris, and saves the card with it.",
        "Nice's plugin could take a stranger's order for one of its own: there, only the event tells of the card.",
    )?;
    let mut payment = world.occurrence(Kind::TokenCreated);
    payment.order = Some("4711".to_owned());
    world
        .tell(
            Form,
            &payment,
            &[
                (Paris, AsReceived(Form), Fate::Arrives("")),
                (
                    Lyon,
                    Event,
                    Fate::Fails("404: another card, so it does not wait for the first one"),
                ),
                (Nice, Event, Fate::Arrives("the card; no order, amount or name")),
            ],
        )
        .await?;
    world.stage.line(
        Actor::Shop(Nice),
        Mark::Nothing,
        "form",
        "withheld, for it carries an order",
    )?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "The gateway calls again, as it does when it has missed an answer.",
        "Whatever is known already is acknowledged, and sent to nobody twice.",
    )?;
    let body = world.written(Form, &card, Occasion::Retry)?;
    world
        .expect(
            (Actor::Gateway, "token.created again (RETRY)"),
            body,
            &format!("200 OK-duplicate {first}"),
            "nothing is sent",
        )
        .await?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "Somebody forges a notification.",
        "What is not signed with a key of the shop that it names is refused, with the reason.",
    )?;
    let body = world.forged(&card)?;
    world
        .expect(
            (Actor::Forger, "token.created of a card that does not exist"),
            body,
            "403 KO-signature",
            "refused; nothing is stored or sent",
        )
        .await?;
    world.pause(PAUSE).await;

    world.stage.scene(
        "Lyon still fails, so on-call gets an e-mail.",
        "One for the whole outage: after 10 seconds, for a 404 does not heal by itself; a server that is down gets a minute.",
    )?;
    world.wait_for_mail(1, MAIL).await?;

    world.stage.scene(
        "Lyon is back.",
        "What has waited arrives by itself: for each card in order, and all of it.",
    )?;
    world.bring_back(Lyon);
    world.wait_for_backlog(Lyon, BACKLOG).await?;
    world.wait_for_mail(2, MAIL).await
}

impl World {
    fn same_card(&self, kind: Kind, card: &Occurrence) -> Occurrence {
        let mut occurrence = self.occurrence(kind);
        occurrence.token.clone_from(&card.token);
        occurrence
    }
}
