-- One row a notification: what the gateway sent, and what was read from it.
CREATE TABLE notifications(
  id INTEGER PRIMARY KEY,           -- given by the writer, in the order of the commits
  uuid BLOB NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,     -- ms since 1970, as every time here
  legal_entity TEXT NOT NULL,
  shop TEXT NOT NULL,
  mode TEXT NOT NULL,
  format TEXT NOT NULL,
  kind TEXT NOT NULL,
  standing TEXT NOT NULL,           -- routed; parked or quarantined: without deliveries, until it is released
  charge TEXT,                      -- failed, succeeded; NULL: it carries none
  token TEXT,
  transaction_uuid TEXT,
  event BLOB,                       -- identity of the event that the other shops learn
  resend_of INTEGER,                -- the notification that a manual resend repeats
  lane INTEGER NOT NULL,
  headers TEXT NOT NULL,
  configuration INTEGER NOT NULL DEFAULT 0, -- that routed it; 0: not known
  has_body INTEGER NOT NULL DEFAULT 1, -- 0: deleted after `keep_bodies`
  body BLOB NOT NULL
) STRICT;
CREATE INDEX notifications_body ON notifications(id) WHERE has_body=1;
-- By the lane, which is a hash of the token: of what SQLite moves within an index a copy may stay in the file, also when
-- the row is erased.
CREATE INDEX notifications_token ON notifications(lane) WHERE token IS NOT NULL;
CREATE INDEX notifications_transaction ON notifications(transaction_uuid) WHERE transaction_uuid IS NOT NULL;
CREATE INDEX notifications_kept ON notifications(standing, id) WHERE standing <> 'routed' AND has_body=1;

-- What makes two notifications, or two events, the same: unique by constraint, not by look-up.
CREATE TABLE identities(
  hash BLOB PRIMARY KEY,
  notification INTEGER NOT NULL,
  until INTEGER                     -- when it lapses; NULL: never
) WITHOUT ROWID, STRICT;
CREATE INDEX identities_notification ON identities(notification);

-- One shop's URL for one mode and one rendition. It numbers its deliveries.
CREATE TABLE destinations(
  id INTEGER PRIMARY KEY,
  legal_entity TEXT NOT NULL,
  shop TEXT NOT NULL,
  mode TEXT NOT NULL,
  rendition TEXT NOT NULL,
  last INTEGER NOT NULL DEFAULT 0,  -- highest seq given
  owner TEXT,                       -- the node that schedules it
  epoch INTEGER NOT NULL DEFAULT 0, -- raised by every take-over: the fence of `record`
  until INTEGER,                    -- end of the lease where several nodes share the store
  paused INTEGER,                   -- since when
  paused_until INTEGER,             -- when it goes on by itself; NULL: when it is resumed
  down INTEGER,                     -- since when
  parked INTEGER,                   -- since when it is in no configuration, or switched off
  give_up_from INTEGER NOT NULL DEFAULT 0, -- resume, or return from parking: `give_up_after` counts from here at the earliest
  UNIQUE(legal_entity, shop, mode, rendition)
) STRICT;

CREATE TABLE deliveries(
  destination INTEGER NOT NULL,
  seq INTEGER NOT NULL,             -- gap-free within the destination, in the order of the commits
  lane INTEGER NOT NULL,
  notification INTEGER NOT NULL,
  since INTEGER NOT NULL,           -- acceptance or replay: `give_up_after` counts from here
  state INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 delivered, 2 dead letter, 3 cancelled
  attempts INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0, -- failures that counted: probes do not
  due INTEGER NOT NULL DEFAULT 0,   -- 0: never failed
  tried INTEGER NOT NULL DEFAULT 0, -- end of the last attempt, or when it was given up or cancelled without one
  replay_of INTEGER,                -- seq of the delivery that this one repeats
  replays INTEGER NOT NULL DEFAULT 0, -- how many times it was repeated before
  renewed INTEGER NOT NULL DEFAULT 0, -- the replay that gave it a webhook-id of its own (--as-new); 0: the first one's
  PRIMARY KEY(destination, seq)
) WITHOUT ROWID, STRICT;
-- The planner does not choose these by itself: queries name them (INDEXED BY) and write state=0 as a literal.
CREATE INDEX deliveries_open ON deliveries(destination, seq) WHERE state=0;
CREATE INDEX deliveries_lane ON deliveries(destination, lane, seq) WHERE state=0;
CREATE INDEX deliveries_due ON deliveries(destination, due, seq) WHERE state=0 AND due>0;
CREATE INDEX deliveries_dead ON deliveries(destination, seq) WHERE state=2;
CREATE INDEX deliveries_notification ON deliveries(notification);

CREATE TABLE attempts(
  destination INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  status INTEGER,                   -- HTTP status of the answer, if there was one
  cause TEXT,                       -- NULL: delivered
  detail TEXT,
  answer BLOB,                      -- its first 512 bytes, if there were any
  PRIMARY KEY(destination, seq, n)
) WITHOUT ROWID, STRICT;

