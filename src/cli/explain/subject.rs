use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use jiff::Timestamp;

use super::Options;
use crate::cli::simulator::{Gateway, Key, Occasion, Occurrence, wording};
use crate::config::Loaded;
use crate::domain::{Circle, Format, Kind, Mode, Secret, ShopId};
use crate::verify::{Content, FormHash, Keyring, VerifyError};

/// The notification that is explained.
pub(super) struct Subject {
    pub(super) content: Content,
    /// The shop that it names.
    pub(super) shop: ShopId,
    pub(super) circle: Arc<Circle>,
    pub(super) quarantined: bool,
    /// Whether it was received once: then its token and its identity mean something.
    pub(super) is_recorded: bool,
    /// What to know about it first.
    pub(super) remark: Option<&'static str>,
    /// Why the receiver would refuse it.
    pub(super) refusal: Option<VerifyError>,
}

impl Subject {
    /// What was received, whether it is rightly signed or not.
    ///
    /// # Errors
    ///
    /// In words, if nothing can be said of its way.
    pub(super) fn recorded(body: Bytes, loaded: &Loaded) -> anyhow::Result<Self> {
        let content = Content::decode(&body).context("this body is no notification")?;
        match Keyring::new(loaded.config.keys.clone()).verify(body) {
            Ok(verified) => Ok(Self {
                content,
                shop: verified.named_shop(),
                circle: Arc::clone(verified.circle()),
                quarantined: verified.is_quarantined(),
                is_recorded: true,
                remark: None,
                refusal: None,
            }),
            Err(error) => {
                let written = content.named_shop().zip(mode_of(&content));
                let Some((shop, mode)) = written else {
                    return Err(
                        anyhow!(error).context("it would be refused, and does not say which shop and mode it names")
                    );
                };
                let circle = circle(shop, mode, loaded).with_context(|| format!("it would be refused: {error}"))?;
                Ok(Self {
                    content,
                    shop,
                    circle,
                    quarantined: false,
                    is_recorded: true,
                    remark: None,
                    refusal: Some(error),
                })
            }
        }
    }

    /// What the gateway would send, written by the simulator.
    ///
    /// # Errors
    ///
    /// In words, if it would send nothing of the sort, or nothing can be said of its way.
    pub(super) fn imagined(kind: Kind, options: &Options, loaded: &Loaded, now: Timestamp) -> anyhow::Result<Self> {
        let format = options.format.unwrap_or(match kind {
            Kind::TokenSaved => Format::Rest,
            _ => Format::Form,
        });
        let mode = options.mode;
        let shop = match options.shop {
            Some(shop) => shop,
            None => only_notified_shop(format, mode, loaded)?,
        };
        let circle = circle(shop, mode, loaded)?;
        // Nobody checks its signature.
        let key = Secret::new("any");
        let gateway = Gateway {
            shop,
            mode,
            key: match format {
                Format::Form => Key::Form {
                    key,
                    hash: FormHash::HmacSha256,
                },
                Format::Rest => Key::Rest { password: key },
            },
        };
        let mut occurrence = Occurrence::new(kind, now);
        if options.order {
            occurrence.order = Some("CMD-000001".to_owned());
        }
        let body = gateway.tell(&occurrence, Occasion::First, now)?;
        let notified = circle.member(shop).is_some_and(|member| match format {
            Format::Form => member.notified_by_form,
            Format::Rest => member.notified_by_rest,
        });
        Ok(Self {
            content: Content::decode(&body)?,
            shop,
            circle,
            quarantined: false,
            is_recorded: false,
            remark: wording(kind, format)?.remark,
            refusal: (!notified).then(|| VerifyError::UnknownShop {
                shop: Some(shop.to_string()),
                mode: Some(mode),
                format,
                known: loaded.config.keys.iter().any(|keys| keys.shop == shop),
            }),
        })
    }
}

fn mode_of(content: &Content) -> Option<Mode> {
    match content {
        Content::Form(form) => form.value("vads_ctx_mode").and_then(Mode::from_word),
        Content::Rest(rest) => rest.mode().ok().flatten(),
    }
}

fn circle(shop: ShopId, mode: Mode, loaded: &Loaded) -> anyhow::Result<Arc<Circle>> {
    let circles = &loaded.config.circles;
    let found = circles.iter().find(|c| c.mode == mode && c.member(shop).is_some());
    if let Some(circle) = found {
        return Ok(Arc::clone(circle));
    }
    if circles.iter().any(|circle| circle.member(shop).is_some()) {
        let table = mode.word().to_lowercase();
        bail!("shop {shop} takes no part in {mode}: there is no table [shops.{shop}.{table}]");
    }
    bail!(
        "the configuration has no shop {shop} that takes part in {mode} or in {}",
        mode.other()
    );
}

/// The one that can be meant if none is named.
fn only_notified_shop(format: Format, mode: Mode, loaded: &Loaded) -> anyhow::Result<ShopId> {
    let circles = loaded.config.circles.iter().filter(|circle| circle.mode == mode);
    let members = circles.flat_map(|circle| &circle.members);
    let notified: Vec<_> = members
        .filter(|member| match format {
            Format::Form => member.notified_by_form,
            Format::Rest => member.notified_by_rest,
        })
        .collect();
    match notified[..] {
        [only] => Ok(only.shop),
        [] => bail!("no shop has a key for {format} in {mode}; name one with --shop, or another --mode or --format"),
        _ => {
            let shops: Vec<_> = notified
                .iter()
                .map(|member| format!("--shop {} ({})", member.shop, member.name))
                .collect();
            bail!(
                "several shops have a key for {format} in {mode}: choose {}",
                shops.join(" or ")
            )
        }
    }
}
