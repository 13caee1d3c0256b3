use super::draft::SecretKind;
use super::*;
use crate::config::{File, FoundSecret, Outside, SecretSource};

/// A machine with these secrets, and no others.
struct Put(Vec<draft::NamedSecret>);

impl Outside for Put {
    fn include(&self, _: &Path) -> Result<Vec<File>, String> {
        Ok(Vec::new())
    }

    fn secret(&self, from: &SecretSource) -> Result<FoundSecret, String> {
        let name = match from {
            SecretSource::Credential(name) => name.clone(),
            SecretSource::File(path) => path.strip_prefix("secrets").unwrap().display().to_string(),
            SecretSource::Env(name) => panic!("{name}"),
        };
        let secret = self.0.iter().find(|secret| secret.name == name);
        let bytes = match secret.ok_or("there is none")?.what {
            SecretKind::Event => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            SecretKind::Gateway(Format::Form) => "4kZx81pQ7vRt0aBc",
            SecretKind::Gateway(Format::Rest) => "testpassword_x",
            SecretKind::Smtp => "s3cret",
        };
        Ok(FoundSecret {
            bytes: bytes.into(),
            readable_by_everyone: false,
        })
    }

    fn open(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

/// Every combination of flags that says something else.
fn combinations() -> Vec<Options> {
    let text = |text: &str| Some(text.to_owned());
    let mut all = vec![Options {
        legal_entity: text("ACME SAS"),
        shop: text("12345678"),
        ..Options::default()
    }];
    let mut either = |changes: &[&dyn Fn(&mut Options)]| {
        let changed = all.iter().flat_map(|options| {
            changes.iter().map(move |change| {
                let mut options = options.clone();
                change(&mut options);
                options
            })
        });
        all = changed.collect();
    };
    either(&[
        &|o| o.set_up = Some(SetUp::A),
        &|o| {
            (o.set_up, o.shop_url) = (Some(SetUp::A), text("http://localhost/ipn"));
            (o.name, o.expect_every) = (text("ACME Paris"), text("never"));
        },
        &|o| {
            (o.set_up, o.shop_url) = (
                Some(SetUp::B),
                text("https://paris.acme.example/?wc-api=WC_Gateway_Payzen"),
            );
            (o.name, o.expect_every) = (text("L'Été à Paris"), text("7d"));
        },
    ]);
    either(&[&|o| o.format = Some(Format::Form), &|o| o.format = Some(Format::Rest)]);
    either(&[
        &|_| (),
        &|o| (o.other_shop, o.other_url) = (text("23456789"), text("https://lyon.acme.example/events")),
        &|o| {
            (o.other_shop, o.other_url) = (text("23456789"), text("http://10.0.0.1/events"));
            o.other_name = text("ACME Lyon");
        },
    ]);
    either(&[
        &|_| (),
        &|o| o.failure_emails = text("oncall@acme.example; it@acme.example"),
        &|o| {
            (o.failure_emails, o.smtp) = (text("ACME <a@b.example>"), text("smtps://mail.acme.example"));
            (o.smtp_username, o.mail_from) = (text("ipn-router"), text("ipn@acme.example"));
        },
    ]);
    either(&[&|o| o.secrets = Some(Keeping::File), &|o| {
        o.secrets = Some(Keeping::Credential);
        (o.tls_certificate, o.tls_key) = (text("/a.pem"), text("/b.pem"));
        (o.listen, o.store) = (text("[::]:443"), text("/srv/outbox.db"));
    }]);
    all
}

fn draft_of(options: &Options) -> Draft {
    questions::draft(options, Path::new("ipn-router.toml"), Asker::silent()).unwrap()
}

fn parse(toml: &str, secrets: Vec<draft::NamedSecret>) -> Vec<String> {
    let file = File {
        path: "ipn-router.toml".into(),
        bytes: toml.into(),
    };
    let told = match config::parse(file, &Put(secrets)) {
        Ok(loaded) => loaded.diagnostics,
        Err(told) => panic!("{}\n{toml}", told[0].to_text(false)),
    };
    told.iter().map(|diagnostic| diagnostic.code.0.to_owned()).collect()
}

#[test]
fn every_combination_of_flags_passes_once_the_secrets_are_put() {
    let all = combinations();
    assert_eq!(all.len(), 3 * 2 * 3 * 3 * 2);
    for options in all {
        let draft = draft_of(&options);
        for code in parse(&file::toml(&draft), draft.secrets()) {
            // No address, no effect yet, a shop without a URL or without another to tell: as the flags say.
            let expected = ["W002", "W009", "N002"].contains(&&*code);
            assert!(expected, "{code}: {options:?}");
        }
    }
}

/// What stands behind a `#` is what comes next, and is right too.
#[test]
fn every_commented_line_can_be_switched_on() {
    for options in combinations() {
        let draft = draft_of(&options);
        let written = file::toml(&draft).replace("https://…", "https://shop.example/");
        let on = written.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest,
            _ => line,
        });
        let mut secrets = draft.secrets();
        let production = |name: String, what| draft::NamedSecret { name, what };
        let event = draft
            .other
            .as_ref()
            .map_or("my-other-shop-test-events".to_owned(), |other| {
                other.secret("production")
            });
        secrets.push(production(event, SecretKind::Event));
        let key = draft.gateway_secret("production");
        secrets.push(production(key, SecretKind::Gateway(Format::Form)));
        parse(&on.collect::<Vec<_>>().join("\n"), secrets);
    }
}

