//! The example after accidents: nothing panics, every diagnostic has its place, and none takes long.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// What one hand, editor or disk may do to a text.
#[derive(Clone, Debug)]
enum Accident {
    /// From a line on, the file is missing.
    Cut(usize),
    /// A line is missing.
    Delete(usize),
    /// A line stands twice.
    Double(usize),
    /// A line stands somewhere else.
    Move(usize, usize),
    /// Some characters are others.
    Overwrite(usize, usize, String),
    /// A value is another.
    Value(usize, String),
}

impl Accident {
    fn happen(&self, text: &str) -> String {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let count = lines.len().max(1);
        lines.resize(count, String::new());
        match self {
            Self::Cut(at) => lines.truncate(at % count),
            Self::Delete(at) => drop(lines.remove(at % count)),
            Self::Double(at) => lines.insert(at % count, lines[at % count].clone()),
            Self::Move(from, to) => {
                let line = lines.remove(from % count);
                lines.insert(to % count, line);
            }
            Self::Overwrite(at, length, new) => {
                let at = at % (text.chars().count() + 1);
                let rest = text.chars().skip(at + length);
                return text.chars().take(at).chain(new.chars()).chain(rest).collect();
            }
            Self::Value(at, value) => {
                let with_value: Vec<_> = (0..count).filter(|line| lines[*line].contains(" = ")).collect();
                if let Some(line) = with_value.get(at % with_value.len().max(1)) {
                    let key = lines[*line].split(" = ").next().unwrap_or_default();
                    lines[*line] = format!("{key} = {value}");
                }
            }
        }
        lines.join("\n")
    }
}

fn accident() -> impl Strategy<Value = Accident> {
    let values = [
        "true",
        "-1",
        "1.5",
        "1979-05-27",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "[[]]",
        "'",
        "\"\"\"",
        "oui",
        "True",
        "« x »",
        "[\"a\", 1]",
        "{ file = 1 }",
        "\"a@b.example, c@d.example\"",
        "\"https://[::1\"",
        "\"\\u0000\"",
        "nan",
    ];
    let at = any::<usize>;
    prop_oneof![
        at().prop_map(Accident::Cut),
        at().prop_map(Accident::Delete),
        at().prop_map(Accident::Double),
        (at(), at()).prop_map(|(from, to)| Accident::Move(from, to)),
        (
            at(),
            0..40usize,
            "[\\[\\]{}=\"'#.,;:a0\\n é\u{a0}\u{200b}“”«»\\\\\u{0}\r]{0,4}"
        )
            .prop_map(|(at, length, new)| Accident::Overwrite(at, length, new)),
        (at(), prop::sample::select(values.to_vec())).prop_map(|(at, value)| Accident::Value(at, value.to_owned())),
    ]
}

/// Parses, and checks what must hold for whatever is written.
fn is_told_well(text: &str) -> Result<(), TestCaseError> {
    let (read, _) = encoding::decode(text.into());
    for diagnostic in all(parsed(text)) {
        let place = &diagnostic.place;
        let written = read.split('\n').nth(place.line - 1).unwrap_or_default();
        prop_assert!((1..=written.chars().count() + 1).contains(&place.column));
        prop_assert!(place.text.get(place.caret.clone()).is_some());
        prop_assert!(!diagnostic.what.is_empty());
        let position = format!(":{}:{}\n", place.line, place.column);
        prop_assert!(diagnostic.to_text(false).contains(&position));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_to_the_example_every_diagnostic_has_its_place(
        accidents in prop::collection::vec(accident(), 1..4),
        with_everything in any::<bool>(),
    ) {
        let whole = if with_everything { example_with_everything() } else { example() };
        let text = accidents.iter().fold(whole, |text, accident| accident.happen(&text));
        is_told_well(&text)?;
    }

    #[test]
    fn any_bytes_are_refused_or_taken_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for diagnostic in all(parsed(bytes)) {
            prop_assert!(diagnostic.place.line >= 1);
            diagnostic.to_text(true);
        }
    }
}

/// Even a debug build on a busy machine needs a fraction of this; what grows with the square of the text does not end.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn nothing_that_is_long_or_deep_takes_long() {
    let many = |line: &str, times: usize| line.repeat(times);
    for text in [
        format!("name = \"{}\"", many("é", 200_000)),
        format!("name = {}", many("x", 200_000)),
        format!("a = {}{}", many("[", 50_000), many("]", 50_000)),
        format!("a = {}1{}", many("{ a = ", 20_000), many(" }", 20_000)),
        format!("[{}a]", many("a.", 20_000)),
        format!(
            "receiver = {{ {} }}",
            (0..1_000).map(|n| format!("x{n} = 1")).collect::<Vec<_>>().join(", ")
        ),
        many("[shops.12345678]\nname = \"x\"\n", 5_000),
        many("name = “x”\n", 5_000),
        many("what is this\n", 5_000),
        many("[receiver]\n", 5_000),
        many("\"", 10_001),
        many("'''", 10_001),
        many("\u{0}", 100_000),
        many("[", 100_000),
        many("\n", 100_000),
        (0..1_000)
            .map(|n| format!("[legal_entities.e{n}]\n[shops.{n:08}]\nlegal_entity = \"e{n}\"\n"))
            .collect(),
        (0..1_000)
            .map(|n| format!("[shops.{n:08}]\nlegal_entity = \"e{n}\"\n"))
            .collect(),
    ] {
        let started = Instant::now();
        is_told_well(&text).unwrap();
        let start: String = text.chars().take(30).collect();
        assert!(started.elapsed() < LONG, "{start}… took {:?}", started.elapsed());
    }
}
