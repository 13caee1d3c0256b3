//! The keys by their names: which one a misspelt word means, and where a misplaced one belongs.

/// Every key and the tables that know it (design.md 4); without a place, it belongs to a small table in braces.
const KEYS: &[(&str, &str)] = &[
    ("admin", TOP),
    ("allow_from", "[receiver]"),
    ("allow_private", "[shops.…]"),
    ("answer_check", "[shops.…]"),
    ("answer_timeout", "[receiver]"),
    ("automatic_retry", EITHER),
    ("body_timeout", "[receiver]"),
    ("ca", "[mail] or [shops.…]"),
    ("certificate", ""),
    ("client_certificate", "[shops.…]"),
    ("concurrency", EITHER),
    ("connect", "`timeouts = { … }`"),
    ("credential", ""),
    ("enabled", EITHER),
    ("env", ""),
    ("event_secret", MODE),
    ("event_url", MODE),
    ("expect_every", "[legal_entities.…]"),
    ("extra_failure_emails", "[shops.…]"),
    ("failure_emails", "[legal_entities.…]"),
    ("failure_emails_on", EITHER),
    ("file", ""),
    ("first_byte", "`timeouts = { … }`"),
    ("foreign_orders", "[shops.…]"),
    ("form_hash", MODE),
    ("form_key", MODE),
    ("form_url", MODE),
    ("from", "[mail]"),
    ("give_up_after", EITHER),
    ("header_timeout", "[receiver]"),
    ("include", "the top of the main file, above the first [table]"),
    ("keep_bodies", "[store]"),
    ("keep_records", "[store]"),
    ("key", ""),
    ("language", "[legal_entities.…]"),
    ("learns_by", "[shops.…]"),
    ("legal_entities", TOP),
    ("legal_entity", "[shops.…]"),
    ("listen", "[receiver] or [admin]"),
    ("mail", TOP),
    ("max_body", "[receiver]"),
    ("max_in_flight", "[receiver]"),
    ("name", EITHER),
    ("operators", "[mail]"),
    ("password", "[mail] or [store]"),
    ("path", "[receiver]"),
    ("production", "[shops.…]"),
    ("public_url", "[admin]"),
    ("rate", EITHER),
    ("receiver", TOP),
    ("reload", "the top of the main file, above the first [table]"),
    ("rest_password", MODE),
    ("rest_url", MODE),
    ("retry_delays", EITHER),
    ("share", "[legal_entities.…]"),
    ("shops", TOP),
    ("smtp", "[mail]"),
    ("socket", "[admin]"),
    ("store", TOP),
    ("test", "[shops.…]"),
    ("timeouts", EITHER),
    ("tls", "[receiver]"),
    ("token", "[admin]"),
    ("trusted_proxies", "[receiver]"),
    ("url", "[store]"),
    ("username", "[mail]"),
    ("wait_for_named_shop", "[legal_entities.…]"),
    ("whole", "`timeouts = { … }`"),
];

const EITHER: &str = "[legal_entities.…] or [shops.…]";
const MODE: &str = "[shops.….test] or [shops.….production]";
const TOP: &str = "the top of the file, as a table of its own";

/// What people call a key that has another name here.
const ALSO_CALLED: &[(&str, &str)] = &[
    ("companies", "legal_entities"),
    ("company", "legal_entity"),
    ("database", "store"),
    ("host", "smtp"),
    ("interval", "retry_delays"),
    ("lang", "language"),
    ("live", "production"),
    ("login", "username"),
    ("sandbox", "test"),
    ("sender", "from"),
    ("server", "receiver"),
    ("server", "smtp"),
    ("societe", "legal_entity"),
    ("user", "username"),
    ("webhook_secret", "event_secret"),
    ("webhook_url", "event_url"),
];

/// The key of a table that a word can only be a slip or another name of.
pub(super) fn misspelt(word: &str, table: &str) -> Option<&'static str> {
    let known = keys_of(table);
    if known.contains(&word) {
        return None;
    }
    match meant(word, &known).as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// The keys of a table, by its name as in messages.
