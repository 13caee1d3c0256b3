use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::domain::{DestinationKey, Format, Kind, Lane, Mode, NotificationId, Rendition};
use crate::route::{Identity, Routed, Standing};

/// A notification for the events of one shop, by number.
pub(super) fn routed(n: u8, standing: Standing, received_at: Timestamp) -> Routed {
    let key = DestinationKey {
        legal_entity: "acme".parse().unwrap(),
        shop: "12345678".parse().unwrap(),
        mode: Mode::Test,
        rendition: Rendition::Event,
    };
    Routed {
        id: NotificationId::new(received_at),
        received_at,
        legal_entity: key.legal_entity.clone(),
        shop: key.shop,
        mode: Mode::Test,
        format: Format::Form,
        kind: Kind::TokenCreated,
        token: None,
        transaction: None,
        standing,
        identity: Identity {
            hash: [n; 16],
            until: None,
        },
        resend_of: None,
        event: None,
        lane: Lane(i64::from(n)),
        charge: None,
        destinations: if standing == Standing::Routed {
            vec![key]
        } else {
            Vec::new()
        },
        withheld: Vec::new(),
        configuration: 0,
        headers: "user-agent: gateway".into(),
        body: Bytes::from_static(b"vads_site_id=12345678"),
    }
}

/// How SQLite will walk to answer a question, step by step.
pub(super) fn plan(connection: &Connection, question: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
    let parameters = vec![1_i64; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3));
    steps.unwrap().collect::<Result<_, _>>().unwrap()
}
