//! What to do next, in order, with commands that run as printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::draft::{Draft, NamedSecret, SecretKind, is_system_wide};
use super::{Keeping, SetUp};
use crate::cli::page::wrapped;
use crate::cli::{shell, typed};
use crate::domain::Format;

/// The daemon's user on a machine where it is installed.
const USER: &str = "ipn-router";

/// What the package's socket listens on, unless that is changed.
const SOCKET: &str = "127.0.0.1:8080";

/// Whether the Debian package is installed, which brings the user, the folders and the units.
pub(super) fn is_packaged() -> bool {
    let folders = ["/usr/lib/systemd/system", "/lib/systemd/system"];
    folders
        .iter()
        .any(|folder| Path::new(folder).join("ipn-router.service").exists())
}

/// Prints the way from the file to the first forwarded TEST notification.
pub(super) fn print(draft: &Draft, file: &Path, is_packaged: bool, out: &mut impl Write) -> io::Result<()> {
    let mut steps = Steps {
        draft,
        file,
        is_packaged,
        number: 0,
        out,
    };
    writeln!(steps.out, "\nWhat to do next:")?;
    if is_system_wide(file) && !is_packaged {
        steps.prepare()?;
    }
    steps.make_room_for_the_store()?;
    steps.put_secrets()?;
    steps.check()?;
    steps.start()?;
    steps.try_it()?;
    steps.make_public()?;
    steps.fill_in_the_back_office()
}

struct Steps<'a, W> {
    draft: &'a Draft,
    file: &'a Path,
    is_packaged: bool,
    number: usize,
    out: &'a mut W,
}

