//! The questions, and how they are asked.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{bail, ensure};

use super::draft::{Draft, Mail, OtherShop};
use super::{Keeping, Options, SetUp};
use crate::cli::page::wrapped;
use crate::domain::Format;

/// Gets answers from flags and, if it may, from a person.
pub(super) struct Asker<'i> {
    dialogue: Option<Dialogue<'i>>,
    /// Flags that are needed, and were not given.
    missing: Vec<&'static str>,
}

struct Dialogue<'i> {
    input: Box<dyn BufRead + 'i>,
    out: &'i mut dyn Write,
}

/// One thing to know.
struct Question<'q> {
    flag: &'static str,
    asks: &'q str,
    /// What an empty answer means; `None`: it has to be answered.
    default: Option<&'q str>,
}

impl<'i> Asker<'i> {
    pub(super) fn asking(input: impl BufRead + 'i, out: &'i mut impl Write) -> Self {
        Self {
            dialogue: Some(Dialogue {
                input: Box::new(input),
                out,
            }),
            missing: Vec::new(),
        }
    }

    pub(super) fn silent() -> Self {
        Self {
            dialogue: None,
            missing: Vec::new(),
        }
    }

    /// Puts the answer into the draft: the flag's, else a person's, else the default. A person is asked again until the
    /// configuration's reader takes it.
    fn answer(
        &mut self,
        draft: &mut Draft,
        given: Option<&str>,
        question: &Question<'_>,
        put: impl Fn(&mut Draft, &str) -> Result<(), String>,
    ) -> anyhow::Result<()> {
        let attempt = |draft: &mut Draft, answer: &str| {
            let mut changed = draft.clone();
            put(&mut changed, answer)?;
            match changed.refusal() {
                Some(reason) => Err(reason),
                None => {
                    *draft = changed;
                    Ok(())
                }
            }
        };
        if let Some(given) = given {
            return attempt(draft, given).map_err(|reason| anyhow::anyhow!("{}: {reason}", question.flag));
        }
        let Some(dialogue) = &mut self.dialogue else {
            match question.default {
                Some(default) => {
                    put(draft, default).map_err(|reason| anyhow::anyhow!("{}: {reason}", question.flag))?
                }
                None => self.missing.push(question.flag),
            }
            return Ok(());
        };
        dialogue.explain(question.asks)?;
        loop {
            let answer = dialogue.ask(question.default)?;
            let Some(answer) = answer.as_deref().or(question.default) else {
                dialogue.say("This is needed.")?;
                continue;
            };
            match attempt(draft, answer) {
                Ok(()) => return Ok(()),
                Err(reason) => dialogue.say(&reason)?,
            }
        }
    }
}

