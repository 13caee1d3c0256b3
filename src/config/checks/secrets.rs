//! Rules about keys and passwords that only their neighbours make wrong.

use crate::config::codes;
use crate::config::diagnostics::{Problem, Problems};
use crate::config::written::Written;
use crate::domain::Mode;

/// So many random characters cannot be guessed, however fast somebody tries.
const LONG_ENOUGH: usize = 16;

pub(super) fn admin_tokens_cannot_be_guessed(written: &Written, problems: &mut Problems) {
    let listens = written.admin.as_ref().filter(|admin| admin.listen.is_some());
    let tokens = listens.and_then(|admin| admin.token.as_ref());
    for token in tokens.into_iter().flat_map(|given| &given.value) {
        let length = token.value.expose().trim_ascii().len();
        if length < LONG_ENOUGH {
            let what = format!("this `token` has {length} characters, so it can be guessed");
            problems.push(
                Problem::new(codes::GUESSABLE_TOKEN, &token.spot, what)
                    .why("whoever has it reads customers' data, and replays and cancels deliveries")
                    .instead("make one with: openssl rand -base64 32"),
            );
        }
    }
}

pub(super) fn modes_have_secrets_of_their_own(written: &Written, problems: &mut Problems) {
    for shop in written.shops.values() {
        let (Some(test), Some(production)) = (shop.mode(Mode::Test), shop.mode(Mode::Production)) else {
            continue;
        };
        for (key, a, b) in [
            ("form_key", &test.form_key, &production.form_key),
            ("rest_password", &test.rest_password, &production.rest_password),
            ("event_secret", &test.event_secret, &production.event_secret),
        ] {
            let (Some(a), Some(b)) = (a.as_ref(), b.as_ref()) else {
                continue;
            };
            let twin = |secret: &_| a.value.iter().find(|other| other.value == *secret);
            let Some((twin, secret)) = b.value.iter().find_map(|secret| Some((twin(&secret.value)?, secret))) else {
                continue;
            };
            let what = format!("`{key}` of shop {} is the same in TEST and PRODUCTION", shop.id);
            problems.push(
                Problem::new(codes::SAME_SECRET_IN_BOTH_MODES, &secret.spot, what)
                    .also(&twin.spot, "the same here")
                    .why("whoever may test could then write what counts")
                    .instead("give each mode its own"),
            );
        }
    }
}

pub(super) fn passwords_are_of_their_mode(written: &Written, problems: &mut Problems) {
    for (shop, mode) in written
        .shops
        .values()
        .flat_map(|shop| shop.modes.iter().map(move |mode| (shop, mode)))
    {
        let foreign: &[u8] = match mode.mode {
            Mode::Production => b"testpassword_",
            Mode::Test => b"prodpassword_",
        };
        for password in mode.rest_password.as_ref().into_iter().flat_map(|given| &given.value) {
            if password.value.expose().trim_ascii().starts_with(foreign) {
                let (here, there) = (mode.mode, mode.mode.other());
                let what = format!("`rest_password` of shop {} in {here} is one of {there}", shop.id);
                problems.push(
                    Problem::new(codes::SECRET_OF_THE_OTHER_MODE, &password.spot, what)
                        .why(format!("notifications of {here} will not verify with it"))
                        .instead("Back Office: Settings > Shop > REST API keys"),
                );
            }
        }
    }
}
