//! How an e-mail is laid out: plain text, headings, lines of at most 78 columns.
//!
//! Everything that comes from elsewhere (names, answers, URLs) passes through here, and leaves as one line without
//! control characters: no such text can end a header or begin a paragraph of its own.

use crate::alert::Language;
use crate::domain::one_line;

/// The widest line.
pub(super) const COLUMNS: usize = 78;

/// The longest subject, in characters.
pub(super) const SUBJECT: usize = 120;

/// The text of an e-mail while it is written, top-down.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Begins a section.
    pub(super) fn heading(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.wrapped("", "", words);
    }

    /// A name and what belongs to it, in two columns.
    pub(super) fn fact(&mut self, name: &str, value: &str) {
        self.wrapped(&format!("  {name:<11} "), "              ", value);
    }

    /// A paragraph of a section.
    pub(super) fn paragraph(&mut self, words: &str) {
        self.wrapped("  ", "  ", words);
    }

    /// Somebody else's words.
    pub(super) fn quote(&mut self, words: &str) {
        self.wrapped("  > ", "  > ", words);
    }

    /// A numbered step.
    pub(super) fn step(&mut self, number: usize, words: &str) {
        self.wrapped(&format!("  {number}. "), "     ", words);
    }

    /// A command or an address on a line of its own, to be copied. A long command goes on as a shell reads it; what
    /// fits in no way is left out, for half of it is nothing.
    pub(super) fn command(&mut self, command: &str) {
        let command = one_line(command);
        if let Some(lines) = continued(&command) {
            for line in lines {
                self.line(&line);
            }
        }
    }

    /// Whether a command or an address gets its line.
    pub(super) fn has_room_for(command: &str) -> bool {
        continued(&one_line(command)).is_some()
    }

    /// An item of a list, with a second line of its own.
    pub(super) fn item(&mut self, first: &str, second: &str) {
        self.wrapped("  - ", "    ", first);
        self.wrapped("    ", "    ", second);
    }

    /// A further line of an item.
    pub(super) fn more(&mut self, words: &str) {
        self.wrapped("    ", "    ", words);
    }

    /// What is said to a step, after its commands.
    pub(super) fn note(&mut self, words: &str) {
        self.wrapped("     ", "     ", words);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn wrapped(&mut self, first: &str, next: &str, words: &str) {
        let mut line = first.to_owned();
        let mut begun = false;
        for word in unbroken(&one_line(words)).split(' ') {
            if begun && width(&line) + 1 + width(word) > COLUMNS {
                self.line(&line);
                next.clone_into(&mut line);
            } else if begun {
                line.push(' ');
            }
            begun = true;
            for c in word.chars() {
                // Only a word longer than a whole line gets here.
                if width(&line) == COLUMNS {
                    self.line(&line);
                    next.clone_into(&mut line);
                }
                line.push(c);
            }
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// A command on as many lines as it needs; an option stays with its value.
fn continued(command: &str) -> Option<Vec<String>> {
    const INDENT: &str = "       ";
    const GOES_ON: &str = " \\";
    let mut lines: Vec<String> = Vec::new();
    let mut parts = parts(command).into_iter().peekable();
    while let Some(part) = parts.next() {
        let room = match parts.peek() {
            Some(_) => COLUMNS - GOES_ON.len(),
            None => COLUMNS,
        };
        match lines.last_mut() {
            None => lines.push(format!("{INDENT}{part}")),
            Some(line) if width(line) + 1 + width(&part) <= room => {
                line.push(' ');
                line.push_str(&part);
            }
            Some(line) => {
                line.push_str(GOES_ON);
                lines.push(format!("{INDENT}  {part}"));
            }
        }
    }
    lines.iter().all(|line| width(line) <= COLUMNS).then_some(lines)
}

/// The words of a command, each option with its value. A blank in quotes is part of a name.
fn parts(command: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let (mut quotes, mut takes_value) = (0, false);
    for word in command.split(' ') {
        let is_option = word.starts_with("--");
        match parts.last_mut() {
            Some(part) if quotes % 2 == 1 || (takes_value && !is_option) => {
                part.push(' ');
                part.push_str(word);
                takes_value = false;
            }
            _ => {
                parts.push(word.to_owned());
                takes_value = is_option;
            }
        }
        quotes += word.matches('\'').count();
    }
    parts
}

/// French has a blank before some marks and within its quotation marks: there no line ends.
fn unbroken(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        if word.starts_with([':', ';', '!', '?', '»']) && kept.ends_with(' ') {
            kept.pop();
            kept.push(NO_BREAK);
        }
        kept.push_str(word);
        if word == "« " {
            kept.pop();
            kept.push(NO_BREAK);
        }
    }
    kept
}

const NO_BREAK: char = '\u{A0}';

/// `[MODE] COMPANY, SHOP: state`; names are shortened so that the state always fits. Without a mode: of both, or none.
pub(super) fn subject(language: Language, mode: &str, names: &[&str], state: &str) -> String {
    let mode = if mode.is_empty() {
        String::new()
    } else {
        format!("[{mode}] ")
    };
    let colon = language.say(": ", "\u{A0}: ");
    let state = unbroken(&one_line(state));
    let fixed = width(&mode) + width(&state) + width(colon) + ", ".len() * names.len().saturating_sub(1);
    let each = SUBJECT.saturating_sub(fixed) / names.len().max(1);
    let names: Vec<_> = names.iter().map(|name| shortened(&one_line(name), each)).collect();
    header(&format!("{mode}{}{colon}{state}", names.join(", ")))
}

/// `[MODE TEST] SHOP - state`: as the gateway writes its own; the shop's name is shortened so that the state fits.
pub(super) fn subject_as_the_gateway(mode: &str, shop: &str, state: &str) -> String {
    let state = unbroken(&one_line(state));
    let room = SUBJECT.saturating_sub(width(mode) + width(&state) + " - ".len());
    let shop = shortened(&one_line(shop), room);
    header(&format!("{mode}{shop} - {state}"))
}

/// What begins like an encoded word is none, so that no mail program decodes it.
fn header(text: &str) -> String {
    shortened(&text.replace("=?", "= ?"), SUBJECT)
}

/// The text, or its start with an ellipsis.
fn shortened(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let start: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_words_are_broken_and_none_is_lost() {
        let mut page = Page::default();
        page.fact("URL", &"x".repeat(150));
        let text = page.finish();
        assert_eq!(text.matches('x').count(), 150);
        assert!(text.lines().all(|line| width(line) <= COLUMNS));
    }

    #[test]
    fn long_names_leave_room_for_the_state() {
        let name = "Société Générale d'Exploitation ".repeat(9);
        let subject = subject(
            Language::English,
            "PRODUCTION",
            &[&name, &name],
            "form_url fails, 100000 waiting",
        );
        assert!(
            width(&subject) <= SUBJECT && subject.ends_with(": form_url fails, 100000 waiting"),
            "{subject}"
        );
    }

    #[test]
    fn long_commands_go_on_as_a_shell_reads_them() {
        let mut page = Page::default();
        page.command("ipn-router replay --notification 01a14a2b-63c0-7000-8000-000000000000 --shop 23456789");
        assert_eq!(
            page.finish(),
            "       ipn-router replay --notification 01a14a2b-63c0-7000-8000-000000000000 \\\n         --shop 23456789\n"
        );
        let mut page = Page::default();
        page.command("ipn-router --config '/srv/my --routers/ipn.toml' release 01a14a2b-63c0-7000-8000-000000000000");
        assert_eq!(
            page.finish(),
            "       ipn-router --config '/srv/my --routers/ipn.toml' release \\\n         \
             01a14a2b-63c0-7000-8000-000000000000\n"
        );
        let mut page = Page::default();
        page.command(&format!("ipn-router --config '/a --b/{}' check", "x".repeat(60)));
        assert_eq!(page.finish(), "", "a name is not broken");
    }

    proptest! {
        #[test]
        fn nothing_from_elsewhere_makes_a_line_or_a_header(words in any::<String>()) {
            let subject = subject(Language::French, "TEST", &[&words, &words], &words);
            prop_assert!(!subject.contains(char::is_control) && width(&subject) <= SUBJECT);
            let mut page = Page::default();
            page.quote(&words);
            for line in page.finish().lines() {
                prop_assert!(line.starts_with("  >") && width(line) <= COLUMNS, "{:?}", line);
            }
        }
    }
}
