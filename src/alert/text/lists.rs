use super::layout::Page;
use crate::alert::Language;
use crate::alert::language::at;
use crate::domain::shown_token;
use crate::outbox::WaitingNotification;

/// What became of the notifications of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Listed {
    GivenUp,
    Waiting,
}

/// Lists the first of some notifications; nothing, if there are none.
pub(super) fn the_first(page: &mut Page, all: u64, first: &[WaitingNotification], state: Listed, language: Language) {
    if all == 0 {
        return;
    }
    let is_all = u64::try_from(first.len()).is_ok_and(|shown| shown >= all);
    let (shown, many) = (first.len(), all > 1);
    let english = match state {
        Listed::GivenUp => "given up",
        Listed::Waiting => "waiting",
    };
    let french = match (state, many) {
        (Listed::GivenUp, false) => "abandonnée",
        (Listed::GivenUp, true) => "abandonnées",
        (Listed::Waiting, _) => "en attente",
    };
    let heading = if is_all {
        let count = language.count(
            all,
            ["notification", "notifications"],
            ["notification", "notifications"],
        );
        language.say(
            format!("The {count} {english}"),
            match many {
                true => format!("Les {count} {french}"),
                false => format!("La notification {french}"),
            },
        )
    } else {
        language.say(
            format!("The first {shown} of {all} notifications {english}"),
            format!("Les {shown} premières des {all} notifications {french}"),
        )
    };
    page.heading(&heading);
    for notification in first {
        item(page, notification, language);
    }
}

/// A notification as people find it: in the Back Office by its transaction, here by its id.
pub(super) fn item(page: &mut Page, notification: &WaitingNotification, language: Language) {
    let mut first = format!("{}, {}", at(notification.received_at), notification.matter.kind);
    if let Some(token) = notification.token.as_deref() {
        let word = language.say("token", "alias");
        first.push_str(&format!(", {word} {}", shown_token(token)));
    }
    page.item(&first, &format!("id {}", notification.id));
    if let Some(transaction) = notification.transaction.as_deref() {
        page.more(&format!("transaction {transaction}"));
    }
}
