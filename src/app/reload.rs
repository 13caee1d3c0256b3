//! Another configuration, while the daemon runs: all of it or nothing, and whoever asks gets the verdict.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::Control;
use crate::admin::{Problem, RefusedReload, Reload, Told, Verdict, VerdictKind, Who};
use crate::config::{self, Change, Config, Diagnostic, Loaded, Severity, Text};
use crate::domain::Trouble;
use crate::metrics::Reloading;
use crate::outbox::{Outbox, OutboxError};
use crate::verify::Keyring;

/// Applies configurations, one after the other.
pub(super) struct Reloader {
    /// The main file.
    path: PathBuf,
    /// As of the start: what only a restart changes runs as this has it.
    started: Config,
    running: Config,
    hash: String,
    control: Control,
    outbox: Outbox,
    files: watch::Sender<BTreeSet<PathBuf>>,
    counts: Reloading,
    /// Why the files were refused when they were last looked at because one had changed.
    refused: Option<Vec<String>>,
}

impl Reloader {
    /// Starts from what runs; `files` learns which files it comes from.
    pub(super) fn new(
        path: PathBuf,
        running: Config,
        hash: String,
        control: Control,
        outbox: Outbox,
        files: watch::Sender<BTreeSet<PathBuf>>,
        counts: Reloading,
    ) -> Self {
        Self {
            path,
            started: running.clone(),
            running,
            hash,
            control,
            outbox,
            files,
            counts,
            refused: None,
        }
    }

    /// Notes the configuration that the daemon starts with.
    pub(super) async fn begin(&mut self, texts: &[Text]) {
        self.counts.succeeded(self.control.clock.now());
        match self.note(self.hash.clone(), texts, "start").await {
            Ok(configuration) => {
                let keyring = Keyring::new(self.running.keys.clone());
                self.control.intake.replace_rules(keyring, configuration);
            }
            // Then the notifications do not say which one routed them.
            Err(error) => tracing::error!(error, "cannot note the configuration: {error}"),
        }
    }

    /// Reads the files again, and applies them if nothing speaks against it. What is refused changes nothing.
    pub(super) async fn reload(&mut self, wish: &Reload, who: &Who) -> Verdict {
        let verdict = self.decide(wish, who).await;
        match verdict.verdict {
            VerdictKind::Applied | VerdictKind::Unchanged => {
                self.refused = None;
                self.counts.succeeded(self.control.clock.now());
                self.control.running.send_modify(|running| running.refused = None);
            }
            VerdictKind::NeedsConfirmation | VerdictKind::Refused if !wish.dry_run => {
                self.counts.refused();
                let refused = RefusedReload {
                    at: self.control.clock.now(),
                    by: who.to_string(),
                    verdict: verdict.clone(),
                };
                self.control
                    .running
                    .send_modify(|running| running.refused = Some(refused));
            }
            VerdictKind::NeedsConfirmation | VerdictKind::Refused | VerdictKind::WouldApply => {}
        }
        let (hash, changes) = (&verdict.running, verdict.changes.len());
        match verdict.verdict {
            VerdictKind::Applied => {
                tracing::info!(configuration = hash, changes, "{who}: configuration {hash} is applied");
                for change in &verdict.changes {
                    tracing::info!(configuration = hash, "changed: {}", change.what);
                }
            }
            VerdictKind::NeedsConfirmation | VerdictKind::Refused if !wish.dry_run => self.report(&verdict, who).await,
            VerdictKind::Unchanged if *who == Who::Watch => {}
            VerdictKind::Unchanged => tracing::info!(configuration = hash, "{who}: nothing has changed"),
            VerdictKind::NeedsConfirmation | VerdictKind::Refused | VerdictKind::WouldApply => {}
        }
        verdict
    }

