//! Takes a TOML table apart, key by key, and remembers where each stands.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::source::{At, Source, Spot};

/// What became of a key.
#[derive(Clone, Debug)]
pub(super) enum Given<T> {
    Absent,
    Is(At<T>),
    /// It is there, but wrong, which has been told.
    Wrong,
}

impl<T> Given<T> {
    pub(super) fn or(self, default: T) -> T {
        self.value().unwrap_or(default)
    }

    pub(super) fn value(self) -> Option<T> {
        self.at().map(|at| at.value)
    }

    pub(super) fn at(self) -> Option<At<T>> {
        match self {
            Self::Absent | Self::Wrong => None,
            Self::Is(at) => Some(at),
        }
    }

    pub(super) fn as_ref(&self) -> Option<&At<T>> {
        match self {
            Self::Absent | Self::Wrong => None,
            Self::Is(at) => Some(at),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether someone meant to give it.
    pub(super) fn is_meant(&self) -> bool {
        !self.is_absent()
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Value<'d> {
    /// The key it belongs to, for messages.
    pub(super) key: String,
    pub(super) spot: Spot,
    node: &'d DeValue<'d>,
    source: &'d Source,
}

impl<'d> Value<'d> {
    pub(super) fn as_str(&self) -> Option<&'d str> {
        self.node.as_str()
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        self.node.as_bool()
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.node.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        let array = self.node.as_array()?;
        Some(array.iter().map(|element| self.inner(element)).collect())
    }

    /// The table within, if it is one.
    pub(super) fn table(&self) -> Option<Table<'d>> {
        let table = self.node.as_table()?;
        Some(Table::new(
            table,
            format!("`{}`", self.key),
            self.spot.clone(),
            self.source,
        ))
    }

    /// What relative paths here are relative to.
    pub(super) fn folder(&self) -> &'d Path {
        self.source.folder()
    }

    /// Where these bytes of the text stand; the whole value if escapes make that hard to say.
    pub(super) fn part(&self, range: Range<usize>) -> Spot {
        match self.as_str() {
            Some(text) if self.spot.end - self.spot.start == text.len() + 2 => {
                let start = self.spot.start + 1;
                Spot::new(self.spot.file, start + range.start..start + range.end)
            }
            _ => self.spot.clone(),
        }
    }

    /// Tells that the value is of another type.
    pub(super) fn wrong_type(&self, expected: &str, problems: &mut Problems) {
        let what = format!("`{}` must be {expected}", self.key);
        let given = match self.node.type_str() {
            "array" => "a list",
            "boolean" => "true or false",
            "datetime" => "a date",
            "float" | "integer" => "a number",
            "string" => "a text",
            _ => "a table",
        };
        problems.push(Problem::new(codes::WRONG_TYPE, &self.spot, what).label(format!("this is {given}")));
    }

    fn inner(&self, node: &'d Spanned<DeValue<'d>>) -> Self {
        Self {
            key: self.key.clone(),
            spot: Spot::new(self.spot.file, node.span()),
            node: node.get_ref(),
            source: self.source,
        }
    }
}

/// A table whose keys are taken one by one; what nobody took is unknown.
#[derive(Debug)]
pub(super) struct Table<'d> {
    /// As in `[receiver]`, for messages.
    pub(super) name: String,
    /// Its header.
    pub(super) spot: Spot,
    left: Vec<Entry<'d>>,
    known: Vec<&'static str>,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry<'d> {
    pub(super) key: At<&'d str>,
    pub(super) value: Value<'d>,
}

impl<'d> Table<'d> {
    /// The table of a whole file.
    pub(super) fn root(table: &'d DeTable<'d>, file: usize, source: &'d Source) -> Self {
        Self::new(table, "the file".to_owned(), Spot::new(file, 0..0), source)
    }

