//! Headers and keys that stand twice: where the first one is, and which of the others only follow from it.

use std::collections::HashMap;
use std::ops::Range;

use super::codes;
use super::diagnostics::Problem;
use super::source::{Source, Spot};

/// Tells of one duplicate after the other, in the order of the text.
///
/// The document keeps only one of two, so the first is looked for in the text.
pub(super) struct Duplicates<'s> {
    source: &'s Source,
    /// Made when first needed.
    outline: Option<Outline>,
    /// The table that was told last, and where its second header ends.
    told: Option<(String, usize)>,
}

impl<'s> Duplicates<'s> {
    pub(super) fn of(source: &'s Source) -> Self {
        Self {
            source,
            outline: None,
            told: None,
        }
    }

    /// What is to be said of this one; `None` if it only follows from the table that was told last.
    pub(super) fn problem(&mut self, file: usize, span: Range<usize>) -> Option<Problem> {
        let text = self.source.repaired();
        let line = self.source.line_of(span.start);
        let outline = self.outline.get_or_insert_with(|| Outline::of(text));
        let header = header(&text[line.clone()]);
        let table = outline.table_at(span.start).to_owned();
        let key = &text[span.clone()];
        let first = if header.is_some() {
            outline.headers.get(&table).cloned()
        } else if text[line.start..span.start].trim().is_empty() {
            outline.keys.get(&in_table(&table, key)).cloned()
        } else {
            // Within braces.
            let found = text[line.start..span.start].find(key).map(|at| line.start + at);
            found.map(|at| at..at + key.len())
        };
        // A header is the second of two also if a dotted key has made its table: it is not its own first.
        let first = first.filter(|first| first.end <= span.start);
        // A table that was pasted twice brings the tables below it, and all their keys.
        if let Some((told, header)) = &self.told
            && (table == *told || table.starts_with(&format!("{told}.")))
            && first.as_ref().is_none_or(|first| first.start < *header)
        {
            return None;
        }
        let of = |span, what: String| Problem::new(codes::TWICE, &Spot::new(file, span), what).label("and again here");
        let problem = if header.is_some() {
            let start = line.start + indent(&text[line.clone()]);
            let problem = of(start..line.end, format!("[{table}] stands twice"));
            self.told = Some((table, line.end));
            problem.instead("keep one of the two, with all that belongs to it")
        } else {
            of(span, format!("`{key}` stands twice in one table")).instead("keep one of the two")
        };
        Some(match first {
            Some(first) => problem.also(&Spot::new(file, first), "first here"),
            None => problem,
        })
    }
}

/// Where every table and key stands for the first time.
struct Outline {
    headers: HashMap<String, Range<usize>>,
    /// By table and key.
    keys: HashMap<String, Range<usize>>,
    /// Where every table begins, also for the second time, and its name.
    tables: Vec<(usize, String)>,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self {
            headers: HashMap::new(),
            keys: HashMap::new(),
            tables: vec![(0, String::new())],
        };
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let begins = start + indent(line);
            if let Some(name) = header(line) {
                let span = begins..start + line.trim_end().len();
                outline.headers.entry(name.clone()).or_insert(span);
                outline.tables.push((start, name));
            } else if let Some(key) = key(line) {
                let name = in_table(outline.table_at(start), key);
                outline.keys.entry(name).or_insert(begins..begins + key.len());
            }
            start += line.len();
        }
        outline
    }

    /// The name of the table that this place belongs to.
    fn table_at(&self, at: usize) -> &str {
        let after = self.tables.partition_point(|(start, _)| *start <= at);
        self.tables.get(after.saturating_sub(1)).map_or("", |(_, name)| name)
    }
}

fn in_table(table: &str, key: &str) -> String {
    format!("{table}\n{key}")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `shops.12345678` of `[ shops."12345678" ] # Paris`.
fn header(line: &str) -> Option<String> {
    let inside = line.trim_start().strip_prefix('[')?.split(['#', ']']).next()?;
    Some(inside.replace([' ', '\t', '"', '\'', '['], ""))
}

fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    Some(key.trim()).filter(|key| !key.is_empty() && !key.starts_with('#'))
}
