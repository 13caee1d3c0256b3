//! Where things stand in a JSON text: a small scanner that knows paths and string escapes.
//!
//! It runs only over texts that `serde_json` has read, so it may rely on their grammar.

use std::ops::Range;

/// The objects whose members are of interest; everything else is skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Object {
    /// `$.orderDetails`
    OrderDetails,
    /// `$`
    Top,
    /// `$.transactions[n]`
    Transaction(usize),
}

/// One `"key": value` of such an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    pub object: Object,
    pub key: String,
    /// Where the value stands in the text, a string with its quotes.
    pub value: Range<usize>,
}

/// Returns the members of `$`, `$.orderDetails` and `$.transactions[*]`, or nothing if one of these has a key twice
/// or written with an escape: such a text could be read in two ways.
pub(super) fn members(text: &str) -> Option<Vec<Member>> {
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        found: Vec::new(),
    };
    scanner.object(Object::Top)?;
    let mut keys: Vec<_> = scanner
        .found
        .iter()
        .map(|member| (order(member.object), member.key.as_str()))
        .collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return None;
    }
    Some(scanner.found)
}

fn order(object: Object) -> (u8, usize) {
    match object {
        Object::Top => (0, 0),
        Object::OrderDetails => (1, 0),
        Object::Transaction(n) => (2, n),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    found: Vec<Member>,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Moves past an object of interest and notes its members.
    fn object(&mut self, object: Object) -> Option<()> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        while self.peek()? != b'}' {
            let key = self.string()?;
            let key = std::str::from_utf8(&self.text[key.start + 1..key.end - 1])
                .ok()?
                .to_owned();
            if key.contains('\\') {
                return None;
            }
            self.peek()?; // the colon
            self.at += 1;
            self.peek()?;
            let start = self.at;
            match (object, key.as_str()) {
                (Object::Top, "orderDetails") => self.object(Object::OrderDetails)?,
                (Object::Top, "transactions") => self.transactions()?,
                _ => self.skip()?,
            }
            self.found.push(Member {
                object,
                key,
                value: start..self.at,
            });
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Some(())
    }

    fn transactions(&mut self) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        let mut n = 0;
        while self.peek()? != b']' {
            self.object(Object::Transaction(n))?;
            n += 1;
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Some(())
    }

    /// Moves past a string; returns its place, quotes included.
    fn string(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(start..self.at);
                }
                _ => self.at += 1,
            }
        }
    }

    /// Moves past any value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ => {
                    while self
                        .text
                        .get(self.at)
                        .is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Object, String, &str)> {
        serde_json::from_str::<serde_json::Value>(text).unwrap();
        members(text)
            .unwrap()
            .into_iter()
            .map(|m| (m.object, m.key, &text[m.value]))
            .collect()
    }

    #[test]
    fn members_are_found_by_path_and_others_are_not() {
        let text = r#" { "shopId" : "12345678", "x": {"shopId":"9"}, "orderDetails":{"mode":"TEST","metadata":{"shopId":"8"}},
            "transactions":[{"shopId":"1","a":[1,{"b":"}\"]"}]},{"shopId":"2"}], "n": -1.5e3, "t":true } "#;
        let found = found(text);
        let of = |object, key: &str| found.iter().find(|(o, k, _)| *o == object && k == key).unwrap().2;
        assert_eq!(of(Object::Top, "shopId"), "\"12345678\"");
        assert_eq!(of(Object::OrderDetails, "mode"), "\"TEST\"");
        assert_eq!(of(Object::Transaction(0), "a"), r#"[1,{"b":"}\"]"}]"#);
        assert_eq!(of(Object::Transaction(1), "shopId"), "\"2\"");
        assert_eq!(of(Object::Top, "n"), "-1.5e3");
        assert_eq!(found.iter().filter(|(_, k, _)| k == "shopId").count(), 3);
    }

    #[test]
    fn a_key_twice_is_doubtful_only_where_it_matters() {
        assert!(members(r#"{"a":{"x":1,"x":2}}"#).is_some());
        assert!(members(r#"{"transactions":[{"x":1},{"x":2}]}"#).is_some());
        assert!(members(r#"{"transactions":[{"x":1,"x":2}]}"#).is_none());
        assert!(members(r#"{"orderDetails":{"mode":1,"mode":2}}"#).is_none());
        assert!(members(r#"{"customer":{"\u0061":1}}"#).is_some());
        assert!(members(r#"{"orderDetails":{"m\u006fde":1}}"#).is_none());
    }

    proptest::proptest! {
        /// Every JSON object that serde reads is walked to its end, without a panic.
        #[test]
        fn any_object_is_walked(keys in proptest::collection::btree_map("[a-z]{1,3}", any_json(), 0..6)) {
            let value = serde_json::Value::Object(keys.into_iter().collect());
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let found = members(&text).unwrap();
                let top: Vec<_> = found.iter().filter(|m| m.object == Object::Top).collect();
                proptest::prop_assert_eq!(top.len(), value.as_object().unwrap().len());
                for member in top {
                    let read: serde_json::Value = serde_json::from_str(&text[member.value.clone()]).unwrap();
                    proptest::prop_assert_eq!(&read, &value[&member.key]);
                }
            }
        }
    }

    fn any_json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }
}
