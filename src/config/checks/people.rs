//! Rules about who is told of trouble, and who may ask.

use crate::config::codes;
use crate::config::diagnostics::{Problem, Problems};
use crate::config::written::Written;

pub(super) fn mail_has_a_sender(written: &Written, problems: &mut Problems) {
    let Some(mail) = &written.mail else { return };
    if mail.from.is_absent() {
        problems.push(
            Problem::new(codes::NO_SENDER, &mail.spot, "[mail] has no `from`")
                .why("mail servers refuse an e-mail without a sender")
                .instead("add from = \"IPN router <ipn-router@example.com>\""),
        );
    }
}

pub(super) fn mail_has_a_whole_login(written: &Written, problems: &mut Problems) {
    let Some(mail) = &written.mail else { return };
    let half = match (mail.username.as_ref(), mail.password.as_ref()) {
        (Some(username), None) if mail.password.is_absent() => Some((&username.spot, "username", "password")),
        (None, Some(password)) if mail.username.is_absent() => Some((&password.spot, "password", "username")),
        _ => None,
    };
    if let Some((spot, given, missing)) = half {
        let what = format!("[mail] has a `{given}` but no `{missing}`");
        problems.push(Problem::new(codes::HALF_A_LOGIN, spot, what).instead("give both, or neither"));
    }
}

pub(super) fn addresses_have_a_mail_server(written: &Written, problems: &mut Problems) {
    if written.mail.is_some() {
        return;
    }
    let companies = written.legal_entities.values().map(|entity| &entity.failure_emails);
    let shops = written.shops.values().map(|shop| &shop.extra_failure_emails);
    let first = companies.chain(shops).find_map(|given| given.as_ref());
    if let Some(first) = first {
        problems.push(
            Problem::new(codes::NO_MAIL, &first.spot, "there are e-mail addresses, but no [mail]")
                .why("nobody is told by e-mail; the log is all that tells")
                .instead("add [mail] with `smtp` and `from`"),
        );
    }
}

pub(super) fn every_company_has_a_failure_address(written: &Written, problems: &mut Problems) {
    for (id, entity) in &written.legal_entities {
        let none = |given: Option<usize>| given.is_none_or(|count| count == 0);
        let count = entity.failure_emails.as_ref().map(|at| at.value.len());
        let unheard = written
            .shops_of(id)
            .any(|shop| none(shop.extra_failure_emails.as_ref().map(|at| at.value.len())));
        let wrong = entity.failure_emails.is_meant() && count.is_none();
        if entity.enabled && none(count) && unheard && !wrong {
            problems.push(
                Problem::new(
                    codes::NO_FAILURE_ADDRESS,
                    &entity.spot,
                    format!("\"{id}\" has no `failure_emails`"),
                )
                .why("nobody is told when its shops cannot be reached")
                .instead("add failure_emails = \"oncall@acme.example\""),
            );
        }
    }
}

pub(super) fn silence_is_told_to_somebody(written: &Written, problems: &mut Problems) {
    let Some(mail) = &written.mail else { return };
    let is_nobody = mail
        .operators
        .as_ref()
        .is_none_or(|operators| operators.value.is_empty());
    let expected = written
        .legal_entities
        .values()
        .find_map(|entity| entity.expect_every.as_ref());
    if let Some(expected) = expected.filter(|_| is_nobody) {
        problems.push(
            Problem::new(
                codes::NO_FAILURE_ADDRESS,
                &expected.spot,
                "the gateway's silence is told to the `operators` of [mail], and there are none",
            )
            .why("nobody is told by e-mail; the log is all that tells")
            .instead("add operators = \"it@acme.example\" to [mail]"),
        );
    }
}

pub(super) fn admin_listener_is_guarded(written: &Written, problems: &mut Problems) {
    let Some(admin) = &written.admin else { return };
    let Some(listen) = &admin.listen else { return };
    if admin.token.is_absent() && !listen.value.ip().is_loopback() {
        problems.push(
            Problem::new(
                codes::ADMIN_WITHOUT_TOKEN,
                &listen.spot,
                "the admin listener is open to others without a token",
            )
            .why("whoever reaches it could read notifications and replay them")
            .instead("add `token = { env = \"IPN_ROUTER_ADMIN_TOKEN\" }`, or listen on 127.0.0.1"),
        );
    }
}

pub(super) fn admin_token_is_not_overheard(written: &Written, problems: &mut Problems) {
    let Some(admin) = &written.admin else { return };
    let Some(listen) = &admin.listen else { return };
    let is_encrypted = admin
        .public_url
        .as_ref()
        .is_some_and(|url| url.value.scheme() == "https");
    if !admin.token.is_absent() && !listen.value.ip().is_loopback() && !is_encrypted {
        problems.push(
            Problem::new(
                codes::PLAIN_HTTP,
                &listen.spot,
                "the admin listener speaks HTTP, and others can reach it",
            )
            .why("the token and customers' data travel unencrypted to it")
            .instead("listen on 127.0.0.1 behind a proxy that ends TLS, and name it: public_url = \"https://…\""),
        );
    }
}

pub(super) fn admin_table_opens_what_it_names(written: &Written, problems: &mut Problems) {
    let Some(admin) = &written.admin else { return };
    let token = admin.token.as_ref();
    if let Some(listen) = &admin.listen {
        if token.is_none() {
            let what = "without a `token`, only /livez and /readyz answer here";
            problems.push(
                Problem::new(codes::ONLY_HEALTH, &listen.spot, what)
                    .why("the page, the metrics and the API stay closed to everyone")
                    .instead("add `token = { env = \"IPN_ROUTER_ADMIN_TOKEN\" }`, or nothing if that is all you want"),
            );
        }
        return;
    }
    let idle = [
        ("public_url", admin.public_url.as_ref().map(|at| &at.spot)),
        ("token", token.map(|at| &at.spot)),
    ];
    for (key, spot) in idle {
        let Some(spot) = spot else { continue };
        problems.push(
            Problem::new(codes::UNUSED, spot, format!("nothing uses `{key}` of [admin]"))
                .why("without `listen` there is no page, no metrics and no API")
                .instead("add listen = \"127.0.0.1:8081\", or leave it out"),
        );
    }
}
