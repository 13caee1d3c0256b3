use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::domain::{Outcome, one_line, useful_text};

/// How much of an answer stands in a line.
const ANSWER: usize = 100;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// One call and its answer.
pub(super) struct Answered {
    /// Of the notification, from 1.
    pub(super) number: u32,
    pub(super) occasion: &'static str,
    pub(super) token: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// Tells of each call as it is answered, and keeps what the summary needs.
pub(super) struct Report<W> {
    out: W,
    /// The first digit of the answers that are expected.
    expected: u16,
    notifications: u32,
    as_expected: usize,
    took: Vec<Duration>,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, expects_refusal: bool) -> Self {
        Self {
            out,
            expected: if expects_refusal { 4 } else { 2 },
            notifications: 0,
            as_expected: 0,
            took: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A line such as `   1  MERCH_BO  my-token  200 OK-stored 0198…  2.1 ms`.
    pub(super) fn add(&mut self, answered: &Answered) -> io::Result<()> {
        let Answered {
            number,
            occasion,
            token,
            outcome,
            took,
        } = answered;
        let status = outcome.answer().map(|answer| answer.status);
        let good = status.is_some_and(|status| status / 100 == self.expected);
        let style = if good { GOOD } else { BAD };
        let (status, text) = match outcome.answer() {
            Some(answer) => (answer.status.to_string(), readable(&answer.excerpt)),
            None => (
                "---".to_owned(),
                format!("no answer: {} ({})", outcome.detail(), reason(outcome)),
            ),
        };
        let text: String = text.chars().take(ANSWER).collect();
        let token = token.as_deref().unwrap_or("no token");
        self.notifications = self.notifications.max(*number);
        self.as_expected += usize::from(good);
        self.took.push(*took);
        writeln!(
            self.out,
            "{number:>6}  {occasion:<8}  {token}  {style}{status}{style:#} {text}  {FAINT}{}{FAINT:#}",
            milliseconds(*took)
        )
    }

    /// Whether every call was answered as expected, and there was one.
    pub(super) fn is_as_expected(&self) -> bool {
        !self.took.is_empty() && self.as_expected == self.took.len()
    }

    /// How many, how well, how fast.
    pub(super) fn summary(&mut self, whole: Duration) -> io::Result<()> {
        self.took.sort_unstable();
        let calls = self.took.len();
        let (Some(median), Some(longest)) = (self.took.get(calls / 2), self.took.last()) else {
            return writeln!(self.out, "nothing was sent");
        };
        let answered = if self.is_as_expected() {
            format!("{GOOD}all answered with {}xx{GOOD:#}", self.expected)
        } else {
            let not = calls - self.as_expected;
            format!("{BAD}{not} not answered with {}xx{BAD:#}", self.expected)
        };
        let rate = f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / whole.as_secs_f64().max(1e-6);
        writeln!(
            self.out,
            "{}, {}: {answered}; median {}, longest {}, {rate:.0} a second",
            counted(self.notifications as usize, "notification"),
            counted(calls, "call"),
            milliseconds(*median),
            milliseconds(*longest),
        )
    }
}

/// The daemon's answer is shown as it is, for it has ids; a page of HTML, without its tags.
fn readable(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    if text.contains('<') {
        useful_text(answer)
    } else {
        one_line(&text)
    }
}

fn reason(outcome: &Outcome) -> &'static str {
    outcome.cause().map_or("", |cause| cause.word())
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Answer, Cause};

    fn answered(status: u16, text: &str) -> Answered {
        Answered {
            number: 1,
            occasion: "PAY",
            token: Some("my-token".to_owned()),
            outcome: Outcome::Delivered {
                answer: Answer {
                    status,
                    excerpt: text.into(),
                    retry_after: None,
                },
                ko: None,
            },
            took: Duration::from_micros(1250),
        }
    }

    fn told(calls: &[Answered], expects_refusal: bool) -> (String, bool) {
        let mut out = anstream::StripStream::new(Vec::new());
        let mut report = Report::new(&mut out, expects_refusal);
        for call in calls {
            report.add(call).unwrap();
        }
        report.summary(Duration::from_secs(1)).unwrap();
        let good = report.is_as_expected();
        (String::from_utf8(out.into_inner()).unwrap(), good)
    }

    #[test]
    fn each_call_is_a_line() {
        let calls = [answered(200, "OK-stored 1"), answered(200, "OK-duplicate 1\n<b>x</b>")];
        let (text, good) = told(&calls, false);
        assert!(good);
        assert_eq!(
            text,
            "     1  PAY       my-token  200 OK-stored 1  1.2 ms\n     \
             1  PAY       my-token  200 OK-duplicate 1 x  1.2 ms\n\
             1 notification, 2 calls: all answered with 2xx; median 1.2 ms, longest 1.2 ms, 2 a second\n"
        );
    }

    #[test]
    fn refusals_are_good_only_if_expected() {
        let calls = || [answered(200, "OK"), answered(403, "KO-signature")];
        assert!(!told(&calls(), false).1 && !told(&calls(), true).1);
        assert!(told(&[answered(403, "KO")], true).1);
        let (text, _) = told(&calls(), true);
        assert!(text.contains("1 not answered with 4xx"), "{text}");
        assert!(!told(&[], false).1, "nothing sent is nothing proved");
    }

    #[test]
    fn no_answer_says_why() {
        let outcome = Outcome::Unavailable {
            cause: Cause::Connect,
            answer: None,
            detail: "connection refused".to_owned(),
        };
        let (text, good) = told(
            &[Answered {
                outcome,
                ..answered(0, "")
            }],
            false,
        );
        assert!(!good);
        assert!(text.contains("--- no answer: connection refused (connect)"), "{text}");
    }
}
