//! `demo`: the real router between a simulated gateway, three small shops and a mailbox, for a quarter of a minute.
//!
//! Nothing of the router is simulated or shortened: it is built from a configuration as an admin writes it, and keeps
//! its notifications in a store on disk. At the end what was acknowledged is compared with what the shops have
//! received, delivery by delivery.

mod company;
mod ledger;
mod mailbox;
mod shop;
mod stage;
mod story;
mod world;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::cli::simulator::{self, Gateway, Key};
use crate::config::Config;
use crate::deliver::{Client, Connection};
use crate::domain::{Clock, Mode, SystemClock};
use crate::verify::Keyring;
use company::{Addresses, City, LYON_EVENTS, NICE_EVENTS};
use ledger::Ledger;
use mailbox::Mail;
use shop::{Call, Shop};
use stage::Stage;
use world::World;

/// Shows in 15 seconds what the router does, with a gateway, three shops and a mailbox on this machine.
///
/// Nothing is needed and nothing is left behind. Exit codes: 0 everything arrived, 1 something was lost.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Prints the demo's configuration instead.
    #[arg(long)]
    show_config: bool,
    /// Lets a shop lose something, to see that the demo would find out.
    #[arg(long, hide = true)]
    plant_loss: bool,
}

/// Something that a shop or the mailbox has received.
enum Seen {
    Call(Call),
    Mail(Mail),
}

/// For what is still on its way at the end.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// About the outage: that it began, and that it is over.
const MAILS: usize = 2;

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if options.show_config {
        let toml = company::toml(&Addresses::example(), Path::new("/var/lib/ipn-router"));
        Stage::new().text(toml.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = Folder::create()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            shown = show(options, &folder) => Ok(ExitCode::from(u8::from(!shown?))),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::FAILURE),
        }
    })
}

/// Starts everybody, plays the story, stops the router, and counts; returns whether nothing was lost.
async fn show(options: &Options, folder: &Folder) -> anyhow::Result<bool> {
    let router = listener().await?;
    let mail = listener().await?;
    let shops = [listener().await?, listener().await?, listener().await?];
    let addresses = Addresses {
        router: router.local_addr()?,
        mail: mail.local_addr()?,
        paris: shops[0].local_addr()?,
        lyon: shops[1].local_addr()?,
        nice: shops[2].local_addr()?,
    };
    let loaded = company::configuration(company::toml(&addresses, &folder.0))?;
    let config = loaded.config.clone();

    let (seen, receiver) = mpsc::unbounded_channel();
    let servers = City::ALL.map(|city| Arc::new(server(city, &config, &seen)));
    for (shop, listener) in servers.iter().zip(shops) {
        tokio::spawn(Arc::clone(shop).serve(listener));
    }
    tokio::spawn(mailbox::serve(mail, seen));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let url = format!("http://{}{}", addresses.router, config.receiver.path).parse()?;
    let mut world = world(&config, url, servers, receiver, Arc::clone(&clock))?;

    // There is no such file: nobody reloads a demo.
    let path = PathBuf::from("demo.toml");
    let app = tokio::task::spawn_blocking(move || App::build(path, loaded, &clock)).await??;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = app.run(router, async {
        stopped.await.ok();
    });
    let playing = async {
        // Dropped at the end, whatever the end is; then the router stops.
        let _stop = stop;
        introduce(&mut world.stage, &addresses)?;
        if options.plant_loss {
            world.let_forget(City::Nice);
        }
        story::play(&mut world).await?;
        world.until(LAST_CALLS, |world| world.ledger.lost().is_empty()).await;
        Ok::<_, anyhow::Error>(())
    };
    let (ran, played) = tokio::join!(running, playing);
    ran?;
    played?;
    // What came while it stopped.
    world.pause(Duration::ZERO).await;
    sum_up(&mut world)
}

async fn listener() -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot listen on this machine")
}

fn server(city: City, config: &Config, seen: &mpsc::UnboundedSender<Seen>) -> Shop {
    let keys = config.keys.iter().filter(|keys| keys.shop == city.shop());
    Shop {
        city,
        keyring: Keyring::new(keys.cloned().collect()),
        event_secret: match city {
            City::Lyon => Some(LYON_EVENTS),
            City::Nice => Some(NICE_EVENTS),
            City::Paris => None,
        },
        is_down: false.into(),
        forgets_next: false.into(),
        seen: seen.clone(),
    }
}