fn initialised(options: &Options, answers: Option<&str>) -> (anyhow::Result<()>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ipn-router.toml");
    let mut out = Vec::new();
    let result = write(
        &file,
        options,
        answers.is_some(),
        answers.unwrap_or("").as_bytes(),
        &mut out,
    );
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    (result, written, String::from_utf8(out).unwrap())
}

#[test]
fn questions_are_asked_until_the_reader_takes_the_answer() {
    let answers = "\nACME SAS\nb\nweekly\n7d\n1234\n12345678\nACME Paris\n\n\nhttp://u:p@x/\nhttps://paris.acme.example/ipn\n\
        23456789\n\nhttps://lyon.acme.example/events\noncall@acme.example, it@acme.example\noncall@acme.example\n\n\n\n\n\n\n";
    let (result, written, shown) = initialised(&Options::default(), Some(answers));
    result.unwrap();
    for line in [
        "[legal_entities.acme-sas]",
        "wait_for_named_shop = \"2s\"",
        "expect_every = \"7d\"",
        "[shops.12345678.test]",
        "form_key = { file = \"secrets/acme-paris-test-form-key\" }",
        "form_url = \"https://paris.acme.example/ipn\"",
        "name = \"Shop 23456789\"",
        "event_url = \"https://lyon.acme.example/events\"",
        "from = \"IPN router <ipn-router@acme.example>\"",
    ] {
        assert!(written.lines().any(|written| written == line), "{line}\n{written}");
    }
    for complaint in [
        "This is needed.",
        "a shop id has 8 digits, and this one 4",
        "`expect_every` must be a time",
        "which would end up in logs",
        "separated by semicolons, not by commas",
    ] {
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(complaint), "{complaint}\n{shown}");
    }
}

#[test]
fn an_answer_by_flag_is_not_asked_for() {
    let options = Options {
        legal_entity: Some("ACME".to_owned()),
        shop: Some("12345678".to_owned()),
        ..Options::default()
    };
    // Nothing else is needed: every other question takes an empty answer.
    let (result, _, shown) = initialised(&options, Some(&"\n".repeat(20)));
    result.unwrap();
    assert!(!shown.contains("Which company"), "{shown}");
}

