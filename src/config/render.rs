//! Diagnostics for people, and for programs.

use annotate_snippets::{Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::diagnostics::{Diagnostic, Severity};
use super::source::Place;

impl Diagnostic {
    /// The text for a terminal: the line with a caret, why it matters, and what to write instead.
    pub fn to_text(&self, coloured: bool) -> String {
        let level = match self.severity() {
            Severity::Error => Level::ERROR,
            Severity::Note => Level::NOTE,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(&self.what)
            .id(self.code.0)
            .elements(origin_of_a_part(&self.place))
            .element(excerpt(&self.place, AnnotationKind::Primary, &self.label));
        for (place, label) in self.also.iter().take(PLACES_SHOWN) {
            group = group
                .elements(origin_of_a_part(place))
                .element(excerpt(place, AnnotationKind::Context, label));
        }
        let more = self.also.len().saturating_sub(PLACES_SHOWN);
        if more > 0 {
            group = group.element(Level::NOTE.message(format!("and in {more} more places")));
        }
        if !self.why.is_empty() {
            group = group.element(Level::NOTE.message(&self.why));
        }
        if !self.instead.is_empty() {
            group = group.element(Level::HELP.message(&self.instead));
        }
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let also: Vec<_> = self
            .also
            .iter()
            .map(|(place, label)| json!({"file": &*place.file, "line": place.line, "column": place.column, "label": label}))
            .collect();
        json!({
            "code": self.code.0,
            "severity": self.severity().to_string(),
            "file": &*self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "what": self.what,
            "why": self.why,
            "instead": self.instead,
            "also": also,
        })
    }
}

/// More would push everything else off the screen; the JSON has them all.
const PLACES_SHOWN: usize = 3;

/// Of a line that is shown whole, the library counts the columns itself.
fn is_whole(place: &Place) -> bool {
    place.text[..place.caret.start].chars().count() + 1 == place.column
}

fn origin_of_a_part(place: &Place) -> Option<Origin<'_>> {
    let origin = Origin::path(&*place.file).line(place.line).char_column(place.column);
    (!is_whole(place)).then_some(origin)
}

fn excerpt<'a>(place: &'a Place, kind: AnnotationKind, label: &'a str) -> Snippet<'a, Annotation<'a>> {
    let caret = kind.span(place.caret.clone());
    Snippet::source(&place.text)
        .line_start(place.line)
        .path(is_whole(place).then_some(&*place.file))
        .annotation(if label.is_empty() { caret } else { caret.label(label) })
}

#[cfg(test)]
mod tests {
    use super::super::codes;
    use super::super::diagnostics::{Problem, Problems};
    use super::super::source::{File, Source, Spot};

    fn text(source: &str, start: usize, end: usize) -> String {
        let (source, _) = Source::new(File {
            path: "a.toml".into(),
            bytes: source.into(),
        });
        let mut problems = Problems::default();
        let spot = Spot::new(0, start..end);
        problems.push(
            Problem::new(codes::SHOP_TWICE, &spot, "what")
                .label("here")
                .why("why")
                .instead("this"),
        );
        problems.finish(&[source])[0].to_text(false)
    }

    #[test]
    fn the_text_has_place_line_caret_reason_and_remedy() {
        let shown = text("a = 1\npath = 2\n", 13, 14);
        let expected = "error[E041]: what\n --> a.toml:2:8\n  |\n2 | path = 2\n  |        ^ here\n  |\n  = note: why\n  = help: this";
        assert_eq!(shown, expected);
    }

    /// The place in the text is the library's own count; it must be ours.
    #[test]
    fn the_text_and_the_diagnostic_count_alike() {
        for (source, start, column) in [
            ("\tx = 1", 5, 6),
            ("name = \"é€🦀\" # x", 19, 14),
            ("a = ", 4, 5),
            ("", 0, 1),
            ("a\u{7}b = 1", 2, 3),
        ] {
            let shown = text(source, start, start + 1);
            assert!(shown.contains(&format!("a.toml:1:{column}\n")), "{shown}");
        }
    }
}
