//! What the gateway would send.

use anyhow::{anyhow, bail, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use url::Url;

use super::Call;
use super::options::{Options, Repeats};
use crate::cli::simulator::{self, Gateway, Key, Occasion, Occurrence};
use crate::config::{Loaded, Machine, Outside, SecretSource};
use crate::domain::{Format, Secret};
use crate::verify::{FormHash, ShopKeys};

/// Renders calls of the gateway.
pub(super) struct AsGateway {
    gateway: Gateway,
    to: Url,
}

impl AsGateway {
    /// Finds the key to sign with: the one that was given, else the configuration's.
    pub(super) fn new(options: &Options, loaded: Option<&Loaded>, to: Url) -> anyhow::Result<Self> {
        ensure!(
            !(options.sha1 && options.format() == Format::Rest),
            "REST notifications are not signed by SHA-1"
        );
        let mut gateway = match loaded {
            Some(loaded) if !options.has_own_key() => configured(options, loaded)?,
            _ => given(options)?,
        };
        if options.wrong_signature {
            gateway.key = gateway.key.wrong();
        }
        Ok(Self { gateway, to })
    }

    /// Who is simulated, in words.
    pub(super) fn description(&self) -> String {
        let Gateway { shop, mode, key } = &self.gateway;
        match key {
            Key::Form { hash, .. } => {
                format!("the gateway notifies shop {shop} in {mode}, by form signed with {hash}")
            }
            Key::Rest { .. } => format!("the gateway notifies shop {shop} in {mode}, by REST"),
        }
    }

    /// Renders every call about one occurrence, in order.
    pub(super) fn calls(&self, occurrence: &Occurrence, repeats: Repeats, now: Timestamp) -> anyhow::Result<Vec<Call>> {
        let told = |occasion| self.gateway.tell(occurrence, occasion, now);
        let call = |occasion, body: &Bytes| Call {
            occasion,
            rendered: simulator::call(&self.to, body.clone()),
        };
        let first = told(Occasion::First)?;
        let mut calls = vec![call(Occasion::First.source(occurrence.kind), &first)];
        calls.extend((0..repeats.duplicates).map(|_| call("again", &first)));
        if let Some(occasion) = repeats.occasion {
            calls.push(call(occasion.source(occurrence.kind), &told(occasion)?));
        }
        Ok(calls)
    }
}

/// With a key from the command line.
fn given(options: &Options) -> anyhow::Result<Gateway> {
    let source = match (&options.key_file, &options.key_env) {
        (Some(file), _) => SecretSource::File(file.clone()),
        (None, Some(name)) => SecretSource::Env(name.clone()),
        (None, None) => bail!("no key is given"),
    };
    let secret = Secret::new(Machine.secret(&source).map_err(|reason| anyhow!(reason))?.bytes);
    ensure!(!secret.expose().is_empty(), "the key is empty");
    let key = match options.format() {
        Format::Form => Key::Form {
            key: secret,
            hash: if options.sha1 {
                FormHash::Sha1
            } else {
                FormHash::HmacSha256
            },
        },
        Format::Rest => Key::Rest { password: secret },
    };
    Ok(Gateway {
        shop: options.shop.ok_or_else(|| anyhow!("--shop is missing"))?,
        mode: options.mode,
        key,
    })
}

/// With a key of the configuration.
fn configured(options: &Options, loaded: &Loaded) -> anyhow::Result<Gateway> {
    let keys_of_mode = loaded
        .config
        .keys
        .iter()
        .filter(|keys| keys.circle.mode == options.mode);
    let mut fitting: Vec<_> = keys_of_mode
        .filter_map(|keys| Some((keys.shop, key(keys, options)?)))
        .collect();
    if let Some(shop) = options.shop {
        fitting.retain(|(of, _)| *of == shop);
    }
    let what = match options.format() {
        Format::Form => "form_key",
        Format::Rest => "rest_password",
    };
    let mode = options.mode;
    match (&fitting[..], options.shop) {
        ([(shop, key)], _) => Ok(Gateway {
            shop: *shop,
            mode,
            key: key.clone(),
        }),
        ([], Some(shop)) => bail!("the configuration has no {what} of shop {shop} for {mode}"),
        ([], None) => bail!("the configuration has no {what} for {mode}"),
        (several, _) => {
            let shops: Vec<_> = several.iter().map(|(shop, _)| format!("--shop {shop}")).collect();
            bail!("several shops have a {what} for {mode}: choose {}", shops.join(" or "))
        }
    }
}

/// The first key signs, as the gateway's only one would.
fn key(keys: &ShopKeys, options: &Options) -> Option<Key> {
    match options.format() {
        Format::Form => Some(Key::Form {
            key: keys.form_keys.first()?.clone(),
            hash: if options.sha1 {
                FormHash::Sha1
            } else {
                *keys.form_hashes.first()?
            },
        }),
        Format::Rest => Some(Key::Rest {
            password: keys.rest_passwords.first()?.clone(),
        }),
    }
}