-- One destination in trouble, from the first failure to the recovery.
CREATE TABLE incidents(
  id INTEGER PRIMARY KEY,
  destination INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  closed_at INTEGER,
  facts TEXT NOT NULL,              -- JSON, written by the destination's owner with the attempt
  version INTEGER NOT NULL DEFAULT 1,
  told TEXT NOT NULL DEFAULT '',    -- JSON, written by the holder of the lease `alert`
  seen INTEGER NOT NULL DEFAULT 0,  -- the version that `told` has taken into account
  told_with INTEGER,                -- the incident in whose thread this one is told, with others that fail alike; may be itself
  acknowledged_at INTEGER,
  acknowledged_by TEXT,
  acknowledged_until INTEGER        -- NULL: until it is over
) STRICT;
CREATE UNIQUE INDEX incidents_open ON incidents(destination) WHERE closed_at IS NULL;
CREATE INDEX incidents_destination ON incidents(destination, id);
CREATE INDEX incidents_told_with ON incidents(told_with) WHERE told_with IS NOT NULL;
CREATE INDEX incidents_unseen ON incidents(id) WHERE seen <> version;

-- The daemon's own trouble.
CREATE TABLE troubles(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  facts TEXT NOT NULL,              -- JSON
  told_at INTEGER
) STRICT;
CREATE INDEX troubles_untold ON troubles(id) WHERE told_at IS NULL;

-- When the gateway was last heard, for each legal entity and mode: by a notification that verified, also one seen before.
CREATE TABLE heard(
  legal_entity TEXT NOT NULL,
  mode TEXT NOT NULL,
  at INTEGER,                       -- NULL: never
  expected_since INTEGER,           -- since when `expect_every` holds for it; NULL: it does not
  told_at INTEGER,                  -- when the operators were last told of the silence that lasts; NULL: none was told
  PRIMARY KEY(legal_entity, mode)
) WITHOUT ROWID, STRICT;

-- Failed attempts of destinations whose people want an e-mail for each; a row goes when its e-mails are made.
CREATE TABLE untold_attempts(
  id INTEGER PRIMARY KEY,
  destination INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  failure TEXT NOT NULL,            -- JSON
  due INTEGER                       -- the next attempt; NULL: a dead letter
) STRICT;

-- What a shop's plugin said against what it was delivered, not about the signature: the first of each day.
CREATE TABLE complaints(
  id INTEGER PRIMARY KEY,
  destination INTEGER NOT NULL,
  day TEXT NOT NULL,                -- YYYY-MM-DD, UTC
  at INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  told_at INTEGER,
  UNIQUE(destination, day)
) STRICT;
CREATE INDEX complaints_untold ON complaints(id) WHERE told_at IS NULL;

CREATE TABLE emails(
  id INTEGER PRIMARY KEY,
  thread TEXT NOT NULL,             -- incident, trouble, attempt, complaint or digest
  step TEXT NOT NULL,
  address TEXT NOT NULL,            -- alone, in lower case: what is one mailbox is one, however its owner is named
  recipient TEXT NOT NULL,          -- the same with the name, for the header
  message_id TEXT NOT NULL,
  in_reply_to TEXT,                 -- the first Message-ID of the thread that this address got
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, -- 0 waiting, 1 sent, 2 failed for good, 3 held back, 4 a digest stands for it
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  detail TEXT,
  UNIQUE(thread, step, address)
) STRICT;
CREATE INDEX emails_due ON emails(due) WHERE state=0;
CREATE INDEX emails_held ON emails(address, id) WHERE state=3;
CREATE INDEX emails_address ON emails(address, created_at);
CREATE INDEX emails_failed ON emails(id) WHERE state=2;

-- What operators ask for, carried out in small steps; kept as the record of who asked for what.
CREATE TABLE verbs(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  asked_by TEXT NOT NULL,
  verb TEXT NOT NULL,               -- JSON
  quick INTEGER NOT NULL,           -- 1: does not wait for those that take long
  progress TEXT,                    -- JSON, written with the rows of each step; NULL: not begun, or done
  done_at INTEGER,
  result TEXT                       -- JSON
) STRICT;
CREATE INDEX verbs_waiting ON verbs(quick DESC, id) WHERE done_at IS NULL;

-- Every configuration that was applied, secrets masked.
CREATE TABLE configurations(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  applied_by TEXT NOT NULL,
  hash TEXT NOT NULL,
  texts TEXT NOT NULL               -- JSON: each file with its text
) STRICT;
CREATE INDEX configurations_hash ON configurations(hash);

-- What people did that is no verb: who has acknowledged what, and who has looked at whose data.
CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  act TEXT NOT NULL                 -- JSON
) STRICT;
