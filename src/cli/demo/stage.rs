//! How the demo looks.

use std::io::{self, Stdout, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

use super::company::City;
use super::mailbox::Mail;

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const PENDING: Style = AnsiColor::Yellow.on_default();

/// Who does something.
#[derive(Clone, Copy)]
pub(super) enum Actor {
    Forger,
    Gateway,
    Mailbox,
    Router,
    Shop(City),
}

impl Actor {
    fn name(self) -> &'static str {
        match self {
            Self::Forger => "forger",
            Self::Gateway => "gateway",
            Self::Mailbox => "mailbox",
            Self::Router => "router",
            Self::Shop(city) => city.name(),
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Forger => AnsiColor::Red.on_default(),
            Self::Gateway => AnsiColor::Magenta.on_default(),
            Self::Mailbox => AnsiColor::Yellow.on_default(),
            Self::Router => AnsiColor::Cyan.on_default(),
            Self::Shop(_) => AnsiColor::Blue.on_default(),
        }
    }
}

/// How it goes.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Failed,
    Fine,
    Nothing,
    Sends,
    Waits,
}

impl Mark {
    fn sign(self) -> (Style, char) {
        match self {
            Self::Failed => (BAD, '✗'),
            Self::Fine => (GOOD, '✓'),
            Self::Nothing => (FAINT, '·'),
            Self::Sends => (FAINT, '→'),
            Self::Waits => (PENDING, '…'),
        }
    }
}

/// The terminal; without colours if it has none, is none, or `NO_COLOR` is set.
pub(super) struct Stage {
    out: AutoStream<Stdout>,
    scenes: u32,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            out: anstream::stdout(),
            scenes: 0,
        }
    }

    /// Plain text, as it is.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{BOLD}{text}{BOLD:#}")
    }

    /// The beginning of a scene: what happens, and why it is shown.
    pub(super) fn scene(&mut self, what: &str, why: &str) -> io::Result<()> {
        self.scenes += 1;
        let number = self.scenes;
        writeln!(self.out, "\n{BOLD}{number}. {what}{BOLD:#}")?;
        for line in why.lines() {
            writeln!(self.out, "   {FAINT}{line}{FAINT:#}")?;
        }
        Ok(())
    }

    /// What somebody does, and how it goes.
    pub(super) fn line(&mut self, actor: Actor, mark: Mark, what: &str, note: &str) -> io::Result<()> {
        let (name, colour) = (actor.name(), actor.style());
        let (style, sign) = mark.sign();
        write!(self.out, "   {colour}{name:<7}{colour:#} {style}{sign}{style:#} ")?;
        if note.is_empty() {
            writeln!(self.out, "{what}")
        } else {
            writeln!(self.out, "{what:<24} {FAINT}{note}{FAINT:#}")
        }
    }

    /// Something as it was received, set apart.
    pub(super) fn quote<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "   {PENDING}│{PENDING:#} {line}")?;
        }
        Ok(())
    }

    /// An e-mail, as it was received.
    pub(super) fn mail(&mut self, mail: &Mail) -> io::Result<()> {
        let head = [
            format!("To: {}", mail.to),
            format!("Subject: {BOLD}{}{BOLD:#}", mail.subject),
            String::new(),
        ];
        self.quote(head.iter().map(String::as_str))?;
        self.quote(mail.text.trim_end().lines())
    }

    /// One line of the table at the end.
    pub(super) fn row(&mut self, what: &str, expected: usize, arrived: usize, note: &str) -> io::Result<()> {
        let style = if expected == arrived { GOOD } else { BAD };
        write!(self.out, "   {what:<14}{expected:>9}{style}{arrived:>9}{style:#}")?;
        match note {
            "" => writeln!(self.out),
            note => writeln!(self.out, "   {FAINT}{note}{FAINT:#}"),
        }
    }

    /// The last word.
    pub(super) fn verdict(&mut self, good: bool, text: &str) -> io::Result<()> {
        let style = if good { GOOD.bold() } else { BAD };
        writeln!(self.out, "\n   {style}{text}{style:#}")
    }
}
