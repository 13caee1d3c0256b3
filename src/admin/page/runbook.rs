use std::sync::LazyLock;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pulldown_cmark::{Parser, html};

use super::visitor::Visitor;
use super::{Frame, show};
use crate::domain::{RUNBOOK, Section};

/// It is the same for as long as the program runs.
static HTML: LazyLock<Runbook> = LazyLock::new(Runbook::new);

#[derive(Template)]
#[template(path = "runbook.html", config = ".askama.toml")]
struct RunbookPage {
    frame: Frame,
    runbook: &'static Runbook,
}

/// The runbook in HTML: it is ours, so nothing in it has to be feared.
struct Runbook {
    beginning: String,
    chapters: Vec<Chapter>,
}

struct Chapter {
    section: Section,
    html: String,
}

impl Runbook {
    fn new() -> Self {
        let beginning = RUNBOOK.split("\n## ").next().unwrap_or_default();
        let chapter = |section: Section| Chapter {
            section,
            // The page has the heading in its own way.
            html: html(section.text().split_once('\n').map_or("", |(_, text)| text)),
        };
        Self {
            beginning: html(beginning),
            chapters: Section::ALL.map(chapter).into(),
        }
    }
}

fn html(markdown: &str) -> String {
    let mut html = String::new();
    html::push_html(&mut html, Parser::new(markdown));
    html
}

/// What to do at night.
pub(super) async fn runbook(visitor: Visitor) -> Response {
    let page = RunbookPage {
        frame: visitor.frame("runbook"),
        runbook: &HTML,
    };
    show(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_its_text_once_and_no_heading_of_its_own() {
        for chapter in &HTML.chapters {
            let Chapter { section, html } = chapter;
            assert!(
                html.starts_with("<p>") || html.starts_with("<pre>"),
                "{section}: {html}"
            );
            assert!(!html.contains("<h"), "{section}: {html}");
            let last = section.text().split_whitespace().next_back().unwrap();
            let last = last
                .trim_end_matches(['.', ')', '`'])
                .rsplit(['`', '#'])
                .next()
                .unwrap();
            assert!(html.contains(last), "{section} is cut short: {last}");
        }
        assert!(HTML.beginning.starts_with("<h1>Runbook</h1>"));
    }
}
