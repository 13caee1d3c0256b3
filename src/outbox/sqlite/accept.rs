use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::read::timestamp;
use super::writer::{Destination, Ledger};
use crate::domain::{Charge, DestinationKey, Matter, NotificationId, Rendition, Trouble};
use crate::outbox::{Accepted, Inbox, Named, OutboxError, StoredNotification};
use crate::route::{Identity, Routed, Standing};

/// A notification that waits to be written.
pub(crate) struct Accept {
    pub(crate) routed: Box<Routed>,
    pub(crate) reply: oneshot::Sender<Result<Accepted, OutboxError>>,
    /// Told when the first attempt to deliver it to the named shop has ended; dropped if none is to come soon.
    pub(crate) first_attempt: Option<oneshot::Sender<()>>,
    /// Its share of the bytes that may wait; here and not in the handler, for hyper drops the handler's future when
    /// the client leaves, and this is still written then.
    pub(crate) _bytes: OwnedSemaphorePermit,
}

impl Accept {
    pub(super) fn answer(self, accepted: Result<Accepted, OutboxError>) {
        tell(self.reply, accepted);
    }
}

fn tell(reply: oneshot::Sender<Result<Accepted, OutboxError>>, accepted: Result<Accepted, OutboxError>) {
    // The client may have left: what is stored is stored all the same, and its repeat will be a duplicate.
    drop(reply.send(accepted));
}

/// A delivery whose destination has an owner in this process.
pub(super) struct HandOver {
    inbox: Arc<Inbox>,
    named: Named,
    /// To the shop that the notification names.
    as_received: bool,
}

/// Stands for a notification that was deleted after its time.
const GONE: NotificationId = NotificationId::from_bytes([0; 16]);

/// The notification that has an identity.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) key: i64,
    /// `None`: its row is gone by retention, and the identity alone is left.
    pub(super) id: Option<NotificationId>,
    /// When the identity lapses.
    pub(super) until: Option<Timestamp>,
}

pub(super) fn holder(connection: &Connection, hash: [u8; 16]) -> rusqlite::Result<Option<Holder>> {
    connection
        .prepare_cached(
            "SELECT notification, uuid, until FROM identities LEFT JOIN notifications ON id = notification
             WHERE hash = ?",
        )?
        .query_row([hash], |row| {
            Ok(Holder {
                key: row.get(0)?,
                id: row.get::<_, Option<[u8; 16]>>(1)?.map(NotificationId::from_bytes),
                until: row.get::<_, Option<i64>>(2)?.map(|_| timestamp(row, 2)).transpose()?,
            })
        })
        .optional()
}

/// What became of a notification, to be told once it is committed.
pub(super) enum Stored {
    Duplicate {
        first: NotificationId,
    },
    New {
        id: i64,
        notification: Arc<StoredNotification>,
        deliveries: Vec<HandOver>,
    },
}

