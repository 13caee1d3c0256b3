use sha2::{Digest as _, Sha256};

/// SHA-256 over parts, each with its length before it: no two lists of parts give the same bytes.
pub(super) struct Digest(Sha256);

impl Digest {
    /// Starts one whose first part says what it stands for, so that digests of different things never meet.
    pub(super) fn of(what: &str) -> Self {
        Self(Sha256::new()).part(what)
    }

    /// Adds a part.
    pub(super) fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        let length = u64::try_from(part.len()).expect("a length fits 64 bits");
        self.0.update(length.to_be_bytes());
        self.0.update(part);
        self
    }

    /// Adds a part that may be missing, which is something else than an empty one.
    pub(super) fn optional(self, part: Option<impl AsRef<[u8]>>) -> Self {
        match part {
            None => self.part("-"),
            Some(part) => self.part("+").part(part),
        }
    }

    /// All 32 bytes.
    pub(super) fn whole(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The first 16 bytes: enough that no two meet by chance, and half of an index row.
    pub(super) fn short(self) -> [u8; 16] {
        self.whole()[..16].try_into().expect("16 of 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_part_ends_counts() {
        let two = |a: &str, b: &str| Digest::of("x").part(a).part(b).short();
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(
            Digest::of("x").optional(None::<&str>).short(),
            Digest::of("x").optional(Some("")).short()
        );
        assert_ne!(Digest::of("x").short(), Digest::of("y").short());
    }
}
