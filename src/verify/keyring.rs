use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::content::{Content, FormContent, Malformed, RestContent};
use super::error::{MismatchHint, VerifyError};
use super::signature::{FormHash, FormText};
use super::signed::Signed;
use crate::domain::{Circle, Format, Mode, Secret, ShopId};

/// What the gateway signs with for one shop in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct ShopKeys {
    pub shop: ShopId,
    /// Where a notification signed with these keys may go.
    pub circle: Arc<Circle>,
    /// Shop keys of the form format; several while one is rotated; the first signs.
    pub form_keys: Vec<Secret>,
    /// Accepted signatures of the form format; the first signs.
    pub form_hashes: Vec<FormHash>,
    /// REST passwords; several while one is rotated; the first signs.
    pub rest_passwords: Vec<Secret>,
}

impl ShopKeys {
    /// The keys of a format.
    pub(super) fn of(&self, format: Format) -> &[Secret] {
        match format {
            Format::Form => &self.form_keys,
            Format::Rest => &self.rest_passwords,
        }
    }
}

/// A notification whose signature matched a key of the shop that it names.
///
/// Holding one is the proof: the fields are private, and only [`Keyring::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedNotification {
    named_shop: ShopId,
    circle: Arc<Circle>,
    content: Content,
    body: Bytes,
    quarantined: bool,
}

impl VerifiedNotification {
    /// The shop that it names; in quarantine perhaps only the one whose password matched.
    pub fn named_shop(&self) -> ShopId {
        self.named_shop
    }

    /// The mode of the key that matched, which is the mode written.
    pub fn mode(&self) -> Mode {
        self.circle.mode
    }

    /// How it is written.
    pub fn format(&self) -> Format {
        self.content.format()
    }

    /// The most that it can ever reach: the circle of the key that matched.
    pub fn circle(&self) -> &Arc<Circle> {
        &self.circle
    }

    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The bytes received, all of them.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether it is rightly signed, yet perhaps no notification: then an operator decides (design.md 5).
    pub fn is_quarantined(&self) -> bool {
        self.quarantined
    }
}

/// A payment request or a browser return carries one of these; a notification without `vads_hash` is not known to.
const MARKERS_OF_OTHER_TEXTS: [&str; 9] = [
    "vads_action_mode",
    "vads_auth_result",
    "vads_identifier_status",
    "vads_payment_config",
    "vads_recurrence_status",
    "vads_result",
    "vads_return_mode",
    "vads_trans_status",
    "vads_trans_uuid",
];

/// The keys of every shop in every mode.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    shops: BTreeMap<(ShopId, Mode), ShopKeys>,
}

impl Keyring {
    /// Keeps the keys of these shops, one entry for each shop and mode.
    pub fn new(shops: Vec<ShopKeys>) -> Self {
        // Anyone can sign with an empty key: the configuration refuses one, and here it opens nothing either.
        let is_key = |key: &Secret| !key.expose().trim_ascii().is_empty();
        let shops = shops.into_iter().map(|mut keys| {
            keys.form_keys.retain(is_key);
            keys.rest_passwords.retain(is_key);
            ((keys.shop, keys.circle.mode), keys)
        });
        Self { shops: shops.collect() }
    }

    /// Checks that these bytes are a notification that the gateway signed with one of the keys.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the first reason found, in the order of design.md 5; it may be shown to the caller.
    pub fn verify(&self, body: Bytes) -> Result<VerifiedNotification, VerifyError> {
        let content = Content::decode(&body)?;
        let (keys, quarantined) = match &content {
            Content::Form(form) => self.verify_form(form)?,
            Content::Rest(rest) => self.verify_rest(rest)?,
        };
        Ok(VerifiedNotification {
            named_shop: keys.shop,
            circle: Arc::clone(&keys.circle),
            content,
            body,
            quarantined,
        })
    }

    /// The keys of a shop in a mode, if it has any.
    /// Whether there is a key to check a notification of this shop with.
    pub fn has_keys(&self, shop: ShopId, mode: Mode, format: Format) -> bool {
        self.keys(shop, mode).is_some_and(|keys| !keys.of(format).is_empty())
    }

    pub(super) fn keys(&self, shop: ShopId, mode: Mode) -> Option<&ShopKeys> {
        self.shops.get(&(shop, mode))
    }

    /// Returns the keys that matched, and whether the text is for the quarantine.
    fn verify_form(&self, form: &FormContent) -> Result<(&ShopKeys, bool), VerifyError> {
        let shop = required(form, "vads_site_id")?;
        let mode = required(form, "vads_ctx_mode")?;
        let signature = required(form, "signature")?;
        let mode = Mode::from_word(mode).ok_or(Malformed::UnknownMode)?;
        let signed = Signed::Form {
            text: FormText::of(form.pairs()),
            signature,
            version_one: form.value("vads_version") == Some("V1"),
        };
        let keys = self.keys_that_match(&signed, shop, mode)?;
        if form.filled("vads_hash").is_some() {
            return Ok((keys, false));
        }
        let marker = |name: &&str| form.field(name).is_some();
        match MARKERS_OF_OTHER_TEXTS.into_iter().find(marker) {
            None => Ok((keys, true)),
            Some(found) => Err(VerifyError::NotANotification {
                shop: keys.shop,
                mode,
                found,
            }),
        }
    }

