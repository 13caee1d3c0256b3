//! From the wish to what came of it.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::admin::{AskedVerb, VERBS, VerbStanding, VerbStatus, VerbWish};
use crate::cli::check::Format;
use crate::cli::daemon::{Daemon, INTERRUPTED, runtime};
use crate::cli::page::{WIDTH, beside, wrapped};
use crate::cli::screen;
use crate::cli::typed;
use crate::domain::{Scope, Verb};
use crate::outbox::{VerbId, VerbResult};

/// How often it looks how far the daemon has come.
const EVERY: Duration = Duration::from_millis(200);

/// What a person wants to be done.
pub(super) struct Wish {
    pub(super) verb: Verb,
    /// Only says what would be done.
    pub(super) dry_run: bool,
    /// Nobody is to be asked.
    pub(super) yes: bool,
}

impl Wish {
    pub(super) fn of(verb: Verb) -> Self {
        Self {
            verb,
            dry_run: false,
            yes: false,
        }
    }

    /// Has it done, if whoever wants it still wants it once he knows how much it is.
    pub(super) fn carry_out(self, file: &Path, format: Format) -> anyhow::Result<ExitCode> {
        let daemon = Daemon::of(file)?;
        let ask = |dry_run| {
            let verb = self.verb.clone();
            daemon.ask::<AskedVerb>(VERBS, &VerbWish { verb, dry_run })
        };
        if let Some(question) = question(&self.verb).filter(|_| !self.dry_run && !self.yes)
            && let AskedVerb::Foreseen(foreseen) = ask(true)?
        {
            if foreseen.done == 0 {
                return self.tell(None, &foreseen, format);
            }
            if !is_agreed(question, &foreseen)? {
                writeln!(io::stderr(), "Nothing was done.")?;
                return Ok(ExitCode::FAILURE);
            }
        }
        match ask(self.dry_run)? {
            AskedVerb::Foreseen(result) => self.tell(None, &result, format),
            AskedVerb::Asked(id) => match wait_for(&daemon, id)? {
                Some(result) => self.tell(Some(id), &result, format),
                None => {
                    let text = format!(
                        "The daemon goes on with it (number {id}): {} shows what is still under way.",
                        typed("status", file)
                    );
                    beside(&mut io::stderr(), "", 0, &text)?;
                    Ok(ExitCode::from(INTERRUPTED))
                }
            },
        }
    }

    /// Says what came of it, or would.
    fn tell(&self, id: Option<VerbId>, result: &VerbResult, format: Format) -> anyhow::Result<ExitCode> {
        let mut out = screen::stdout();
        match format {
            Format::Json => {
                let json = json!({ "verb": id, "dry_run": self.dry_run, "result": result });
                writeln!(out, "{json:#}")?;
            }
            Format::Text => self.print(result, &mut out)?,
        }
        let is_done = result.done > 0 && result.failed.is_none();
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, result: &VerbResult, out: &mut impl Write) -> io::Result<()> {
        let text = match self.dry_run {
            true => format!("This would come of it: {result}. Nothing was done."),
            false => format!("{}.", capitalized(&result.to_string())),
        };
        beside(out, "", 0, &text)?;
        if matches!(self.verb, Verb::Replay { .. }) && result.done > 0 {
            let text = "What is replayed goes to the end of its token's queue: it arrives after newer notifications \
                        of that token.";
            beside(out, "", 0, text)?;
        }
        Ok(())
    }
}

/// What has to be agreed to first, as a question: what may be far more than whoever asks for it has in mind. An incident
/// says itself how much it has given up, so replaying that is none.
fn question(verb: &Verb) -> Option<&'static str> {
    match verb {
        Verb::Backfill { .. } => Some("Send them?"),
        Verb::Cancel(which) if !matches!(which.scope, Scope::Notification(_)) => Some("Give them up for good?"),
        Verb::Replay { which, .. } if matches!(which.scope, Scope::Received(_)) => Some("Send them once more?"),
        Verb::Cancel(_) | Verb::Pause(_) | Verb::Release { .. } | Verb::Replay { .. } | Verb::Resume(_) => None,
    }
}

/// Asks whoever sits there; only `y` and `yes` are a yes.
fn is_agreed(question: &str, foreseen: &VerbResult) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("this would come of it: {foreseen}; to have it done where nobody can be asked, say --yes");
    }
    let mut out = io::stderr().lock();
    for line in wrapped(&format!("This would come of it: {foreseen}."), WIDTH) {
        writeln!(out, "{line}")?;
    }
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Until it is done; `None` if whoever waits does not want to any more.
fn wait_for(daemon: &Daemon, id: VerbId) -> anyhow::Result<Option<VerbResult>> {
    let path = format!("{VERBS}/{id}");
    runtime()?.block_on(async {
        let mut progress = Progress::default();
        let done = async {
            loop {
                let status: VerbStatus = daemon.look_on(&path).await?;
                if status.standing == VerbStanding::Done {
                    return Ok(status.result);
                }
                progress.show(&status);
                tokio::time::sleep(EVERY).await;
            }
        };
        let result = tokio::select! {
            result = done => Some(result),
            _ = tokio::signal::ctrl_c() => None,
        };
        progress.end();
        result.transpose()
    })
}

/// How far it has come, on a terminal only.
#[derive(Default)]
struct Progress {
    bar: Option<ProgressBar>,
    most_left: u64,
}

impl Progress {
    fn show(&mut self, status: &VerbStatus) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.most_left = self.most_left.max(status.left);
        let bar = self.bar.get_or_insert_with(ProgressBar::no_length);
        // A backfill does not know how much there is to look at.
        if self.most_left > 0 {
            bar.set_length(self.most_left);
            bar.set_position(self.most_left - status.left);
        }
        let template = if self.most_left > 0 {
            "[{bar:30}] {percent}% {msg}"
        } else {
            "{spinner} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{} done", status.result.done));
        bar.tick();
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{DestinationFilter, Mode, NotificationId, Pause, Period, Selection};

    #[test]
    fn what_may_be_more_than_somebody_has_in_mind_is_a_question() {
        let received = Period {
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::MAX,
        };
        let notification = NotificationId::new(Timestamp::UNIX_EPOCH);
        let which = |scope| Selection {
            scope,
            destinations: DestinationFilter::default(),
            kind: None,
        };
        let replay = |scope| Verb::Replay {
            which: which(scope),
            ended: None,
            as_new: false,
        };
        let backfill = Verb::Backfill {
            shop: "12345678".parse().unwrap(),
            mode: Mode::Test,
            received,
        };
        for (verb, is_one) in [
            (backfill, true),
            (Verb::Cancel(which(Scope::Received(received))), true),
            (Verb::Cancel(which(Scope::Incident(7))), true),
            (Verb::Cancel(which(Scope::Notification(notification))), false),
            (replay(Scope::Received(received)), true),
            (replay(Scope::Incident(7)), false),
            (replay(Scope::Notification(notification)), false),
            (Verb::Release { notification }, false),
            (Verb::Pause(Pause::default()), false),
            (Verb::Resume(DestinationFilter::default()), false),
        ] {
            assert_eq!(question(&verb).is_some(), is_one, "{verb:?}");
        }
    }
}