impl Dialogue<'_> {
    fn explain(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out)?;
        self.say(text)
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        for paragraph in text.split('\n') {
            for line in wrapped(paragraph, 78) {
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    /// `None`: an empty answer.
    fn ask(&mut self, default: Option<&str>) -> anyhow::Result<Option<String>> {
        match default {
            Some("") => write!(self.out, "[none] > ")?,
            Some(default) => write!(self.out, "[{default}] > ")?,
            None => write!(self.out, "> ")?,
        }
        self.out.flush()?;
        let mut answer = String::new();
        ensure!(self.input.read_line(&mut answer)? > 0, "no answer: nothing was written");
        let answer = answer.trim();
        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }
}

/// Gets everything that the file needs.
pub(super) fn draft(options: &Options, file: &Path, mut asker: Asker<'_>) -> anyhow::Result<Draft> {
    let mut draft = Draft::new(file);
    company(&mut draft, options, &mut asker)?;
    notified_shop(&mut draft, options, &mut asker)?;
    other_shop(&mut draft, options, &mut asker)?;
    mail(&mut draft, options, &mut asker)?;
    daemon(&mut draft, options, &mut asker)?;
    if !asker.missing.is_empty() {
        bail!("without questions this is needed: {}", asker.missing.join(", "));
    }
    Ok(draft)
}

fn company(draft: &mut Draft, options: &Options, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    let question = Question {
        flag: "--legal-entity",
        asks: "Which company (legal entity) do the shops belong to? Tokens are shared within it only.",
        default: None,
    };
    asker.answer(draft, options.legal_entity.as_deref(), &question, |draft, name| {
        draft.company = name.to_owned();
        Ok(())
    })?;
    let question = Question {
        flag: "--set-up",
        asks: "Which rules of the Back Office will name this daemon?\n\
            a: only \"on an operation coming from the Back Office\". Payments are untouched: start here.\n\
            b: \"at the end of the payment\" too. Cards saved while paying are shared as well, and the shop hears of its \
            payments from this daemon.",
        default: Some("a"),
    };
    let set_up = options.set_up.map(|set_up| match set_up {
        SetUp::A => "a",
        SetUp::B => "b",
    });
    asker.answer(draft, set_up, &question, |draft, letter| {
        draft.set_up = match letter.to_lowercase().as_str() {
            "a" => SetUp::A,
            "b" => SetUp::B,
            _ => return Err("a or b".to_owned()),
        };
        Ok(())
    })?;
    let question = Question {
        flag: "--expect-every",
        asks: "If the gateway falls silent, somebody should know. After what time without any notification: \"1d\" for a \
            busy shop, \"7d\", or never?",
        default: Some("never"),
    };
    asker.answer(draft, options.expect_every.as_deref(), &question, |draft, time| {
        draft.expect_every = (time != "never").then(|| time.to_owned());
        Ok(())
    })
}

fn notified_shop(draft: &mut Draft, options: &Options, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    let question = Question {
        flag: "--shop",
        asks: "Which shop does the gateway notify? Its id has 8 digits (Back Office: Settings > Shop).",
        default: None,
    };
    asker.answer(draft, options.shop.as_deref(), &question, |draft, id| {
        draft.shop.id = id.to_owned();
        Ok(())
    })?;
    let name = format!("Shop {}", draft.shop.id);
    let question = Question {
        flag: "--name",
        asks: "What do people call it?",
        default: Some(&name),
    };
    asker.answer(draft, options.name.as_deref(), &question, |draft, name| {
        draft.shop.name = name.to_owned();
        Ok(())
    })?;
    let question = Question {
        flag: "--format",
        asks: "How does the gateway write to it?\n\
            form: the box \"API form V1, V2\" of the rule; most plugins.\n\
            rest: the box \"REST API\"; shops that use the JavaScript client.",
        default: Some("form"),
    };
    let format = options.format.map(Format::word);
    asker.answer(draft, format, &question, |draft, word| {
        draft.shop.format = Format::from_word(word).ok_or("form or rest")?;
        Ok(())
    })?;
    let question = Question {
        flag: "--shop-url",
        asks: match draft.set_up {
            SetUp::A => {
                "Where does its plugin take the gateway's TEST notifications? What the gateway tells of this shop goes on to \
                 there, byte for byte. None is allowed: then only the other shops learn."
            }
            SetUp::B => {
                "Where does its plugin take the gateway's TEST notifications? It is the URL that the rule \"at the end of \
                 the payment\" names today: payments go on to there, byte for byte."
            }
        },
        // Its orders would stay unpaid.
        default: (draft.set_up == SetUp::A).then_some(""),
    };
    asker.answer(draft, options.shop_url.as_deref(), &question, |draft, url| {
        draft.shop.url = (!url.is_empty()).then(|| url.to_owned());
        Ok(())
    })
}

fn other_shop(draft: &mut Draft, options: &Options, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    let question = Question {
        flag: "--other-shop",
        asks: "Which other shop of the company is to learn of the tokens? Its id has 8 digits. More of them can be added to \
            the file.",
        default: Some(""),
    };
    asker.answer(draft, options.other_shop.as_deref(), &question, |draft, id| {
        draft.other = (!id.is_empty()).then(|| OtherShop {
            id: id.to_owned(),
            name: format!("Shop {id}"),
            url: "https://shop.example/token-events".to_owned(),
        });
        Ok(())
    })?;
    let Some(name) = draft.other.as_ref().map(|other| other.name.clone()) else {
        return Ok(());
    };
    let change = |draft: &mut Draft, change: &dyn Fn(&mut OtherShop)| {
        draft.other.iter_mut().for_each(change);
        Ok(())
    };
    let question = Question {
        flag: "--other-name",
        asks: "What do people call it?",
        default: Some(&name),
    };
    asker.answer(draft, options.other_name.as_deref(), &question, |draft, name| {
        change(draft, &|other| name.clone_into(&mut other.name))
    })?;
    let question = Question {
        flag: "--other-url",
        asks: "Where does it take events in TEST? That is a URL of the shop's own, for JSON signed by Standard Webhooks; the \
            README of ipn-router shows a receiver for it.",
        default: None,
    };
    asker.answer(draft, options.other_url.as_deref(), &question, |draft, url| {
        change(draft, &|other| url.clone_into(&mut other.url))
    })
}

fn mail(draft: &mut Draft, options: &Options, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    let question = Question {
        flag: "--failure-emails",
        asks: "Who is told when a shop cannot be reached? E-mail addresses, separated by semicolons.",
        default: Some(""),
    };
    asker.answer(
        draft,
        options.failure_emails.as_deref(),
        &question,
        |draft, addresses| {
            let after_at = addresses.split_once('@').map_or("localhost", |(_, rest)| rest);
            let domain = after_at.split([';', ',', '>', ' ']).next().unwrap_or(after_at);
            draft.mail = (!addresses.is_empty()).then(|| Mail {
                failure_emails: addresses.to_owned(),
                smtp: "smtp://127.0.0.1".to_owned(),
                username: None,
                from: format!("IPN router <ipn-router@{domain}>"),
            });
            Ok(())
        },
    )?;
    let Some(Mail { smtp, from, .. }) = draft.mail.clone() else {
        ensure!(
            options.smtp.is_none() && options.smtp_username.is_none() && options.mail_from.is_none(),
            "a mail server is of no use without --failure-emails"
        );
        return Ok(());
    };
    let change = |draft: &mut Draft, change: &dyn Fn(&mut Mail)| {
        draft.mail.iter_mut().for_each(change);
        Ok(())
    };
    let question = Question {
        flag: "--smtp",
        asks: "Which mail server sends that? smtps://… is TLS; smtp://… insists on STARTTLS, except toward this machine.",
        default: Some(&smtp),
    };
    asker.answer(draft, options.smtp.as_deref(), &question, |draft, smtp| {
        change(draft, &|mail| smtp.clone_into(&mut mail.smtp))
    })?;
    let question = Question {
        flag: "--smtp-username",
        asks: "With which user name, if it wants a login?",
        default: Some(""),
    };
    asker.answer(draft, options.smtp_username.as_deref(), &question, |draft, name| {
        change(draft, &|mail| {
            mail.username = (!name.is_empty()).then(|| name.to_owned())
        })
    })?;
    let question = Question {
        flag: "--mail-from",
        asks: "From which address?",
        default: Some(&from),
    };
    asker.answer(draft, options.mail_from.as_deref(), &question, |draft, from| {
        change(draft, &|mail| from.clone_into(&mut mail.from))
    })
}

fn daemon(draft: &mut Draft, options: &Options, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    let listen = draft.listen.clone();
    let question = Question {
        flag: "--listen",
        asks: "Where does the daemon listen? On this machine alone if a proxy in front (nginx, Caddy) ends TLS.",
        default: Some(&listen),
    };
    asker.answer(draft, options.listen.as_deref(), &question, |draft, listen| {
        listen.clone_into(&mut draft.listen);
        Ok(())
    })?;
    let pair = options.tls_certificate.clone().zip(options.tls_key.clone());
    draft.tls = pair;
    let store = draft.store.clone();
    let question = Question {
        flag: "--store",
        asks: "In which file are notifications kept? It holds personal data.",
        default: Some(&store),
    };
    asker.answer(draft, options.store.as_deref(), &question, |draft, store| {
        store.clone_into(&mut draft.store);
        Ok(())
    })?;
    let question = Question {
        flag: "--secrets",
        asks: "Where are the secrets kept?\n\
            file: files of mode 600 that the daemon's user owns.\n\
            credential: files of root that systemd hands to the daemon alone.",
        default: Some("file"),
    };
    let keeping = options.secrets.map(|keeping| match keeping {
        Keeping::Credential => "credential",
        Keeping::File => "file",
    });
    asker.answer(draft, keeping, &question, |draft, word| {
        draft.secrets = match word {
            "credential" => Keeping::Credential,
            "file" => Keeping::File,
            _ => return Err("file or credential".to_owned()),
        };
        Ok(())
    })
}