impl Ledger {
    pub(super) fn accept(&mut self, routed: &Routed) -> rusqlite::Result<Stored> {
        let id = self.next_notification;
        if let Some(first) = self.claim(&routed.identity, id, routed.received_at)? {
            return Ok(Stored::Duplicate {
                first: first.id.unwrap_or(GONE),
            });
        }
        let new_event = match routed.event {
            // The same happening came in the other format before: its events are on their way.
            Some(hash) => {
                let until = routed.identity.until;
                self.claim(&Identity { hash, until }, id, routed.received_at)?.is_none()
            }
            None => true,
        };
        self.next_notification += 1;
        let resend_of = self.insert(id, routed)?;
        if let Some(trouble) = trouble(routed) {
            // In the same transaction: what goes nowhere by itself is not to be forgotten.
            self.report(&trouble, routed.received_at)?;
        }
        let (lane, since) = (routed.lane, routed.received_at);
        let mut deliveries = Vec::with_capacity(routed.destinations.len());
        for key in &routed.destinations {
            if key.rendition == Rendition::Event && !new_event {
                continue;
            }
            let destination = self.destination(key, since)?;
            destination.last += 1;
            destination.dirty = true;
            let (destination, seq) = (destination.id, destination.last);
            self.connection
                .prepare_cached(
                    "INSERT INTO deliveries(destination, seq, lane, notification, since) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute((destination, seq, lane.0, id, since.as_millisecond()))?;
            if let Some(owner) = self.owners.get(&destination) {
                deliveries.push(HandOver {
                    inbox: Arc::clone(&owner.inbox),
                    named: Named {
                        seq,
                        lane,
                        notification: id,
                        since,
                        charge: routed.charge.is_some(),
                    },
                    as_received: matches!(key.rendition, Rendition::AsReceived(_)),
                });
            }
        }
        Ok(Stored::New {
            id,
            notification: Arc::new(in_memory(routed, resend_of)),
            deliveries,
        })
    }

    /// Tells everybody who waits for it.
    pub(super) fn committed(&self, accept: Accept, stored: Stored) {
        match stored {
            Stored::Duplicate { first } => accept.answer(Ok(Accepted::Duplicate { first })),
            Stored::New {
                id,
                notification,
                deliveries,
            } => {
                if matches!(accept.routed.standing, Standing::Parked | Standing::Quarantined) {
                    self.alert_changed.notify_one();
                }
                tell(accept.reply, Ok(Accepted::Stored));
                if !deliveries.is_empty() {
                    self.cache.put(id, notification);
                }
                let mut first_attempt = accept.first_attempt;
                for to in deliveries {
                    to.inbox.hand_over(to.named, first_attempt.take_if(|_| to.as_received));
                    to.inbox.wake();
                }
            }
        }
    }

    /// Makes the identity this notification's; returns the one that has it already.
    pub(super) fn claim(
        &self,
        identity: &Identity,
        notification: i64,
        received_at: Timestamp,
    ) -> rusqlite::Result<Option<Holder>> {
        let claimed = self
            .connection
            .prepare_cached(
                "INSERT INTO identities(hash, notification, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT(hash) DO UPDATE SET notification = excluded.notification, until = excluded.until
                 WHERE until <= ?4",
            )?
            .execute((
                identity.hash,
                notification,
                identity.until.map(|until| until.as_millisecond()),
                received_at.as_millisecond(),
            ))?;
        if claimed == 1 {
            Ok(None)
        } else {
            holder(&self.connection, identity.hash)
        }
    }

    fn insert(&self, id: i64, routed: &Routed) -> rusqlite::Result<Option<NotificationId>> {
        let resend_of = match routed.resend_of {
            Some(hash) => holder(&self.connection, hash)?,
            None => None,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO notifications(id, uuid, received_at, legal_entity, shop, mode, format, kind, standing,
                   charge, token, transaction_uuid, event, resend_of, lane, headers, configuration, body)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(rusqlite::params![
                id,
                routed.id.as_bytes(),
                routed.received_at.as_millisecond(),
                routed.legal_entity.as_str(),
                routed.shop.as_str(),
                routed.mode.word(),
                routed.format.word(),
                routed.kind.name(),
                standing(routed).word(),
                routed.charge.map(Charge::word),
                routed.token,
                routed.transaction,
                routed.event,
                resend_of.map(|first| first.key),
                routed.lane.0,
                routed.headers,
                routed.configuration,
                &routed.body[..],
            ])?;
        Ok(resend_of.and_then(|first| first.id))
    }

    /// The destination's counter, from memory or from its row, which is made if it is the first time.
    ///
    /// It is made parked: nobody has served it so far. Whoever makes it to serve it ends that in the same transaction.
    pub(super) fn destination(&mut self, key: &DestinationKey, now: Timestamp) -> rusqlite::Result<&mut Destination> {
        if !self.destinations.contains_key(key) {
            let named = (
                key.legal_entity.as_str(),
                key.shop.as_str(),
                key.mode.word(),
                key.rendition.word(),
                now.as_millisecond(),
            );
            let (id, last) = self
                .connection
                .prepare_cached(
                    "INSERT INTO destinations(legal_entity, shop, mode, rendition, parked) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET last = last RETURNING id, last",
                )?
                .query_row(named, |row| Ok((row.get(0)?, row.get(1)?)))?;
            self.destinations
                .insert(key.clone(), Destination { id, last, dirty: false });
        }
        Ok(self.destinations.get_mut(key).expect("it was put there above"))
    }
}

fn in_memory(routed: &Routed, resend_of: Option<NotificationId>) -> StoredNotification {
    StoredNotification {
        id: routed.id,
        received_at: routed.received_at,
        legal_entity: routed.legal_entity.clone(),
        shop: routed.shop,
        mode: routed.mode,
        format: routed.format,
        matter: Matter {
            kind: routed.kind,
            charge: routed.charge,
        },
        event: routed.event,
        resend_of,
        headers: routed.headers.clone(),
        body: routed.body.clone(),
        event_body: OnceLock::new(),
    }
}

/// As what it is kept: what has deliveries has somewhere to go, even if nobody serves it now, and needs no release.
fn standing(routed: &Routed) -> Standing {
    match routed.standing {
        Standing::Parked if !routed.destinations.is_empty() => Standing::Routed,
        standing => standing,
    }
}

fn trouble(routed: &Routed) -> Option<Trouble> {
    let Routed {
        id: notification,
        shop,
        mode,
        ..
    } = *routed;
    match routed.standing {
        Standing::Parked => Some(Trouble::Parked {
            notification,
            shop,
            mode,
        }),
        Standing::Quarantined => Some(Trouble::Quarantined {
            notification,
            shop,
            mode,
        }),
        Standing::Routed => None,
    }
}
