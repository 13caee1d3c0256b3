//! What an answer means: delivered, not wanted, or not able now. Pure.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::AnswerCheck;
use crate::domain::{Answer, Cause, Outcome, Verdict, useful_text};

/// How much of an answer is kept: as much as the gateway itself reads (protocol.md 4).
pub(super) const EXCERPT: usize = 512;

/// The longest that a shop's `Retry-After` is obeyed; a slip of the pen must not park a delivery for years.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest text of a verdict, in characters.
const VERDICT: usize = 200;

/// Judges an answer; `text` is as much of its body as was read, at least the first 512 bytes if there are as many.
pub fn classify(status: StatusCode, headers: &HeaderMap, text: &[u8], check: AnswerCheck, now: Timestamp) -> Outcome {
    let answer = Answer {
        status: status.as_u16(),
        excerpt: text[..text.len().min(EXCERPT)].to_vec(),
        retry_after: retry_after(headers, now),
    };
    let cause = Cause::Status(answer.status);
    match answer.status {
        200..=206 => Outcome::Delivered {
            answer,
            ko: match check {
                AnswerCheck::StatusOnly => None,
                AnswerCheck::Verdict => complaint(&String::from_utf8_lossy(text)),
            },
        },
        303 => Outcome::Delivered { answer, ko: None },
        408 | 425 | 429 | 500..=599 => Outcome::Unavailable {
            cause,
            detail: cause.to_string(),
            answer: Some(answer),
        },
        300..=399 => Outcome::Rejected {
            cause: Cause::Redirect,
            detail: format!("{cause}: we are sent elsewhere"),
            answer: Some(answer),
        },
        _ => Outcome::Rejected {
            cause,
            detail: cause.to_string(),
            answer: Some(answer),
        },
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); what is neither is no wish at all.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let wish = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !wish.is_empty() && wish.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds: longer than we obey.
        wish.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let until = http_date(wish)?;
        // A date in the past: at once.
        Duration::try_from(until.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// A date as headers have it (RFC 9110, 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp())
}

/// The complaint of a plugin: `KO-…` where the gateway's plugins put their verdict, which is at the beginning of the
/// answer or of an element that is hidden from people. The same letters elsewhere mean nothing.
fn complaint(text: &str) -> Option<Verdict> {
    let beginning = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    std::iter::once(beginning)
        .chain(hidden_texts(text))
        .find_map(|text| text.strip_prefix("KO-").map(|_| verdict(text)))
}

/// What follows each tag that hides its content: `<span style="display:none">`, however it is spelt.
fn hidden_texts(text: &str) -> impl Iterator<Item = &str> {
    text.split('<').skip(1).filter_map(|element| {
        let (tag, content) = element.split_once('>')?;
        let spelling: String = tag
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_lowercase())
            .collect();
        spelling.contains("display:none").then(|| content.trim_start())
    })
}

