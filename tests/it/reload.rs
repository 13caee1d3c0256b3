//! Another configuration while the daemon runs: by command, by signal, by a file that changes (design.md 10).

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use ipn_router::admin::VerdictKind;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::support::{Acme, Answer, FakeShop, Form, LYON, PARIS, TestDaemon, TestRouter, eventually, rest_password};

async fn start(toml: &str) -> (Acme, TestDaemon, String) {
    let acme = Acme::open();
    let toml = acme.toml("") + toml;
    let daemon = TestDaemon::start(&toml).await;
    (acme, daemon, toml)
}

/// Runs the program against the daemon's configuration.
async fn run(daemon: &TestDaemon, words: &[&str]) -> Output {
    command(daemon, words).output().await.unwrap()
}

fn command(daemon: &TestDaemon, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-router"));
    command
        .args(words)
        .arg("--config")
        .arg(daemon.home.path("ipn-router.toml"));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Where a notification of Paris goes now.
async fn goes_to(daemon: &TestDaemon, shop: &FakeShop, token: &str) {
    daemon
        .gateway()
        .sends(&Form::token_created(PARIS, token).signed())
        .await;
    let arrived = async || shop.calls().iter().any(|call| call.token() == token).then_some(());
    eventually(token, arrived).await;
}

#[tokio::test]
async fn reload_by_command_tells_what_changes_and_applies_it() {
    let (acme, daemon, toml) = start("").await;
    let moved = FakeShop::open();
    daemon.rewrite(&toml.replace(&acme.paris.url("/test/form"), &moved.url("/test/form")));

    let diff = run(&daemon, &["diff"]).await;
    assert!(diff.status.success(), "{}", said(&diff));
    let change = format!(
        "- acme/{PARIS}/TEST/form: {} instead of {}",
        moved.url("/test/form"),
        acme.paris.url("/test/form")
    );
    assert!(said(&diff).contains(&change), "{}", said(&diff));
    goes_to(&daemon, &acme.paris, "token-1").await;

    let reload = run(&daemon, &["reload"]).await;
    assert!(
        reload.status.success() && said(&reload).contains("Applied: configuration"),
        "{}",
        said(&reload)
    );
    goes_to(&daemon, &moved, "token-2").await;
    let again = run(&daemon, &["reload", "--format", "json"]).await;
    let verdict: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(verdict["verdict"], "unchanged");
    // Every notification names the configuration that routed it.
    let named = "SELECT count(*) FROM notifications n JOIN configurations c ON c.id = n.configuration WHERE c.hash ";
    let running = verdict["running"].as_str().unwrap();
    assert_eq!(daemon.home.number(&format!("{named} = '{running}'")), 1);
    assert_eq!(daemon.home.number(&format!("{named} <> '{running}'")), 1);
    let texts = "SELECT count(*) FROM configurations WHERE texts LIKE '%form-key-of%' OR texts LIKE '%whsec_%'";
    assert_eq!(daemon.home.number(texts), 0, "no secret is kept");
}

#[tokio::test]
async fn refused_configuration_changes_nothing_and_the_operators_are_told() {
    let (acme, daemon, toml) = start("").await;
    let broken = toml
        .replace(&acme.lyon.url("/test/events"), "not a URL")
        .replace("ACME Nice", "ACME Nizza");
    daemon.rewrite(&broken);
    let reload = run(&daemon, &["reload"]).await;
    assert_eq!(reload.status.code(), Some(78), "{}", said(&reload));
    assert!(
        said(&reload).contains("ipn-router.toml:") && said(&reload).contains("event_url"),
        "{}",
        said(&reload)
    );
    assert!(said(&reload).contains("runs on, unchanged"), "{}", said(&reload));
    goes_to(&daemon, &acme.lyon, "token-1").await;
    let told = "SELECT count(*) FROM troubles WHERE facts LIKE '%reload-refused%'";
    assert_eq!(daemon.home.number(told), 1);
    assert!(daemon.log().contains("is not applied"), "{}", daemon.log());
}

/// What only shows when it is prepared, such as a certificate that is none: nothing says afterwards that it ran.
#[tokio::test]
async fn configuration_that_cannot_be_prepared_is_refused_and_not_noted() {
    let (acme, daemon, toml) = start("").await;
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(daemon.home.path("junk.pem"), junk).unwrap();
    daemon.rewrite(&toml.replacen("allow_private = true", "allow_private = true\nca = \"junk.pem\"", 1));
    let reload = run(&daemon, &["reload"]).await;
    assert_eq!(reload.status.code(), Some(78), "{}", said(&reload));
    assert!(said(&reload).contains("cannot deliver to"), "{}", said(&reload));
    assert_eq!(daemon.home.number("SELECT count(*) FROM configurations"), 1);
    goes_to(&daemon, &acme.paris, "token-1").await;
}

#[tokio::test]
async fn what_is_dangerous_wants_to_be_confirmed() {
    let mut acme = Acme::open();
    let toml = acme.toml(r#"retry_delays = ["100ms"]"#) + "[legal_entities.other]\nname = \"Other\"\n";
    let daemon = TestDaemon::start(&toml).await;
    acme.nice.down().await;
    daemon
        .gateway()
        .sends(&Form::token_created(PARIS, "token-1").signed())
        .await;
    acme.lyon.gets(2).await;
    let with_nice = toml.find("[shops.34567890]").unwrap();
    let after_nice = toml.find("[legal_entities.other]").unwrap();
    let without_nice = toml[..with_nice].to_owned() + &toml[after_nice..];
    daemon.rewrite(&without_nice);
    let reload = run(&daemon, &["reload"]).await;
    assert_eq!(reload.status.code(), Some(1), "{}", said(&reload));
    assert!(
        said(&reload).contains("DANGER: 1 delivery waits for acme/34567890/TEST/form-resigned"),
        "{}",
        said(&reload)
    );
    let confirmed = run(&daemon, &["reload", "--confirm"]).await;
    assert!(confirmed.status.success(), "{}", said(&confirmed));
    assert_eq!(daemon.home.open_deliveries(), 1, "it stays in the store");

    acme.nice.up();
    daemon.rewrite(&toml);
    let back = run(&daemon, &["reload"]).await;
    assert!(
        back.status.success() && said(&back).contains("they go out"),
        "{}",
        said(&back)
    );
    daemon.delivers_everything().await;
    assert_eq!(acme.nice.calls().len(), 1);
}

#[tokio::test]
async fn sighup_reloads_also_a_secret_that_was_rotated() {
    let (acme, daemon, _) = start("").await;
    goes_to(&daemon, &acme.paris, "token-1").await;
    fs::write(daemon.home.path("12345678-TEST-form"), "another-key\n").unwrap();
    let pid = Pid::from_raw(i32::try_from(daemon.process()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let form = Form::token_created(PARIS, "token-2").signed_with(&ipn_router::domain::Secret::new("another-key"));
    eventually("the new key counts", async || {
        let reply = daemon.gateway().tries(&form).await.unwrap();
        (reply.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn watched_file_is_applied_when_it_is_replaced_and_never_if_dangerous() {
    let acme = Acme::open();
    let toml = "reload = \"watch\"\n".to_owned() + &acme.toml("");
    let daemon = TestDaemon::start(&toml).await;
    let moved = FakeShop::open();
    let file = daemon.home.path("ipn-router.toml");
    let text = fs::read_to_string(&file).unwrap();
    // A burst of versions, the last one is good; written beside and moved into place, as editors do.
    for version in [
        "nonsense",
        "[shops",
        &text.replace(&acme.paris.url("/test/form"), &moved.url("/test/form")),
    ] {
        let beside = daemon.home.path("new");
        fs::write(&beside, version).unwrap();
        fs::rename(&beside, &file).unwrap();
    }
    eventually("it is applied", async || {
        daemon
            .gateway()
            .sends(&Form::payment(PARIS, "token", "order").signed())
            .await;
        (!moved.calls().is_empty()).then_some(())
    })
    .await;
    // Lyon to another company: nobody is there to confirm that.
    let text = fs::read_to_string(&file).unwrap();
    let other = text.replace(
        "[shops.23456789]\n                name = \"ACME Lyon\"\n                legal_entity = \"acme\"",
        "[legal_entities.other]\nname = \"Other\"\n[shops.23456789]\nname = \"ACME Lyon\"\nlegal_entity = \"other\"",
    );
    assert_ne!(other, text);
    fs::write(&file, other).unwrap();
    let told = "SELECT count(*) FROM troubles WHERE facts LIKE '%moves from acme to other%\"is_dangerous\":true%'";
    eventually("the operators are told", async || {
        (daemon.home.number(told) == 1).then_some(())
    })
    .await;
    goes_to(&daemon, &acme.lyon, "token-of-acme").await;
}

/// Kubernetes keeps a volume's files behind a link to a folder, and replaces the link.
#[tokio::test]
async fn watched_file_behind_links_is_applied_when_the_link_is_replaced() {
    let acme = Acme::open();
    let toml = "reload = \"watch\"\n".to_owned() + &acme.toml("");
    let daemon = TestDaemon::start_behind_links(&toml).await;
    let moved = FakeShop::open();
    let file = daemon.home.path("ipn-router.toml");
    let text = fs::read_to_string(&file).unwrap();
    let new = daemon.home.path("..2");
    fs::create_dir(&new).unwrap();
    fs::write(
        new.join("ipn-router.toml"),
        text.replace(&acme.paris.url("/test/form"), &moved.url("/test/form")),
    )
    .unwrap();
    symlink("..2", daemon.home.path("..data_new")).unwrap();
    fs::rename(daemon.home.path("..data_new"), daemon.home.path("..data")).unwrap();
    eventually("it is applied", async || {
        daemon
            .gateway()
            .sends(&Form::payment(PARIS, "token", "order").signed())
            .await;
        (!moved.calls().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn edit_checks_shows_and_applies_only_what_is_confirmed() {
    let (acme, daemon, toml) = start("").await;
    let moved = FakeShop::open();
    let (from, to) = (acme.paris.url("/test/form"), moved.url("/test/form"));
    let file = daemon.home.path("ipn-router.toml");
    let before = fs::read_to_string(&file).unwrap();
    for (editor, answer, status, expected) in [
        (
            format!("sed -i 's#{from}#nonsense#'"),
            "q\n",
            Some(1),
            "It cannot be used like this",
        ),
        (format!("sed -i 's#{from}#{to}#'"), "q\n", Some(1), "instead of"),
        ("true".to_owned(), "", Some(0), "Nothing has changed"),
        (
            format!("sed -i 's#{from}#{to}#'"),
            "y\n",
            Some(0),
            "Applied: configuration",
        ),
    ] {
        assert_eq!(fs::read_to_string(&file).unwrap(), before, "before {editor}");
        let mut edit = command(&daemon, &["edit"]);
        edit.env("EDITOR", &editor).env_remove("VISUAL");
        let output = with_input(edit, answer).await;
        assert_eq!(output.status.code(), status, "{editor}: {}", said(&output));
        assert!(said(&output).contains(expected), "{editor}: {}", said(&output));
    }
    assert_ne!(fs::read_to_string(&file).unwrap(), before);
    assert!(leftovers(file.parent().unwrap()).is_empty());
    goes_to(&daemon, &moved, "token-1").await;
    assert!(toml.contains(&from));
}

/// Relative paths in the copy are those of the file: nothing but the edit may seem to have changed.
#[tokio::test]
async fn edit_through_a_link_shows_only_the_edit_and_leaves_the_link() {
    let acme = Acme::open();
    let daemon = TestDaemon::start_behind_links(&acme.toml("")).await;
    let mut edit = command(&daemon, &["edit"]);
    edit.env("EDITOR", "sed -i s/ACME.Nice/Nizza/").env_remove("VISUAL");
    let output = with_input(edit, "y\n").await;
    assert!(output.status.success(), "{}", said(&output));
    let changes: Vec<_> = said(&output)
        .lines()
        .filter(|line| line.starts_with("- "))
        .map(str::to_owned)
        .collect();
    assert_eq!(changes, ["- shop 34567890: now called \"Nizza\""]);
    let next = format!(
        "ipn-router reload --config {}",
        daemon.home.path("ipn-router.toml").display()
    );
    assert!(said(&output).contains(&next), "{}", said(&output));
    assert!(daemon.home.path("ipn-router.toml").is_symlink());
    let text = fs::read_to_string(daemon.home.path("..1").join("ipn-router.toml")).unwrap();
    assert!(text.contains("Nizza"), "{text}");
}

#[tokio::test]
async fn commands_say_so_if_no_daemon_runs() {
    let (_acme, mut daemon, _) = start("").await;
    daemon.kill().await;
    for words in [["reload"], ["diff"]] {
        let output = run(&daemon, &words).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("no daemon answers at"), "{}", said(&output));
    }
    // What a killed daemon has left does not keep the next one from starting.
    daemon.start_again().await;
    assert!(run(&daemon, &["reload"]).await.status.success());
}

/// Two companies, URLs that come and go, shops switched off and on, while notifications stream in.
#[tokio::test]
async fn reload_under_load_loses_and_misroutes_nothing() {
    let acme = Acme::open();
    let other = FakeShop::open();
    let base = acme.toml("")
        + &format!(
            "[legal_entities.other]\nname = \"Other\"\n[shops.45678901]\nname = \"Other Brest\"\nlegal_entity = \"other\"\n\
             allow_private = true\n[shops.45678901.test]\nrest_password = {{ file = \"{LYON}-TEST-rest\" }}\n\
             rest_url = \"{}\"\n",
            other.url("/brest")
        );
    let moved = FakeShop::open();
    let configurations = [
        base.clone(),
        base.replace("[shops.23456789]", "[shops.23456789]\nenabled = false"),
        base.replace(&acme.nice.url("/test/form"), &moved.url("/test/form")),
        base.replace("name = \"ACME SAS\"", "name = \"ACME SAS\"\nconcurrency = 1"),
        base.replace("name = \"ACME SAS\"", "name = \"ACME SAS\"\nenabled = false"),
    ];
    let router = TestRouter::start(&base).await;
    acme.paris.answers({
        let mut n = 0;
        move |_| {
            n += 1;
            if n % 7 == 0 { Answer::status(503) } else { Answer::OK }
        }
    });
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let mut gateway = router.gateway();
            tokio::spawn(async move {
                for n in 0..60 {
                    let token = format!("token-{sender}-{n}");
                    let reply = gateway
                        .tries(&Form::token_created(PARIS, &token).signed())
                        .await
                        .unwrap();
                    assert_eq!(reply.status, 200, "{reply:?}");
                }
            })
        })
        .collect();
    let mut applied = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        applied += 1;
        router.apply(&configurations[applied % configurations.len()]).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    // The last one has everything switched on, and quick retries.
    let last = base.replace(
        "name = \"ACME SAS\"",
        "name = \"ACME SAS\"\nretry_delays = [\"50ms\", \"1s\", \"2s\"]",
    );
    router.apply(&last).await;
    assert!(applied >= 3, "{applied} configurations");
    router
        .home()
        .store()
        .execute("UPDATE deliveries SET due = 1 WHERE state = 0 AND due > 0", [])
        .unwrap();
    let router = TestRouter::start_at(router.stop().await, &last).await;
    router.delivers_everything().await;
    let tokens = |shop: &FakeShop, path: &str| -> std::collections::BTreeSet<String> {
        shop.calls_to(path).iter().map(|call| call.token()).collect()
    };
    assert_eq!(tokens(&acme.paris, "/test/form").len(), 240);
    assert_eq!(tokens(&acme.lyon, "/test/events").len(), 240);
    assert_eq!(tokens(&acme.lyon, "/test/form").len(), 240);
    let nice: std::collections::BTreeSet<_> = tokens(&acme.nice, "/test/form")
        .union(&tokens(&moved, "/test/form"))
        .cloned()
        .collect();
    assert_eq!(nice.len(), 240);
    assert!(other.calls().is_empty(), "another company hears nothing");
    assert!(rest_password(LYON, "TEST").starts_with("testpassword"));
}

/// Whatever is wrong with a file, what runs goes on as it was.
#[tokio::test]
async fn refused_files_of_any_kind_leave_routing_as_it_was() {
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    let acme = Acme::open();
    let toml = acme.toml("");
    let router = TestRouter::start(&toml).await;
    let text = fs::read_to_string(router.home().path("ipn-router.toml")).unwrap();
    let mut gateway = router.gateway();
    let (mut refused, mut sent) = (0, 0);
    for _ in 0..60 {
        let verdict = router.reads(&damaged(&text, &mut rng)).await;
        match verdict {
            VerdictKind::Refused | VerdictKind::NeedsConfirmation => {}
            VerdictKind::Applied => {
                router.apply(&toml).await;
                continue;
            }
            VerdictKind::Unchanged | VerdictKind::WouldApply => continue,
        }
        refused += 1;
        sent += 1;
        gateway
            .sends(&Form::token_created(PARIS, &format!("token-{sent}")).signed())
            .await;
        for (shop, path) in [
            (&acme.paris, "/test/form"),
            (&acme.lyon, "/test/form"),
            (&acme.lyon, "/test/events"),
            (&acme.nice, "/test/form"),
        ] {
            let what = format!("{path} after {refused} refusals, seed {seed}");
            eventually(&what, async || (shop.calls_to(path).len() == sent).then_some(())).await;
        }
    }
    assert!(refused >= 10, "only {refused} of 60, seed {seed}");
    router.delivers_everything().await;
    let calls = [&acme.paris, &acme.lyon, &acme.nice].map(|shop| shop.calls().len());
    assert_eq!(calls, [sent, 2 * sent, sent], "and nowhere else");
}

/// The text after an accident.
fn damaged(text: &str, rng: &mut fastrand::Rng) -> String {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let at = rng.usize(..lines.len());
    match rng.usize(..6) {
        0 => lines.truncate(at),
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, lines[at].clone()),
        3 => lines[at] = lines[at].replace('"', "'\u{201c}"),
        4 => lines[at] = lines[at].replace(" = ", " : "),
        _ => {
            let with_value: Vec<_> = (0..lines.len()).filter(|line| lines[*line].contains(" = ")).collect();
            let line = *rng.choice(&with_value).unwrap();
            let key = lines[line].split(" = ").next().unwrap().to_owned();
            let value = *rng
                .choice(&["true", "-1", "\"\"", "\"nonsense\"", "[1]", "{}"])
                .unwrap();
            lines[line] = format!("{key} = {value}");
        }
    }
    lines.join("\n")
}

fn leftovers(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".edit-"))
        .collect()
}

async fn with_input(mut command: Command, input: &str) -> Output {
    use std::process::Stdio;
    use tokio::io::AsyncWriteExt;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
    child.wait_with_output().await.unwrap()
}
