//! Takes a TOML table apart, key by key, and remembers where each stands.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes::{self, Code};
use super::diagnostics::{Problem, Problems};
use super::names::{home_of, meant, misspelt};
use super::slips::odd_blank;
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

    /// What is wrong with the value; a blank that nobody can see is pointed out.
    pub(super) fn problem(&self, code: Code, what: impl Into<String>) -> Problem {
        let problem = Problem::new(code, &self.spot, what);
        match self.as_str().and_then(odd_blank) {
            Some(odd) => problem
                .label(format!("{odd} is in here"))
                .why("it looks like an ordinary blank or like nothing at all, and is neither"),
            None => problem,
        }
    }

    /// That the value is of another type.
    pub(super) fn wrong_type(&self, expected: &str) -> Problem {
        let what = format!("`{}` must be {expected}", self.key);
        let given = match self.node.type_str() {
            "array" => "a list",
            "boolean" => "true or false",
            "datetime" => "a date",
            "float" | "integer" => "a number",
            "string" => "a text",
            _ => "a table",
        };
        Problem::new(codes::WRONG_TYPE, &self.spot, what).label(format!("this is {given}"))
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
    /// The key of the table that it is a slip of; found out when first asked for.
    misspelt: OnceCell<Option<&'static str>>,
}

impl Entry<'_> {
    fn means(&self, key: &str, table: &str) -> bool {
        *self.misspelt.get_or_init(|| misspelt(self.key.value, table)) == Some(key)
    }
}

/// A key's value, and whether the key was misspelt.
struct Found<'d> {
    value: Value<'d>,
    is_misspelt: bool,
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
                misspelt: OnceCell::new(),
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
        let Some(Found { value, is_misspelt }) = self.find(key, problems) else {
            return Given::Absent;
        };
        // What is meant for this key may be something else altogether: its value is not judged.
        match (!is_misspelt).then(|| read(&value, problems)).flatten() {
            Some(read) => Given::Is(At {
                value: read,
                spot: value.spot,
            }),
            None => Given::Wrong,
        }
    }

    /// Takes a key out; one that is misspelt is told, and taken for what it means, so that nothing seems to be missing.
    fn find(&mut self, key: &'static str, problems: &mut Problems) -> Option<Found<'d>> {
        self.known.push(key);
        let exact = self.left.iter().position(|entry| entry.key.value == key);
        let at = exact.or_else(|| self.left.iter().position(|entry| entry.means(key, &self.name)))?;
        let Entry {
            key: written, value, ..
        } = self.left.remove(at);
        let is_misspelt = exact.is_none();
        if is_misspelt {
            let problem = self.unknown(&written, &value);
            problems.push(problem.instead(format!("did you mean `{key}`?")));
        }
        Some(Found { value, is_misspelt })
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
                    .instead(format!("add {key} = {example}")),
            );
        }
        given
    }

    /// Takes a key that has no place here; returns where it stands.
    pub(super) fn misplaced(&mut self, key: &str) -> Option<Spot> {
        let at = self.left.iter().position(|entry| entry.key.value == key)?;
        Some(self.left.remove(at).key.spot)
    }

    /// Takes a table below this one, such as `[receiver]`.
    pub(super) fn section(&mut self, key: &'static str, name: &str, problems: &mut Problems) -> Given<Self> {
        let Some(Found { value, .. }) = self.find(key, problems) else {
            return Given::Absent;
        };
        match value.table() {
            Some(table) => Given::Is(At {
                value: table.named(name),
                spot: value.spot,
            }),
            None => {
                let header = match key {
                    "legal_entities" => "[legal_entities.acme]",
                    "shops" => "[shops.12345678]",
                    _ => name,
                };
                let problem = value.wrong_type("a table");
                problems.push(problem.instead(format!("write {header} on a line of its own, and its keys below it")));
                Given::Wrong
            }
        }
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
        for Entry { key, value, .. } in &self.left {
            let problem = self.unknown(key, value);
            problems.push(match self.remedy(key.value) {
                Some(remedy) => problem.instead(remedy),
                None => problem,
            });
        }
    }

    fn unknown(&self, key: &At<&str>, value: &Value<'_>) -> Problem {
        let line = &value.source.text()[value.source.line_of(key.spot.start)];
        let has_header = line.trim_start().starts_with('[') && value.node.is_table();
        let kind = if has_header { "table" } else { "key" };
        let what = format!("unknown {kind} `{}` in {}", key.value, self.name);
        Problem::new(codes::UNKNOWN_KEY, &key.spot, what)
    }

    /// What to write instead of an unknown key.
    fn remedy(&self, word: &str) -> Option<String> {
        let meant: Vec<_> = meant(word, &self.known).iter().map(|key| format!("`{key}`")).collect();
        if meant.is_empty() && ["production", "test"].contains(&word) {
            return Some(format!("a mode belongs to a shop: [shops.12345678.{word}]"));
        }
        match (meant.as_slice(), home_of(word)) {
            ([.., _], _) => Some(format!("did you mean {}?", meant.join(" or "))),
            ([], Some("") | None) if self.known.is_empty() => None,
            ([], Some("") | None) => Some(format!("known here: {}", self.known.join(", "))),
            ([], Some(home)) => Some(format!("`{word}` belongs under {home}")),
        }
    }

    /// Whether every key was taken.
    pub(super) fn is_finished(&self) -> bool {
        self.left.is_empty()
    }
}