    fn verify_rest(&self, rest: &RestContent) -> Result<(&ShopKeys, bool), VerifyError> {
        let signature = required(rest.outer(), "kr-hash")?;
        let shop = rest.shop()?;
        let mode = rest.mode()?;
        let refused = |hint| VerifyError::SignatureMismatch {
            shop: shop.and_then(|shop| shop.parse().ok()),
            mode,
            format: Format::Rest,
            hint,
        };
        // Anything but a password is a copy that a buyer's browser could send (protocol.md 3.2).
        match rest.outer().value("kr-hash-key") {
            Some("password") => {}
            Some("sha256_hmac") => return Err(refused(MismatchHint::BrowserReturnKey)),
            Some(_) | None => return Err(refused(MismatchHint::OtherKeyFamily)),
        }
        let signed = Signed::Rest {
            text: rest.text(),
            signature,
        };
        match (shop, mode) {
            (Some(shop), Some(mode)) => Ok((self.keys_that_match(&signed, shop, mode)?, false)),
            (Some(shop), None) if !self.has_key(&signed, shop) => Err(self.unknown_shop(&signed, shop, None)),
            _ => Ok((self.only_keys_that_match(&signed, shop, mode)?, true)),
        }
    }

    /// Returns the keys of the shop and mode written, if one of them gives this signature.
    fn keys_that_match(&self, signed: &Signed<'_>, written: &str, mode: Mode) -> Result<&ShopKeys, VerifyError> {
        let shop: Option<ShopId> = written.parse().ok();
        let keys_of = |mode| {
            let keys = self.keys(shop?, mode)?;
            (!keys.of(signed.format()).is_empty()).then_some(keys)
        };
        let keys = keys_of(mode);
        // The mode written comes first, so it wins if a shop has the same key in both.
        if let Some(keys) = keys.filter(|keys| signed.matches(keys)) {
            return Ok(keys);
        }
        if let Some(keys) = keys_of(mode.other()).filter(|keys| signed.matches(keys)) {
            return Err(wrong_mode(keys, signed.format(), mode));
        }
        match keys {
            None => Err(self.unknown_shop(signed, written, Some(mode))),
            Some(keys) => Err(VerifyError::SignatureMismatch {
                shop,
                mode: Some(mode),
                format: signed.format(),
                hint: self.likely_cause(signed, keys),
            }),
        }
    }

    /// Returns the only keys that give this signature, for a text that leaves out its shop or its mode.
    ///
    /// What it does write must agree: it is signed too.
    fn only_keys_that_match(
        &self,
        signed: &Signed<'_>,
        shop: Option<&str>,
        mode: Option<Mode>,
    ) -> Result<&ShopKeys, VerifyError> {
        let refused = |hint| VerifyError::SignatureMismatch {
            shop: shop.and_then(|shop| shop.parse().ok()),
            mode,
            format: signed.format(),
            hint,
        };
        let of_shop = |keys: &&ShopKeys| shop.is_none_or(|shop| shop == keys.shop.as_str());
        let (agreeing, other): (Vec<_>, Vec<_>) = self
            .shops
            .values()
            .filter(of_shop)
            .filter(|keys| signed.matches(keys))
            .partition(|keys| mode.is_none_or(|mode| mode == keys.circle.mode));
        match (&agreeing[..], &other[..], mode) {
            ([keys], _, _) => Ok(keys),
            ([], [keys], Some(written)) => Err(wrong_mode(keys, signed.format(), written)),
            ([], [], _) => Err(refused(MismatchHint::NobodysAnswer)),
            _ => Err(refused(MismatchHint::SeveralShops)),
        }
    }

    fn has_key(&self, signed: &Signed<'_>, written: &str) -> bool {
        self.shops
            .values()
            .any(|keys| keys.shop.as_str() == written && !keys.of(signed.format()).is_empty())
    }

    fn unknown_shop(&self, signed: &Signed<'_>, written: &str, mode: Option<Mode>) -> VerifyError {
        let digits = (1..=20).contains(&written.len()) && written.bytes().all(|b| b.is_ascii_digit());
        VerifyError::UnknownShop {
            shop: digits.then(|| written.to_owned()),
            mode,
            format: signed.format(),
            known: self.shops.values().any(|keys| keys.shop.as_str() == written),
        }
    }

    /// Finds out why a signature does not match; what can be proved comes first, the shape after it.
    fn likely_cause(&self, signed: &Signed<'_>, keys: &ShopKeys) -> MismatchHint {
        let blank_in_key = keys.of(signed.format()).iter().any(|key| {
            let trimmed = key.expose().trim_ascii();
            trimmed.len() < key.expose().len() && signed.matches_key(&Secret::new(trimmed), &keys.form_hashes)
        });
        if blank_in_key {
            return MismatchHint::BlankInKey;
        }
        if let Some(hint) = signed.hint_of_shape(&keys.form_hashes) {
            return hint;
        }
        if self.shops.values().any(|others| signed.matches(others)) {
            return MismatchHint::OtherShop;
        }
        MismatchHint::KeyOrText
    }
}

fn required<'a>(fields: &'a FormContent, name: &'static str) -> Result<&'a str, Malformed> {
    fields.value(name).ok_or(Malformed::Missing(name))
}

fn wrong_mode(keys: &ShopKeys, format: Format, written: Mode) -> VerifyError {
    VerifyError::WrongMode {
        shop: keys.shop,
        format,
        written,
        matched: keys.circle.mode,
    }
}