fn verdict(text: &str) -> Verdict {
    let element = text.split('<').next().unwrap_or_default();
    let line = element.lines().next().unwrap_or_default();
    let text: String = useful_text(line.as_bytes()).chars().take(VERDICT).collect();
    Verdict {
        // The same word in English and in French.
        about_signature: text.to_lowercase().contains("signature"),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn judge(status: u16, text: &str) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        classify(status, &HeaderMap::new(), text.as_bytes(), AnswerCheck::Verdict, now())
    }

    fn ko(text: &str) -> Option<(String, bool)> {
        match judge(200, text) {
            Outcome::Delivered { ko, .. } => ko.map(|ko| (ko.text, ko.about_signature)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_has_one_meaning() {
        for status in 100..1000 {
            let outcome = judge(status, "");
            let expected = match status {
                200..=206 | 303 => "delivered",
                408 | 425 | 429 | 500..=599 => "unavailable",
                300..=399 => "redirect",
                _ => "rejected",
            };
            let found = match &outcome {
                Outcome::Delivered { .. } => "delivered",
                Outcome::Unavailable { cause, .. } if *cause == Cause::Status(status) => "unavailable",
                Outcome::Rejected {
                    cause: Cause::Redirect, ..
                } => "redirect",
                Outcome::Rejected { cause, .. } if *cause == Cause::Status(status) => "rejected",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{status}");
            assert_eq!(outcome.answer().unwrap().status, status);
        }
    }

    /// The literal answers of the gateway's plugins for WooCommerce, PrestaShop, Magento and others.
    #[test]
    fn complaints_of_the_plugins_are_read() {
        let auth = "KO-An error occurred while computing the signature.";
        for (answer, text, about_signature) in [
            (
                "<span style=\"display:none\">KO-An error occurred while computing the signature.\n</span>",
                auth,
                true,
            ),
            ("KO-An error occurred while computing the signature.", auth, true),
            ("\u{feff}\r\n KO-Signature invalide\n", "KO-Signature invalide", true),
            (
                "<span style=\"display:none\">KO-Erreur lors du calcul de la SIGNATURE.\n</span>",
                "KO-Erreur lors du calcul de la SIGNATURE.",
                true,
            ),
            (
                "<span style=\"display:none\">KO-Order not found.\n</span>",
                "KO-Order not found.",
                false,
            ),
            (
                "<span style=\"display:none\">KO-Invalid IPN request received.\n</span>",
                "KO-Invalid IPN request received.",
                false,
            ),
            (
                "<span style=\"display:none\">KO-Order status does not match the payment result.\n</span>",
                "KO-Order status does not match the payment result.",
                false,
            ),
            (
                "<span style=\"display:none\">KO-Total paid is different from order amount. &lt;1&amp;2&gt;\n</span>",
                "KO-Total paid is different from order amount. <1&2>",
                false,
            ),
            (
                "<span style=\"display:none\">KO-067925=Impossible de retrouver la commande\n</span>",
                "KO-067925=Impossible de retrouver la commande",
                false,
            ),
            (
                "<SPAN STYLE='display : none;'>\n KO-Payment abandoned or expired.</SPAN>",
                "KO-Payment abandoned or expired.",
                false,
            ),
            (
                "<br />\n<b>Warning</b>: Undefined index in x.php on line <b>3</b><br />\n<span style=\"display:none\">KO-Order not found.\n</span>",
                "KO-Order not found.",
                false,
            ),
            (
                "<html><body><span class=\"x\" style=\"display:none\">KO-Empty cart</span></body></html>",
                "KO-Empty cart",
                false,
            ),
            ("KO-", "KO-", false),
        ] {
            assert_eq!(ko(answer), Some((text.to_owned(), about_signature)), "{answer}");
        }
    }

    #[test]
    fn other_texts_are_no_complaint() {
        for answer in [
            "",
            "OK",
            "OK-Accepted payment, order has been updated.",
            "<span style=\"display:none\">OK-Accepted payment, order has been updated.\n</span>",
            "<span style=\"display:none\">OK-Payment failure, order has been cancelled.\n</span>",
            "<span style=\"display:none\">OK-Order KO-12 signature\n</span>",
            "KO",
            "ko-KR",
            "<div id=\"language\" style=\"display:none\">ko-KR</div>",
            "order KO-123 saved",
            "saved\nKO-123",
            "<p>KO-123 was bought</p>",
            "TOKYO-KO-signature",
            "{\"status\":\"KO-\"}",
            "<span style=\"display:none\"",
        ] {
            assert_eq!(ko(answer), None, "{answer}");
        }
    }

    #[test]
    fn a_verdict_is_looked_for_only_where_it_counts() {
        let answer = "KO-An error occurred while computing the signature.";
        let silent = classify(
            StatusCode::OK,
            &HeaderMap::new(),
            answer.as_bytes(),
            AnswerCheck::StatusOnly,
            now(),
        );
        assert!(matches!(silent, Outcome::Delivered { ko: None, .. }));
        assert!(matches!(judge(303, answer), Outcome::Delivered { ko: None, .. }));
        assert!(matches!(judge(500, answer), Outcome::Unavailable { .. }));
    }

    #[test]
    fn long_answers_are_cut() {
        let long = format!("KO-{}", "x ".repeat(1000));
        let outcome = judge(200, &long);
        assert_eq!(outcome.answer().unwrap().excerpt.len(), EXCERPT);
        assert_eq!(ko(&long).unwrap().0.chars().count(), VERDICT);
        assert_eq!(ko("KO-a\u{7}\u{0}b").unwrap().0, "KO-ab");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 22 Nov 2026 12:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
            ("999999999", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Mon, 22 Nov 2027 12:00:00 GMT", Some(86_400)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            let outcome = classify(
                StatusCode::SERVICE_UNAVAILABLE,
                &headers,
                b"",
                AnswerCheck::Verdict,
                now(),
            );
            let found = outcome.answer().unwrap().retry_after;
            assert_eq!(found, seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(judge(503, "").answer().unwrap().retry_after, None);
    }
}
