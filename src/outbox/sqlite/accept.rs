use std::sync::Arc;

use rusqlite::OptionalExtension;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::writer::{AfterCommit, Destination, Ledger};
use crate::domain::{DestinationKey, NotificationId, Rendition};
use crate::outbox::{Accepted, Inbox, Named, OutboxError};
use crate::route::{Identity, Routed, Standing};

/// A notification that waits to be written.
pub(crate) struct Accept {
    pub(crate) routed: Box<Routed>,
    pub(crate) reply: Option<oneshot::Sender<Result<Accepted, OutboxError>>>,
    /// Its share of the bytes that may wait; here and not in the handler, for hyper drops the handler's future when
    /// the client leaves, and this is still written then.
    pub(crate) _bytes: OwnedSemaphorePermit,
}

impl Accept {
    pub(super) fn refuse(self, why: OutboxError) {
        if let Some(reply) = self.reply {
            drop(reply.send(Err(why)));
        }
    }
}

impl Ledger {
    pub(super) fn accept(&mut self, accept: &mut Accept) -> rusqlite::Result<AfterCommit> {
        let routed = &*accept.routed;
        if let Some(first) = self.claim(&routed.identity, routed)? {
            let reply = accept.reply.take();
            return Ok(answer(reply, Accepted::Duplicate { first }));
        }
        let new_event = match routed.event {
            // The same happening came in the other format before: its events are on their way.
            Some(hash) => self
                .claim(
                    &Identity {
                        hash,
                        until: routed.identity.until,
                    },
                    routed,
                )?
                .is_none(),
            None => true,
        };
        let id = self.next_notification;
        self.next_notification += 1;
        self.insert(id, routed)?;
        let since = routed.received_at;
        let lane = routed.lane;
        let mut handed_over = Vec::with_capacity(routed.destinations.len());
        for key in &routed.destinations {
            if key.rendition == Rendition::Event && !new_event {
                continue;
            }
            let destination = self.destination(key)?;
            destination.last += 1;
            destination.dirty = true;
            let (destination, seq) = (destination.id, destination.last);
            self.connection
                .prepare_cached(
                    "INSERT INTO deliveries(destination, seq, lane, notification, since) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute((destination, seq, lane.0, id, since.as_millisecond()))?;
            if let Some(owner) = self.owners.get(&destination) {
                handed_over.push((
                    Arc::clone(&owner.inbox),
                    Named {
                        seq,
                        lane,
                        notification: id,
                        since,
                    },
                ));
            }
        }
        let answer = answer(accept.reply.take(), Accepted::Stored);
        Ok(Box::new(move || {
            answer();
            hand_over(&handed_over);
        }))
    }

    /// Makes the identity this notification's; returns the notification that has it already.
    fn claim(&self, identity: &Identity, routed: &Routed) -> rusqlite::Result<Option<NotificationId>> {
        let claimed = self
            .connection
            .prepare_cached(
                "INSERT INTO identities(hash, notification, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT(hash) DO UPDATE SET notification = excluded.notification, until = excluded.until
                 WHERE until <= ?4",
            )?
            .execute((
                identity.hash,
                self.next_notification,
                identity.until.map(|until| until.as_millisecond()),
                routed.received_at.as_millisecond(),
            ))?;
        if claimed == 1 {
            Ok(None)
        } else {
            self.holder(identity.hash)
        }
    }

    /// The notification that has this identity. Its row may be gone by retention: then the identity alone is left,
    /// and a nil id stands for it.
    fn holder(&self, hash: [u8; 16]) -> rusqlite::Result<Option<NotificationId>> {
        let uuid: Option<Option<[u8; 16]>> = self
            .connection
            .prepare_cached("SELECT uuid FROM identities LEFT JOIN notifications ON id = notification WHERE hash = ?")?
            .query_row([hash], |row| row.get(0))
            .optional()?;
        Ok(uuid.map(|uuid| NotificationId::from_bytes(uuid.unwrap_or_default())))
    }

    fn insert(&self, id: i64, routed: &Routed) -> rusqlite::Result<()> {
        let resend_of: Option<i64> = match routed.resend_of {
            Some(hash) => self
                .connection
                .prepare_cached("SELECT notification FROM identities WHERE hash = ?")?
                .query_row([hash], |row| row.get(0))
                .optional()?,
            None => None,
        };
        let standing = match routed.standing {
            Standing::Parked => "parked",
            Standing::Quarantined => "quarantined",
            Standing::Routed => "routed",
        };
        self.connection
            .prepare_cached(
                "INSERT INTO notifications(id, uuid, received_at, legal_entity, shop, mode, format, kind, standing,
                   token, transaction_uuid, event, resend_of, lane, headers, body)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                standing,
                routed.token,
                routed.transaction,
                routed.event,
                resend_of,
                routed.lane.0,
                routed.headers,
                &routed.body[..],
            ])?;
        Ok(())
    }

    /// The destination's counter, from memory or from its row, which is made if it is the first time.
    pub(super) fn destination(&mut self, key: &DestinationKey) -> rusqlite::Result<&mut Destination> {
        if !self.destinations.contains_key(key) {
            let named = (
                key.legal_entity.as_str(),
                key.shop.as_str(),
                key.mode.word(),
                key.rendition.word(),
            );
            let (id, last) = self
                .connection
                .prepare_cached(
                    "INSERT INTO destinations(legal_entity, shop, mode, rendition) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET last = last RETURNING id, last",
                )?
                .query_row(named, |row| Ok((row.get(0)?, row.get(1)?)))?;
            self.destinations
                .insert(key.clone(), Destination { id, last, dirty: false });
        }
        Ok(self.destinations.get_mut(key).expect("it was put there above"))
    }
}

fn answer(reply: Option<oneshot::Sender<Result<Accepted, OutboxError>>>, accepted: Accepted) -> AfterCommit {
    Box::new(move || {
        if let Some(reply) = reply {
            // The client has left: it is stored all the same, and its repeat will be a duplicate.
            drop(reply.send(Ok(accepted)));
        }
    })
}

fn hand_over(rows: &[(Arc<Inbox>, Named)]) {
    for (inbox, named) in rows {
        inbox.hand_over(*named);
        inbox.wake();
    }
}
