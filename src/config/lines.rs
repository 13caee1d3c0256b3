//! Where a key stands, for whoever is told why something is as it is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::source::{Place, Source, Spot};

/// The configuration's text, to point at the lines that decide.
#[derive(Clone)]
pub struct Lines {
    sources: Arc<[Source]>,
}

impl Lines {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self {
            sources: sources.into(),
        }
    }

    /// Returns where a key or table stands, such as `["shops", "12345678", "test", "form_url"]`; a secret in its line
    /// is masked. `None`: it is left out.
    pub fn find(&self, path: &[&str]) -> Option<Place> {
        self.sources.iter().enumerate().find_map(|(number, source)| {
            let (document, _) = DeTable::parse_recoverable(source.text());
            let span = span_of(document.get_ref(), path)?;
            Some(source.place(&Spot::new(number, span)))
        })
    }
}

/// Without the text, which may hold an inline secret.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.sources.iter().map(|source| source.path()))
            .finish()
    }
}

fn span_of(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    if rest.is_empty() {
        return Some(key.span());
    }
    span_of(value.get_ref().as_table()?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::File;

    fn lines(files: &[(&str, &str)]) -> Lines {
        let source = |(path, text): &(&str, &str)| {
            let file = File {
                path: path.into(),
                bytes: (*text).into(),
            };
            Source::new(file).0
        };
        Lines::new(files.iter().map(source).collect())
    }

    #[test]
    fn keys_and_tables_are_found_in_every_file() {
        let lines = lines(&[
            ("a.toml", "include = [\"b.toml\"]\n[shops.12345678]\nname = \"Paris\"\n"),
            (
                "b.toml",
                "[shops.23456789.test]\nform_key = \"inline\"\ntls = { key = \"k\" }\n",
            ),
        ]);
        let found = |path: &[&str]| lines.find(path).map(|place| (place.file.to_string(), place.line));
        assert_eq!(found(&["shops", "12345678"]), Some(("a.toml".to_owned(), 2)));
        assert_eq!(found(&["shops", "12345678", "name"]), Some(("a.toml".to_owned(), 3)));
        let second = ["shops", "23456789", "test", "tls", "key"];
        assert_eq!(found(&second), Some(("b.toml".to_owned(), 3)));
        assert_eq!(found(&["shops", "23456789", "test", "form_url"]), None);
        let masked = lines.find(&["shops", "23456789", "test", "form_key"]).unwrap();
        assert!(!masked.text.contains("inline"), "{}", masked.text);
        assert!(!format!("{lines:?}").contains("inline"));
    }
}