#[test]
fn what_is_missing_is_told_at_once_and_nothing_is_written() {
    let (result, written, _) = initialised(&Options::default(), None);
    let told = result.unwrap_err().to_string();
    assert_eq!(told, "without questions this is needed: --legal-entity, --shop");
    assert_eq!(written, "");
    let paid = Options {
        set_up: Some(SetUp::B),
        legal_entity: Some("ACME".to_owned()),
        shop: Some("12345678".to_owned()),
        ..Options::default()
    };
    let told = initialised(&paid, None).0.unwrap_err().to_string();
    assert!(
        told.ends_with("--shop-url"),
        "in set-up B its orders would stay unpaid: {told}"
    );
}

#[test]
fn an_end_of_the_answers_writes_nothing() {
    let (result, written, _) = initialised(&Options::default(), Some("ACME SAS\n"));
    assert!(result.unwrap_err().to_string().contains("nothing was written"));
    assert_eq!(written, "");
}

#[test]
fn no_answer_can_write_a_line_of_its_own() {
    let options = Options {
        legal_entity: Some("A\" \\ #B".to_owned()),
        shop: Some("12345678".to_owned()),
        name: Some("L'Été\t\"x\"\n[admin]".to_owned()),
        ..Options::default()
    };
    let told = initialised(&options, None).0.unwrap_err().to_string();
    assert!(told.contains("--name: `name` holds a tab"), "{told}");
    let options = Options { name: None, ..options };
    let (result, written, _) = initialised(&options, None);
    result.unwrap();
    assert!(written.contains(r#"name = "A\" \\ #B""#), "{written}");
}

#[test]
fn steps_for_a_server_name_its_user_its_unit_and_where_secrets_are() {
    for (keeping, commands) in [
        (
            Keeping::File,
            &[
                "install -d -m 700 -o ipn-router /etc/ipn-router/secrets",
                "install -m 600 -o ipn-router /dev/stdin /etc/ipn-router/secrets/shop-12345678-test-form-key",
                "ipn-router check",
                "install -m 644 deploy/ipn-router.socket /etc/systemd/system/",
                "systemctl enable --now ipn-router.socket ipn-router.service",
            ][..],
        ),
        (
            Keeping::Credential,
            &[
                "install -m 600 /dev/stdin /etc/ipn-router/secrets/shop-12345678-test-form-key",
                "LoadCredential=shop-12345678-test-form-key:/etc/ipn-router/secrets/shop-12345678-test-form-key",
                "CREDENTIALS_DIRECTORY=/etc/ipn-router/secrets ipn-router check",
            ],
        ),
    ] {
        let draft = Draft {
            secrets: keeping,
            ..draft_of(&combinations()[0])
        };
        let mut out = Vec::new();
        steps::print(&draft, Path::new("/etc/ipn-router/ipn-router.toml"), false, &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        for command in commands {
            assert!(
                printed.lines().any(|line| line.trim() == *command),
                "{command}\n{printed}"
            );
        }
        let is_command = |line: &&str| line.starts_with("      ");
        assert!(
            printed
                .lines()
                .filter(|line| !is_command(line))
                .all(|line| line.chars().count() <= 80)
        );
    }
}

#[test]
fn steps_after_the_package_name_nothing_of_the_sources() {
    let mut draft = draft_of(&combinations()[0]);
    draft.listen = "0.0.0.0:8443".to_owned();
    let mut out = Vec::new();
    steps::print(&draft, Path::new("/etc/ipn-router/ipn-router.toml"), true, &mut out).unwrap();
    let printed = String::from_utf8(out).unwrap();
    for done in ["useradd", "deploy/", "/etc/systemd/system"] {
        assert!(!printed.contains(done), "{done}\n{printed}");
    }
    assert!(
        printed.contains("systemctl enable --now ipn-router.socket ipn-router.service"),
        "{printed}"
    );
    assert!(
        printed.contains("      ListenStream=\n      ListenStream=0.0.0.0:8443\n"),
        "{printed}"
    );
}