    fn new(table: &'d DeTable<'d>, name: String, spot: Spot, source: &'d Source) -> Self {
        let file = spot.file;
        let mut left: Vec<_> = table
            .iter()
            .map(|(key, node)| Entry {
                key: At {
                    value: key.get_ref().as_ref(),
                    spot: Spot::new(file, key.span()),
                },
                value: Value {
                    key: key.get_ref().to_string(),
                    spot: Spot::new(file, node.span()),
                    node: node.get_ref(),
                    source,
                },
            })
            .collect();
        left.sort_by_key(|entry| entry.key.spot.start);
        Self {
            name,
            spot,
            left,
            known: Vec::new(),
        }
    }

    /// Reads a key that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(&Value<'d>, &mut Problems) -> Option<T>,
    ) -> Given<T> {
        self.known.push(key);
        let Some(at) = self.left.iter().position(|entry| entry.key.value == key) else {
            return Given::Absent;
        };
        let entry = self.left.remove(at);
        match read(&entry.value, problems) {
            Some(value) => Given::Is(At {
                value,
                spot: entry.value.spot,
            }),
            None => Given::Wrong,
        }
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems,
        read: impl FnOnce(&Value<'d>, &mut Problems) -> Option<T>,
    ) -> Given<T> {
        let given = self.optional(key, problems, read);
        if given.is_absent() {
            problems.push(
                Problem::new(codes::MISSING_KEY, &self.spot, format!("{} has no `{key}`", self.name))
                    .instead(format!("add a line such as `{key} = {example}`")),
            );
        }
        given
    }

    /// Takes a table below this one, such as `[receiver]`.
    pub(super) fn section(&mut self, key: &'static str, name: &str, problems: &mut Problems) -> Option<Self> {
        self.optional(key, problems, |value, problems| {
            let table = value.table();
            if table.is_none() {
                value.wrong_type("a table", problems);
            }
            table
        })
        .value()
        .map(|table| table.named(name))
    }

    /// The same table under the name that people know it by.
    pub(super) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Takes every entry that is left: the keys are ids.
    pub(super) fn entries(mut self) -> Vec<Entry<'d>> {
        std::mem::take(&mut self.left)
    }

    /// Tells every key that nobody took.
    pub(super) fn refuse_the_rest(self, problems: &mut Problems) {
        for Entry { key, .. } in self.left {
            let word = key.value;
            let what = format!("unknown key `{word}` in {}", self.name);
            let problem = Problem::new(codes::UNKNOWN_KEY, &key.spot, what);
            problems.push(match (closest(word, &self.known), home_of(word)) {
                (Some(known), _) => problem.instead(format!("did you mean `{known}`?")),
                (None, Some(home)) => problem.instead(format!("`{word}` belongs under {home}")),
                (None, None) if self.known.is_empty() => problem,
                (None, None) => problem.instead(format!("known here: {}", self.known.join(", "))),
            });
        }
    }

    /// Whether every key was taken.
    pub(super) fn is_finished(&self) -> bool {
        self.left.is_empty()
    }
}

/// The known word that is probably meant.
pub(super) fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let word = word.to_lowercase().replace('-', "_");
    let distance = |known: &&str| strsim::damerau_levenshtein(&word, &known.replace('-', "_"));
    let best = known.iter().copied().min_by_key(distance)?;
    (distance(&best) <= best.len() / 3).then_some(best)
}

/// Where keys belong that are often put into the wrong table (design.md 4, Defaults).
fn home_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "expect_every" | "failure_emails" | "language" | "share" | "wait_for_named_shop" => "[legal_entities.…]",
        "allow_private"
        | "answer_check"
        | "ca"
        | "client_certificate"
        | "extra_failure_emails"
        | "foreign_orders"
        | "learns_by"
        | "legal_entity" => "[shops.…]",
        "event_secret" | "event_url" | "form_hash" | "form_key" | "form_url" | "rest_password" | "rest_url" => {
            "[shops.….test] or [shops.….production]"
        }
        "include" | "reload" => "the top of the main file, above the first [table]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_does_not() {
        let known = ["form_key", "form_url", "event_secret"];
        assert_eq!(closest("form_kye", &known), Some("form_key"));
        assert_eq!(closest("Form-URL", &known), Some("form_url"));
        assert_eq!(closest("event_secrets", &known), Some("event_secret"));
        assert_eq!(closest("colour", &known), None);
    }
}
