use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ipn_router::domain::{NotificationId, Secret};
use ipn_router::verify::{FormHash, signature};
use tokio::net::TcpStream;

use super::form_key;

/// One of the gateway's connections, kept open from one notification to the next.
pub(crate) struct Gateway {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What the router answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// No answer came: perhaps it is stored, perhaps not.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl Reply {
    pub(crate) fn is_stored(&self) -> bool {
        self.status == 200 && self.text.starts_with("OK-stored ")
    }

    pub(crate) fn is_duplicate(&self) -> bool {
        self.status == 200 && self.text.starts_with("OK-duplicate ")
    }

    /// The second word of what is on disk.
    pub(crate) fn id(&self) -> NotificationId {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Gateway {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Sends a notification that is stored now; returns its id.
    pub(crate) async fn sends(&mut self, body: &str) -> NotificationId {
        let reply = self.tries(body).await.unwrap();
        assert!(reply.is_stored(), "{reply:?}");
        reply.id()
    }

    /// Sends a notification once.
    pub(crate) async fn tries(&mut self, body: &str) -> Result<Reply, Unanswered> {
        let asked = self.ask(body).await;
        if asked.is_err() {
            self.connection = None;
        }
        asked.map_err(|_| Unanswered)
    }

    async fn ask(&mut self, body: &str) -> Result<Reply, Box<dyn std::error::Error>> {
        let connection = match &mut self.connection {
            Some(open) => open,
            closed => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                closed.insert(sender)
            }
        };
        let request = Request::post("/ipn")
            .header(HOST, "ipn.acme.example")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .body(Full::from(body.to_owned()))?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await?.to_bytes();
        Ok(Reply {
            status,
            text: String::from_utf8(text.to_vec())?,
        })
    }
}

/// A form notification in TEST, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    fields: Vec<(&'static str, String)>,
}

impl Form {
    /// A token created at a shop's payment page, without payment.
    pub(crate) fn token_created(shop: &str, token: &str) -> Self {
        let uuid = format!("{:032x}", fastrand::u128(..));
        let fields = [
            ("vads_hash", "1f2e3d"),
            ("vads_site_id", shop),
            ("vads_ctx_mode", "TEST"),
            ("vads_url_check_src", "PAY"),
            ("vads_page_action", "REGISTER"),
            ("vads_operation_type", "VERIFICATION"),
            ("vads_trans_status", "ACCEPTED"),
            ("vads_trans_uuid", &uuid),
            ("vads_identifier", token),
            ("vads_identifier_status", "CREATED"),
            ("vads_cust_id", "4711"),
            ("vads_cust_name", "Zoë d'Orléans"),
            ("vads_card_brand", "VISA"),
            ("vads_card_number", "497010XXXXXX0055"),
            ("vads_expiry_year", "2031"),
            ("vads_expiry_month", "6"),
            ("vads_threeds_error_code", ""),
        ];
        Self {
            fields: fields.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }

    /// A token created with the payment of an order.
    pub(crate) fn token_created_with_payment(shop: &str, token: &str, order: &str) -> Self {
        Self::token_created(shop, token)
            .with("vads_page_action", "REGISTER_PAY")
            .with("vads_operation_type", "DEBIT")
            .with("vads_trans_status", "AUTHORISED")
            .with("vads_amount", "1990")
            .with("vads_order_id", order)
    }

    /// An order paid with a token: it concerns that shop alone.
    pub(crate) fn payment(shop: &str, token: &str, order: &str) -> Self {
        Self::token_created_with_payment(shop, token, order)
            .with("vads_page_action", "PAYMENT")
            .with("vads_identifier_status", "")
    }

    /// With another value of a field.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.retain(|(other, _)| *other != name);
        self.fields.push((name, value.to_owned()));
        self
    }

    /// Without a field.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| *other != name);
        self
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(other, _)| *other == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body, signed with the key of its shop and mode.
    pub(crate) fn signed(&self) -> String {
        let key = form_key(self.value("vads_site_id"), self.value("vads_ctx_mode"));
        self.signed_with(&Secret::new(key))
    }

    pub(crate) fn signed_with(&self, key: &Secret) -> String {
        let fields = self.fields.iter().map(|(name, value)| (*name, value.as_str()));
        let signature = signature::form(fields.clone(), key, FormHash::HmacSha256);
        encode(fields.chain([("signature", signature.as_str())]))
    }
}

/// A REST notification's body, around this text.
pub(crate) fn rest(text: &serde_json::Value, source: &str, password: &str) -> String {
    let text = text.to_string();
    let hash = signature::rest(&text, &Secret::new(password));
    encode([
        ("kr-hash-key", "password"),
        ("kr-hash-algorithm", "sha256_hmac"),
        ("kr-src", source),
        ("kr-answer", &text),
        ("kr-answer-type", "V4/Payment"),
        ("kr-hash", &hash),
    ])
}

fn encode<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}