    async fn decide(&mut self, wish: &Reload, who: &Who) -> Verdict {
        let path = match &wish.instead {
            // Whoever may ask may not have every file read for him.
            Some(file) => match beside(file, &self.path).filter(|_| wish.dry_run) {
                Some(path) => path,
                None => return self.verdict(VerdictKind::Refused, Vec::new(), vec![NOT_BESIDE.to_owned().into()]),
            },
            None => self.path.clone(),
        };
        let read = tokio::task::spawn_blocking(move || config::load_and_list(&path)).await;
        let Ok((loaded, files)) = read else {
            return self.verdict(
                VerdictKind::Refused,
                Vec::new(),
                vec!["reading it has failed".to_owned().into()],
            );
        };
        if wish.instead.is_none() {
            self.files.send_replace(files);
        }
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(errors) => return self.verdict(VerdictKind::Refused, Vec::new(), problems(&errors)),
        };
        let problems = problems(&loaded.diagnostics);
        let changes = config::changes(&self.running, &loaded.config);
        let told = match self.told(&changes).await {
            Ok(told) => told,
            // Without knowing what waits nobody can say what is dangerous.
            Err(error) => {
                return self.verdict(
                    VerdictKind::Refused,
                    Vec::new(),
                    vec![format!("the store: {error}").into()],
                );
            }
        };
        let dangerous = told.iter().any(|change| change.danger.is_some());
        if changes.is_empty() {
            return self.verdict(VerdictKind::Unchanged, told, problems);
        }
        // Nobody is there to confirm what a file that was changed says.
        if dangerous && (!wish.confirm || *who == Who::Watch) {
            return self.verdict(VerdictKind::NeedsConfirmation, told, problems);
        }
        if wish.dry_run {
            return self.verdict(VerdictKind::WouldApply, told, problems);
        }
        match self.apply(loaded, who).await {
            Ok(()) => self.verdict(VerdictKind::Applied, told, problems),
            Err(why) => self.verdict(VerdictKind::Refused, told, vec![why.into()]),
        }
    }

    async fn apply(&mut self, loaded: Loaded, who: &Who) -> Result<(), String> {
        let hash = loaded.hash();
        // In this order, so that only what runs is noted.
        let ready = self
            .control
            .prepare(&loaded.config)
            .map_err(|error| with_causes(&error))?;
        let configuration = self.note(hash.clone(), &loaded.texts, &who.to_string()).await?;
        self.control.switch(ready, configuration).await;
        self.running = loaded.config;
        let waits_for_restart = config::changes(&self.started, &self.running)
            .into_iter()
            .filter_map(|change| match change {
                Change::Restart(part) => Some(part),
                _ => None,
            })
            .collect();
        self.control.running.send_modify(|running| {
            running.configuration.clone_from(&hash);
            running.waits_for_restart = waits_for_restart;
        });
        self.hash = hash;
        Ok(())
    }

    /// Keeps the configuration, so that notifications can name it.
    async fn note(&self, hash: String, texts: &[Text], by: &str) -> Result<i64, String> {
        let texts = serde_json::to_string(texts).map_err(|error| error.to_string())?;
        let now = self.control.clock.now();
        let noted = self.outbox.configured(hash, texts, by.to_owned(), now).await;
        noted.map_err(|error| format!("the store: {error}"))
    }

    async fn told(&self, changes: &[Change]) -> Result<Vec<Told>, OutboxError> {
        let mut told = Vec::new();
        for change in changes {
            let waiting = match change {
                Change::Destination(key, _) => self.outbox.waiting(key, 0).await?.count,
                _ => 0,
            };
            told.push(Told {
                what: change.to_string(),
                effect: change.effect(waiting),
                danger: change.danger(waiting),
            });
        }
        Ok(told)
    }

    /// Who changed the file may not be who hears of the log: the operators are told by e-mail.
    async fn report(&mut self, verdict: &Verdict, who: &Who) {
        let why: Vec<String> = match verdict.verdict {
            VerdictKind::NeedsConfirmation => verdict
                .changes
                .iter()
                .filter_map(|change| change.danger.clone())
                .collect(),
            _ => verdict
                .problems
                .iter()
                .filter(|problem| problem.is_error)
                .map(|problem| problem.line.clone())
                .collect(),
        };
        // A folder that is watched holds other files too: each of their changes would tell the same again.
        if *who == Who::Watch && self.refused.replace(why.clone()) == Some(why.clone()) {
            return;
        }
        tracing::error!(
            configuration = verdict.running,
            "{who}: the changed configuration is not applied, the one before runs on: {}",
            why.join("; ")
        );
        let trouble = Trouble::ReloadRefused {
            by: who.to_string(),
            why,
            is_dangerous: verdict.verdict == VerdictKind::NeedsConfirmation,
        };
        if let Err(error) = self.outbox.report(trouble, self.control.clock.now()).await {
            tracing::error!(%error, "cannot tell the operators: {error}");
        }
    }

    fn verdict(&self, verdict: VerdictKind, changes: Vec<Told>, problems: Vec<Problem>) -> Verdict {
        Verdict {
            verdict,
            running: self.hash.clone(),
            changes,
            problems,
        }
    }
}

const NOT_BESIDE: &str = "another file is looked at only beside the configuration's own, and is never applied";

/// A file in the folder of another, by the way that led to the other: or every relative path in it would seem to have
/// changed. `None` if it lies elsewhere, or is a link that may lead there.
fn beside(file: &Path, other: &Path) -> Option<PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent).ok(),
        _ => fs::canonicalize(".").ok(),
    };
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file());
    let is_beside = is_file && folder(file)? == folder(other)?;
    is_beside.then(|| file.file_name().map(|name| other.with_file_name(name)))?
}

fn problems(diagnostics: &[Diagnostic]) -> Vec<Problem> {
    let problem = |diagnostic: &Diagnostic| Problem {
        is_error: diagnostic.severity() == Severity::Error,
        line: diagnostic.to_line(),
        text: diagnostic.to_text(false),
    };
    diagnostics.iter().map(problem).collect()
}

/// The error and what lies behind it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        text = format!("{text}: {behind}");
        source = behind.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn file_beside_is_found_by_the_way_to_the_configuration_and_others_never() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path("real")).unwrap();
        symlink("real", path("link")).unwrap();
        for name in ["real/copy.toml", "elsewhere.toml"] {
            fs::write(path(name), "").unwrap();
        }
        symlink("../elsewhere.toml", path("real/away.toml")).unwrap();
        let configuration = path("link/ipn-router.toml");
        assert_eq!(
            beside(&path("real/copy.toml"), &configuration),
            Some(path("link/copy.toml"))
        );
        for other in [
            "elsewhere.toml",
            "real/away.toml",
            "real/missing.toml",
            "real/..",
            "link",
        ] {
            assert_eq!(beside(&path(other), &configuration), None, "{other}");
        }
    }
}
