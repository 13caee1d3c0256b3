//! What is wrong with a configuration, where, why it matters, and what to write instead.

use std::fmt;

use super::codes::Code;
use super::source::{Place, Source, Spot};

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The configuration is not applied.
    Error,
    /// Probably meant, worth a look.
    Note,
    /// Applied, but probably not what was meant.
    Warning,
}

impl Code {
    /// How much it matters.
    pub fn severity(self) -> Severity {
        match self.0.as_bytes().first() {
            Some(b'N') => Severity::Note,
            Some(b'W') => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Note => "note",
            Self::Warning => "warning",
        })
    }
}

/// One thing to say about the configuration; holds no secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    pub code: Code,
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// Beside the caret.
    pub label: String,
    /// Why it matters.
    pub why: String,
    /// What to write instead.
    pub instead: String,
    /// Other places that have to do with it.
    pub also: Vec<(Place, String)>,
}

impl Diagnostic {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Where and what, for a log.
    pub fn to_line(&self) -> String {
        let Place { file, line, column, .. } = &self.place;
        format!("{file}:{line}:{column}: {}", self.what)
    }
}

/// A diagnostic whose places are still bytes.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    code: Code,
    spot: Spot,
    what: String,
    label: String,
    why: String,
    instead: String,
    also: Vec<(Spot, String)>,
}

impl Problem {
    pub(super) fn new(code: Code, spot: &Spot, what: impl Into<String>) -> Self {
        Self {
            code,
            spot: spot.clone(),
            what: what.into(),
            label: String::new(),
            why: code.usual_reason().to_owned(),
            instead: String::new(),
            also: Vec::new(),
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        let why = why.into();
        if !why.is_empty() {
            self.why = why;
        }
        self
    }

    pub(super) fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = instead.into();
        self
    }

    pub(super) fn also(mut self, spot: &Spot, label: impl Into<String>) -> Self {
        self.also.push((spot.clone(), label.into()));
        self
    }
}

/// All problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    /// Text that could not be read, and why; what is found there, or found missing anywhere, may be its consequence.
    broken: Vec<(Spot, Problem)>,
    /// Whether keys may have been lost with it.
    is_incomplete: bool,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// As `push`, but if the same was told of another place, adds only the place.
    pub(super) fn push_once(&mut self, problem: Problem) {
        let same = |told: &&mut Problem| told.code == problem.code && told.what == problem.what;
        match self.found.iter_mut().find(same) {
            Some(told) => told.also.push((problem.spot, "here too".to_owned())),
            None => self.found.push(problem),
        }
    }

    /// Notes that this stretch could not be read; `problem` says why, and `loses_keys` whether a key may be lost with it.
    pub(super) fn push_broken(&mut self, stretch: Spot, problem: Problem, loses_keys: bool) {
        self.broken.push((stretch, problem));
        self.is_incomplete |= loses_keys;
    }

    /// Whether one of these was found.
    pub(super) fn has(&self, codes: &[Code]) -> bool {
        self.found.iter().any(|problem| codes.contains(&problem.code))
    }

    pub(super) fn has_errors(&self) -> bool {
        let is_error = |problem: &Problem| problem.code.severity() == Severity::Error;
        !self.broken.is_empty() || self.found.iter().any(is_error)
    }

    /// Whether keys may have been lost, so that nothing can be said about what is missing.
    pub(super) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    fn is_consequence(&self, problem: &Problem) -> bool {
        let spot = &problem.spot;
        let within = |(stretch, _): &(Spot, Problem)| {
            stretch.file == spot.file && stretch.start <= spot.start && spot.start <= stretch.end
        };
        self.broken.iter().any(within) || (self.is_incomplete() && problem.code.is_absence())
    }

    /// All that is to be told, in the order of the text: one mistake is told once, without its consequences.
    pub(super) fn finish(mut self, sources: &[Source]) -> Vec<Diagnostic> {
        let mut found = std::mem::take(&mut self.found);
        found.retain(|problem| !self.is_consequence(problem));
        found.extend(self.broken.into_iter().map(|(_, problem)| problem));
        found.sort_by(|a, b| a.spot.cmp(&b.spot));
        let place = |spot: &Spot| sources[spot.file].place(spot);
        found
            .into_iter()
            .map(|problem| Diagnostic {
                code: problem.code,
                place: place(&problem.spot),
                what: problem.what,
                label: problem.label,
                why: problem.why,
                instead: problem.instead,
                also: problem
                    .also
                    .into_iter()
                    .map(|(spot, label)| (place(&spot), label))
                    .collect(),
            })
            .collect()
    }
}