fn keys_of(table: &str) -> Vec<&'static str> {
    let home = match table {
        "the file" => "the top of",
        mode if mode.ends_with(".test]") || mode.ends_with(".production]") => "[shops.….test]",
        shop if shop.starts_with("[shops.") => "[shops.…]",
        company if company.starts_with("[legal_entities.") => "[legal_entities.…]",
        other => other.trim_end_matches('`'),
    };
    let here = KEYS.iter().filter(|(_, homes)| homes.contains(home));
    here.map(|(key, _)| *key).collect()
}

/// The key that a word, even one that cannot be a key, is a slip of.
pub(super) fn closest_key(word: &str) -> Option<&'static str> {
    closest(word, &keys_of(""))
}

/// The known keys that a word may mean, the likeliest first.
pub(super) fn meant<'w>(word: &str, known: &[&'w str]) -> Vec<&'w str> {
    let word = folded(word);
    if let Some(close) = closest(&word, known) {
        return vec![close];
    }
    let called = |known: &&&str| ALSO_CALLED.contains(&(word.as_str(), **known));
    if let Some(known) = known.iter().find(called) {
        return vec![known];
    }
    let begins = |known: &&&str| word.len() >= 3 && known.starts_with(&word);
    let begun: Vec<_> = known.iter().filter(begins).copied().collect();
    if !begun.is_empty() {
        return begun;
    }
    let contains = |known: &&&str| known.split('_').any(|part| part == word);
    known.iter().filter(contains).copied().collect()
}

/// Where a key belongs; `None` if there is no such key.
pub(super) fn home_of(word: &str) -> Option<&'static str> {
    let at = KEYS.binary_search_by(|(key, _)| key.cmp(&word)).ok()?;
    Some(KEYS[at].1)
}

/// The known word that is probably meant.
pub(super) fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let word = folded(word);
    // More letters than this are no slip of the longest known word, and would take long to compare.
    if word.len() > 100 {
        return None;
    }
    let distance = |known: &&str| strsim::damerau_levenshtein(&word, &folded(known));
    let best = known.iter().copied().min_by_key(distance)?;
    (distance(&best) <= best.len() / 3).then_some(best)
}

fn folded(word: &str) -> String {
    word.trim().to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::super::mask;
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_does_not() {
        let known = ["form_key", "form_url", "event_secret"];
        assert_eq!(closest("form_kye", &known), Some("form_key"));
        assert_eq!(closest("Form-URL", &known), Some("form_url"));
        assert_eq!(closest("event_secrets", &known), Some("event_secret"));
        assert_eq!(closest("colour", &known), None);
    }

    #[test]
    fn a_word_is_known_by_its_beginning_a_part_or_another_name() {
        assert_eq!(meant("prod", &["name", "test", "production"]), ["production"]);
        assert_eq!(meant("live", &["name", "test", "production"]), ["production"]);
        assert_eq!(
            meant("url", &["form_url", "form_key", "event_url"]),
            ["form_url", "event_url"]
        );
        assert_eq!(meant("colour", &["name", "test"]), [""; 0]);
    }

    #[test]
    fn what_is_misspelt_depends_on_the_table() {
        assert_eq!(misspelt("nmae", "[shops.12345678]"), Some("name"));
        assert_eq!(misspelt("prod", "[shops.12345678]"), Some("production"));
        assert_eq!(misspelt("legal_entities", "[shops.12345678]"), Some("legal_entity"));
        assert_eq!(misspelt("legal_entity", "the file"), Some("legal_entities"));
        assert_eq!(misspelt("server", "[mail]"), Some("smtp"));
        assert_eq!(
            misspelt("url", "[shops.12345678.test]"),
            None,
            "form_url, rest_url or event_url"
        );
        assert_eq!(misspelt("colour", "[shops.12345678]"), None);
    }

    #[test]
    fn every_key_that_may_be_shown_is_known() {
        for key in mask::SHOWN {
            assert!(home_of(key).is_some(), "{key}");
        }
    }

    #[test]
    fn no_key_is_taken_for_another_and_all_stand_in_order() {
        assert!(KEYS.is_sorted());
        let tables = [
            "the file",
            "[receiver]",
            "[store]",
            "[mail]",
            "[admin]",
            "[legal_entities.a]",
            "[shops.1]",
            "[shops.1.test]",
        ];
        for table in tables {
            for key in keys_of(table) {
                assert_eq!(misspelt(key, table), None, "{key} of {table}");
            }
        }
    }
}