impl<W: Write> Steps<'_, W> {
    fn prepare(&mut self) -> io::Result<()> {
        self.step("As root, give the daemon a user and a folder, unless that was done.")?;
        self.command(&format!(
            "useradd --system --home-dir /var/lib/{USER} --shell /usr/sbin/nologin {USER}"
        ))?;
        self.command(&format!("install -d -m 750 -o {USER} -g {USER} /var/lib/{USER}"))
    }

    /// The daemon makes the store, and no folder for it.
    fn make_room_for_the_store(&mut self) -> io::Result<()> {
        let store = self.file.with_file_name(&self.draft.store);
        let Some(folder) = store.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
            return Ok(());
        };
        let is_prepared = is_system_wide(self.file) && folder == Path::new("/var/lib").join(USER);
        if is_prepared || folder.is_dir() {
            return Ok(());
        }
        let owner = match is_system_wide(self.file) {
            true => format!(" -o {USER} -g {USER}"),
            false => String::new(),
        };
        self.step("Make the folder of the store.")?;
        self.command(&format!("install -d -m 750{owner} {}", shell(folder)))
    }

    fn put_secrets(&mut self) -> io::Result<()> {
        let folder = shell(&self.secrets_folder());
        self.step("Put the secrets, each into a file of its own.")?;
        // Root hands credentials over; files the daemon opens itself.
        let owner = match self.draft.secrets {
            Keeping::File if is_system_wide(self.file) => format!(" -o {USER}"),
            Keeping::Credential | Keeping::File => String::new(),
        };
        self.command(&format!("install -d -m 700{owner} {folder}"))?;
        for secret in self.draft.secrets() {
            let put = format!("install -m 600{owner} /dev/stdin {folder}/{}", secret.name);
            self.say(&self.explained(&secret))?;
            match secret.what {
                SecretKind::Event => {
                    self.command(&format!("echo \"whsec_$(head -c 32 /dev/urandom | base64)\" | {put}"))?;
                }
                SecretKind::Gateway(_) | SecretKind::Smtp => self.command(&put)?,
            }
        }
        if self.draft.secrets == Keeping::Credential && is_system_wide(self.file) {
            self.say("Then tell systemd of them: `systemctl edit ipn-router`, and write")?;
            self.command("[Service]")?;
            for secret in self.draft.secrets() {
                self.command(&format!("LoadCredential={0}:{folder}/{0}", secret.name))?;
            }
        }
        Ok(())
    }

    /// What a secret is, and where it comes from.
    fn explained(&self, secret: &NamedSecret) -> String {
        let shop = &self.draft.shop;
        match secret.what {
            SecretKind::Event => {
                let other = self.draft.other.as_ref().map_or("", |other| &other.name);
                format!("A new secret that {other} will check events with; its developer needs it too:")
            }
            SecretKind::Gateway(Format::Form) => format!(
                "The TEST key of {}: Back Office, Settings > Shop > Keys. Paste it, then Enter and Ctrl-D:",
                shop.name
            ),
            SecretKind::Gateway(Format::Rest) => format!(
                "The TEST password of {}: Back Office, Settings > Shop > REST API keys. Paste it, then Enter and Ctrl-D:",
                shop.name
            ),
            SecretKind::Smtp => "The password at the mail server. Type it, then Enter and Ctrl-D:".to_owned(),
        }
    }

    fn check(&mut self) -> io::Result<()> {
        self.step("Check the file; then, if that is well, whether everything that it names can be reached.")?;
        self.ipn_router("check")?;
        self.ipn_router("check --online")
    }

    fn start(&mut self) -> io::Result<()> {
        if !is_system_wide(self.file) {
            self.step("Start the daemon. It stays in the foreground, so go on in another terminal.")?;
            return self.ipn_router("serve");
        }
        if self.is_packaged {
            self.step("Start the daemon, and its socket, which is held while the daemon is restarted.")?;
        } else {
            self.step(
                "Start the daemon, and its socket, which is held while the daemon is restarted. Their units are in the \
                 folder of the sources.",
            )?;
            for unit in ["ipn-router.service", "ipn-router.socket"] {
                self.command(&format!("install -m 644 deploy/{unit} /etc/systemd/system/"))?;
            }
        }
        if self.draft.listen != SOCKET {
            self.say(&format!(
                "The socket is {SOCKET}. Yours is another: `systemctl edit ipn-router.socket`, and write"
            ))?;
            self.command("[Socket]")?;
            self.command("ListenStream=")?;
            self.command(&format!("ListenStream={}", self.draft.listen))?;
            self.say("Then:")?;
        }
        self.command("systemctl enable --now ipn-router.socket ipn-router.service")
    }

    fn try_it(&mut self) -> io::Result<()> {
        let who = match (&self.draft.other, &self.draft.shop.url) {
            (Some(other), Some(_)) => format!("{} and {}", self.draft.shop.name, other.name),
            (Some(other), None) => other.name.clone(),
            (None, Some(_)) => self.draft.shop.name.clone(),
            (None, None) => "nobody, for the file names no URL yet: it is kept, and parked".to_owned(),
        };
        self.step(&format!(
            "See who will learn of a card that was replaced, and send such a notification as the gateway would. The answer \
             is 200 OK-stored; then this gets it: {who}."
        ))?;
        let format = match self.draft.shop.format {
            Format::Form => "",
            Format::Rest => " --format rest",
        };
        self.ipn_router(&format!("explain --kind token.updated{format}"))?;
        self.ipn_router(&format!("send --kind token.updated{format}"))
    }

    fn make_public(&mut self) -> io::Result<()> {
        let listen = &self.draft.listen;
        self.step(&match self.draft.tls {
            Some(_) => format!(
                "See that the gateway reaches {listen} by HTTPS, at a public name. It calls from 194.50.38.0/24."
            ),
            None => format!(
                "Let a proxy (nginx, Caddy) with a public name and a certificate pass /ipn on to http://{listen}. The \
                 gateway calls from 194.50.38.0/24."
            ),
        })
    }

    fn fill_in_the_back_office(&mut self) -> io::Result<()> {
        let rules = match self.draft.set_up {
            SetUp::A => "\"Instant Payment Notification URL on an operation coming from the Back Office\"",
            SetUp::B => {
                "\"Instant Payment Notification URL on an operation coming from the Back Office\", and then \"Instant Payment \
                 Notification URL at the end of the payment\""
            }
        };
        let boxes = match self.draft.shop.format {
            Format::Form => "\"Instant Payment Notification URL of the API form V1, V2\"",
            Format::Rest => "\"REST API Instant Payment Notification URL\"",
        };
        self.step(&format!(
            "In the Expert Back Office, Settings > Notification rules, of shop {}:",
            self.draft.shop.id
        ))?;
        for line in [
            &format!("- Right-click {rules}: \"Manage the rule\"."),
            "- \"E-mail address(es) to notify in case of failure\": who looks after this daemon.",
            "- Tick \"Automatic retry in case of failure\".",
            &format!("- {boxes}, URL to notify in TEST mode: https://<public name>/ipn"),
            "- Save. Right-click the rule again: \"Enable the rule\".",
        ] {
            self.say(line)?;
        }
        self.say(
            "Then create a token in TEST mode there, and choose this shop to be notified. That is the first notification of \
             the gateway itself; its history shows 200 OK-stored. Do the same for every shop that an operator may choose: \
             each needs its key in the file. PRODUCTION comes last.",
        )
    }

    /// A command of ours, with what it needs to find the configuration and the secrets.
    fn ipn_router(&mut self, arguments: &str) -> io::Result<()> {
        let environment = match self.draft.secrets {
            Keeping::Credential => format!("CREDENTIALS_DIRECTORY={} ", shell(&self.secrets_folder())),
            Keeping::File => String::new(),
        };
        self.command(&format!("{environment}{}", typed(arguments, self.file)))
    }

    fn secrets_folder(&self) -> PathBuf {
        self.file.with_file_name("secrets")
    }

    fn step(&mut self, text: &str) -> io::Result<()> {
        self.number += 1;
        let mut label = format!("{}.", self.number);
        writeln!(self.out)?;
        for line in wrapped(text, 77) {
            writeln!(self.out, "{label:<3}{line}")?;
            label.clear();
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let hangs = if text.starts_with("- ") { 5 } else { 3 };
        for (number, line) in wrapped(text, 75).into_iter().enumerate() {
            let indent = if number == 0 { 3 } else { hangs };
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        writeln!(self.out, "      {command}")
    }
}
