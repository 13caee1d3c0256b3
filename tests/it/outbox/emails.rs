//! E-mails are rows: each step decided once, each sent or failed.

use ipn_router::domain::Trouble;
use ipn_router::outbox::{Acknowledged, NewEmail, Telling};

use super::attempts::incident;
use super::*;

fn email(thread: &str, step: &str, to: &str) -> NewEmail {
    NewEmail {
        thread: thread.to_owned(),
        step: step.to_owned(),
        to: to.to_owned(),
        address: to.trim_end_matches('>').rsplit('<').next().unwrap().to_owned(),
        message_id: format!("<{thread}.{step}.{to}@router.example>"),
        is_follower: true,
        subject: format!("{thread} {step}"),
        text: "Lyon does not answer.\n".to_owned(),
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// Subjects and recipients of what is due now.
async fn due(outbox: &Outbox, now: Timestamp) -> Vec<(String, String)> {
    let emails = outbox.due_emails(now, 100).await.unwrap();
    emails.into_iter().map(|email| (email.subject, email.to)).collect()
}

fn pair(subject: &str, to: &str) -> (String, String) {
    (subject.to_owned(), to.to_owned())
}

/// An outbox with an open incident, and its id.
async fn troubled() -> (TestStore, Outbox, i64) {
    let store = TestStore::new();
    let outbox = store.open();
    outbox.accept(notification("a", "a")).await.unwrap();
    let (owned, inbox) = own(&outbox, &paris()).await;
    outbox.record(attempts::failed_with(owned.lease, incident(1)), &inbox);
    news(&inbox, 1).await;
    let id = outbox.unseen_incidents(10).await.unwrap()[0].id;
    (store, outbox, id)
}

#[tokio::test]
async fn step_is_told_once_to_each_address() {
    let (_store, outbox, id) = troubled().await;
    let telling = |version, told: &str, emails| Telling {
        incident: id,
        version,
        others: Vec::new(),
        told: told.to_owned(),
        emails,
    };
    let opened = vec![
        email("incident-1", "opened", "a@x.example"),
        email("incident-1", "opened", "b@x.example"),
    ];
    let at = now();
    outbox.tell(telling(1, "opened", opened.clone()), at).await.unwrap();
    assert_eq!(outbox.unseen_incidents(10).await.unwrap()[0].told, "opened");
    assert_eq!(outbox.last_told("incident-1").await.unwrap(), Some(at));
    assert_eq!(outbox.next_email().await.unwrap(), Some(at));

    // The same decision once more, with one address more: nobody gets it twice.
    let mut again = opened;
    again.push(email("incident-1", "opened", "c@x.example"));
    outbox.tell(telling(1, "opened", again), at).await.unwrap();
    let to = ["a@x.example", "b@x.example", "c@x.example"];
    assert_eq!(due(&outbox, at).await, to.map(|to| pair("incident-1 opened", to)));
    // Another step is another e-mail.
    outbox
        .tell(telling(1, "grew", vec![email("incident-1", "grew", "a@x.example")]), at)
        .await
        .unwrap();
    let emails = outbox.due_emails(at, 100).await.unwrap();
    assert_eq!(
        (emails.len(), emails[3].in_reply_to.as_deref()),
        (4, Some(emails[0].message_id.as_str()))
    );
}

/// Makes these e-mails.
async fn make(outbox: &Outbox, emails: Vec<NewEmail>, at: Timestamp) {
    outbox.tell_troubles(Vec::new(), emails, at).await.unwrap();
}

#[tokio::test]
async fn thread_begins_for_each_address_with_the_first_e_mail_that_it_gets() {
    let store = TestStore::new();
    let (outbox, at) = (store.open(), now());
    let (early, late) = ("a@x.example", "b@x.example");
    make(&outbox, vec![email("incident-1", "opened", early)], at).await;
    let grew = [early, late].map(|to| email("incident-1", "grew", to));
    make(&outbox, grew.into(), at).await;
    // Who was refused the first one has not got it.
    let refused = outbox.due_emails(at, 100).await.unwrap()[0].id;
    outbox.email_failed(refused, at, None, "550".to_owned()).await.unwrap();
    let recovered = [early, late].map(|to| email("incident-1", "recovered", to));
    make(&outbox, recovered.into(), at).await;
    let emails = outbox.due_emails(at, 100).await.unwrap();
    let answers: Vec<_> = emails.iter().map(|email| email.in_reply_to.as_deref()).collect();
    let id = |step: &str, to: &str| format!("<incident-1.{step}.{to}@router.example>");
    assert_eq!(
        answers,
        [
            Some(id("opened", early).as_str()),
            None,
            Some(id("grew", early).as_str()),
            Some(id("grew", late).as_str())
        ]
    );
}

#[tokio::test]
async fn cap_of_an_hour_is_for_the_mailbox_whatever_its_owner_is_called() {
    let store = TestStore::new();
    let (outbox, at) = (store.open(), now());
    for n in 0..30 {
        let name = ["On Call", "Nuit"][n % 2];
        let to = format!("{name} <oncall@x.example>");
        make(&outbox, vec![email(&format!("incident-{n}"), "opened", &to)], at).await;
    }
    assert_eq!(due(&outbox, at).await.len(), 20);
    let held = outbox.held_emails().await.unwrap();
    assert_eq!(held.len(), 10);
    assert!(held.iter().all(|held| held.address == "oncall@x.example"), "{held:?}");
    outbox
        .tell_digest(held[9].id, email("digest", "1", "Nuit <oncall@x.example>"), at)
        .await
        .unwrap();
    assert!(outbox.held_emails().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_another_version_wrote_keeps_nothing_else_from_being_told() {
    let (store, outbox, _) = troubled().await;
    let (beside, at) = (store.beside(), now());
    let unknown = Trouble::unknown_shop("99999999", Format::Form, Mode::Test);
    for strange in [true, false] {
        outbox.report(unknown.clone(), at).await.unwrap();
        if strange {
            beside
                .execute_batch(r#"UPDATE troubles SET facts = '{"trouble":"flood"}'"#)
                .unwrap();
        }
    }
    let words = [unknown.word()];
    assert_eq!(outbox.troubles_since(at, &words).await.unwrap().len(), 1);
    assert_eq!(outbox.unseen_troubles(10).await.unwrap().len(), 1);
    let untold: i64 = beside
        .query_row("SELECT count(*) FROM troubles WHERE told_at IS NULL", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(untold, 1, "it is not looked at again");

    beside
        .execute_batch(
            r#"INSERT INTO untold_attempts(destination, seq, n, failure)
               SELECT destination, seq, 1, '{"at":"yesterday"}' FROM deliveries"#,
        )
        .unwrap();
    assert_eq!(outbox.untold_attempts(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn incident_of_another_version_is_closed_when_its_destination_is_served_again() {
    let (store, outbox, id) = troubled().await;
    store
        .beside()
        .execute_batch(r#"UPDATE incidents SET facts = '{"weather":"fine"}'"#)
        .unwrap();
    assert_eq!(outbox.unseen_incidents(10).await.unwrap().len(), 0, "left out");
    let (owned, inbox) = own(&outbox, &paris()).await;
    assert_eq!(owned.incident, None);
    // What fails from now on is an incident of its own.
    outbox.record(attempts::failed_with(owned.lease, incident(1)), &inbox);
    news(&inbox, 1).await;
    let rows = outbox.unseen_incidents(10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_ne!(rows[0].id, id);
}

#[tokio::test]
async fn incident_that_went_on_meanwhile_is_looked_at_again() {
    let (_store, outbox, id) = troubled().await;
    let stale = Telling {
        incident: id,
        version: 0,
        others: Vec::new(),
        told: "opened".to_owned(),
        emails: Vec::new(),
    };
    outbox.tell(stale, now()).await.unwrap();
    let rows = outbox.unseen_incidents(10).await.unwrap();
    assert_eq!((rows.len(), rows[0].told.as_str()), (1, "opened"));
}

#[tokio::test]
async fn email_is_due_until_it_is_sent_or_given_up() {
    let (store, outbox, id) = troubled().await;
    let emails = ["sent", "retried", "given up"].map(|step| email("incident-1", step, "a@x.example"));
    let at = now();
    let telling = Telling {
        incident: id,
        version: 1,
        others: Vec::new(),
        told: String::new(),
        emails: emails.into(),
    };
    outbox.tell(telling, at).await.unwrap();
    let rows = outbox.due_emails(at, 100).await.unwrap();
    let later = at + SignedDuration::from_secs(60);
    outbox.email_sent(rows[0].id, at).await.unwrap();
    outbox
        .email_failed(rows[1].id, at, Some(later), "421 later".to_owned())
        .await
        .unwrap();
    outbox
        .email_failed(rows[2].id, at, None, "550 no such person".to_owned())
        .await
        .unwrap();
    assert_eq!(due(&outbox, at).await, []);
    assert_eq!(outbox.next_email().await.unwrap(), Some(later));
    outbox.close();

    let outbox = store.open();
    let again = outbox.due_emails(later, 100).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((&again[0].message_id, again[0].attempts), (&rows[1].message_id, 1));
    assert_eq!((&again[0].text, again[0].created_at), (&rows[1].text, at));
    outbox.email_sent(again[0].id, later).await.unwrap();
    assert_eq!(outbox.next_email().await.unwrap(), None);
}

#[tokio::test]
async fn trouble_is_told_once() {
    let store = TestStore::new();
    let outbox = store.open();
    let trouble = |site_id| Trouble::unknown_shop(site_id, Format::Form, Mode::Test);
    let at = now();
    outbox.report(trouble("99999999"), at).await.unwrap();
    outbox.report(trouble("88888888"), at).await.unwrap();
    let rows = outbox.unseen_troubles(10).await.unwrap();
    assert_eq!(
        (rows[0].at, &rows[0].trouble, &rows[1].trouble),
        (at, &trouble("99999999"), &trouble("88888888"))
    );
    let told = vec![rows[0].id];
    let emails = vec![email("trouble-1", "opened", "it@x.example")];
    outbox.tell_troubles(told, emails, at).await.unwrap();
    assert_eq!(due(&outbox, at).await, [pair("trouble-1 opened", "it@x.example")]);
    outbox.close();
    let left = store.open().unseen_troubles(10).await.unwrap();
    assert_eq!((left.len(), left[0].id), (1, rows[1].id));
}

#[tokio::test]
async fn acknowledged_once_it_is_open_and_known() {
    let (_store, outbox, id) = troubled().await;
    let by = || "root".to_owned();
    let noted = outbox.acknowledge(id, by(), None, now()).await.unwrap();
    assert_eq!(noted, Acknowledged::Noted(1));
    let unknown = outbox.acknowledge(id + 1, by(), None, now()).await.unwrap();
    assert_eq!(unknown, Acknowledged::Unknown);
}