fn world(
    config: &Config,
    receiver: url::Url,
    shops: [Arc<Shop>; 3],
    seen: mpsc::UnboundedReceiver<Seen>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<World> {
    let paris = config.keys.iter().find(|keys| keys.shop == City::Paris.shop());
    let keys = paris.and_then(|keys| {
        let form = Key::Form {
            key: keys.form_keys.first()?.clone(),
            hash: *keys.form_hashes.first()?,
        };
        let rest = Key::Rest {
            password: keys.rest_passwords.first()?.clone(),
        };
        Some([form, rest])
    });
    let gateways = keys.context("Paris has no keys")?.map(|key| Gateway {
        shop: City::Paris.shop(),
        mode: Mode::Test,
        key,
    });
    let client = Client::new(&simulator::settings(receiver.clone(), Mode::Test), Arc::clone(&clock))?;
    Ok(World {
        stage: Stage::new(),
        clock,
        gateways,
        receiver,
        connection: Connection::new(Arc::new(client)),
        shops,
        seen,
        ledger: Ledger::default(),
        calls: Vec::new(),
        mails: Vec::new(),
        acknowledged: 0,
    })
}

fn introduce(stage: &mut Stage, addresses: &Addresses) -> anyhow::Result<()> {
    stage.title("ipn-router: the gateway notifies one shop, and every shop of the company hears of it.")?;
    stage.text(&format!(
        "
   gateway ──▶ router ──┬──▶ Paris  12345678  the shop that the gateway notifies
                        ├──▶ Lyon   23456789  wants events: JSON, signed by Standard Webhooks
                        └──▶ Nice   34567890  wants events, and the gateway's own formats too

   The router, its store, the calls, the signatures and the e-mails are real; the gateway, the shops and the
   mailbox are simulated, on this machine. The router listens on http://{}/ipn.
   Its configuration: ipn-router demo --show-config",
        addresses.router
    ))?;
    Ok(())
}

/// The table of what was owed and what arrived.
fn sum_up(world: &mut World) -> anyhow::Result<bool> {
    let ledger = &world.ledger;
    let stage = &mut world.stage;
    stage.text("")?;
    stage.title(&format!(
        "{} notifications were acknowledged. What became of them:",
        world.acknowledged
    ))?;
    stage.text("                    expected  arrived")?;
    for city in City::ALL {
        let (owed, arrived) = ledger.count(city);
        let failed = world
            .calls
            .iter()
            .filter(|call| call.city == city && call.verdict == shop::Verdict::Down);
        let note = match failed.count() {
            0 => String::new(),
            failed => format!("after {failed} failed attempts"),
        };
        stage.row(&format!("ACME {}", city.name()), owed, arrived, &note)?;
    }
    stage.row("e-mails", MAILS, world.mails.len(), "")?;

    let (lost, uncalled_for) = (ledger.lost(), ledger.uncalled_for());
    let all_is_well = lost.is_empty() && uncalled_for.is_empty() && world.mails.len() == MAILS;
    if all_is_well {
        stage.verdict(true, "Nothing that was acknowledged was lost.")?;
        stage.text(
            "
   Next: ipn-router send --help     call your own router, or your shop's endpoint, as the gateway would
         ipn-router check           say what is wrong with a configuration, with line and column",
        )?;
    } else {
        stage.verdict(false, "Something is wrong:")?;
        for delivery in lost {
            stage.text(&format!("   lost: {delivery}"))?;
        }
        for delivery in uncalled_for {
            stage.text(&format!("   delivered without cause: {delivery}"))?;
        }
        if world.mails.len() != MAILS {
            stage.text(&format!("   e-mails: {} instead of {MAILS}", world.mails.len()))?;
        }
    }
    Ok(all_is_well)
}

/// A folder for the store, gone when the demo is.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let name = format!("ipn-router-demo-{:08x}", fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a folder for temporary files hurts nobody.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
