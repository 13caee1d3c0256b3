//! The configuration as written: every table of every file, read and not yet fitted together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::admin::{self, AdminTable};
use super::codes;
use super::diagnostics::{Problem, Problems};
use super::legal_entities::{self, LegalEntities, LegalEntityTable};
use super::mail::{self, MailTable};
use super::outside::Outside;
use super::reader::Table;
use super::shops::{self, ModeTable, ShopTable, Shops};
use super::source::{At, File, Source};
use super::values::{at, list, text, word};
use super::{receiver, store, syntax};
use crate::domain::{LegalEntityId, Mode, ShopId};
use crate::{outbox, receive};

/// Everything that the files say.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) receiver: receive::Settings,
    pub(super) store: outbox::Settings,
    pub(super) mail: Option<MailTable>,
    pub(super) admin: Option<AdminTable>,
    pub(super) legal_entities: LegalEntities,
    pub(super) shops: Shops,
    /// The shops of each company that any of them names, in the order of their ids.
    members: BTreeMap<LegalEntityId, Vec<ShopId>>,
    /// `reload = "watch"`.
    pub(super) watch: bool,
}

/// The shops of one company that take part in one mode.
///
/// A shop without a table for the mode takes no part in it: most companies test with one shop only, and the others
/// would be called unreachable in TEST for no fault. One with an empty table does take part.
#[derive(Debug)]
pub(super) struct CircleTables<'w> {
    pub(super) id: &'w LegalEntityId,
    pub(super) legal_entity: &'w LegalEntityTable,
    pub(super) mode: Mode,
    /// In the order of their ids.
    pub(super) members: Vec<(&'w ShopTable, &'w ModeTable)>,
}

impl Written {
    /// Every circle with at least one shop.
    pub(super) fn circles(&self) -> Vec<CircleTables<'_>> {
        let mut circles = Vec::new();
        for (id, legal_entity) in &self.legal_entities {
            for mode in Mode::ALL {
                let shops = self.shops_of(id);
                let members: Vec<_> = shops.filter_map(|shop| Some((shop, shop.mode(mode)?))).collect();
                if !members.is_empty() {
                    circles.push(CircleTables {
                        id,
                        legal_entity,
                        mode,
                        members,
                    });
                }
            }
        }
        circles
    }

    /// The mode in which `expect_every` counts: PRODUCTION as soon as the gateway can notify one of the company's shops
    /// there, for tests come and go; `None` if it can notify none of them.
    pub(super) fn heard_mode(&self, id: &LegalEntityId) -> Option<Mode> {
        let is_heard = |mode: &Mode| {
            let mut modes = self.shops_of(id).filter_map(|shop| shop.mode(*mode));
            modes.any(|mode| mode.form_key.is_meant() || mode.rest_password.is_meant())
        };
        Mode::ALL.into_iter().find(is_heard)
    }

    /// The shops of one company.
    pub(super) fn shops_of(&self, id: &LegalEntityId) -> impl Iterator<Item = &ShopTable> {
        let members = self.members.get(id).map_or(&[][..], Vec::as_slice);
        members.iter().filter_map(|shop| self.shops.get(shop))
    }
}

/// Reads the main file and those that it includes; `sources` are all that were read.
pub(super) fn read(main: File, outside: &dyn Outside, problems: &mut Problems) -> (Written, Vec<Source>) {
    let mut sources = vec![source(0, main, problems)];
    let (mut written, include) = read_main(&sources[0], outside, problems);
    for file in included(&sources[0], &include, outside, problems) {
        let number = sources.len();
        let source = source(number, file, problems);
        let document = syntax::document(number, &source, problems);
        let mut table = Table::root(&document, number, &source);
        for key in ["include", "reload", "receiver", "store", "mail", "admin"] {
            if let Some(spot) = table.misplaced(key) {
                let what = format!("`{key}` belongs into the main file");
                problems.push(
                    Problem::new(codes::NOT_IN_INCLUDED_FILE, &spot, what)
                        .why("an included file holds [legal_entities.…] and [shops.…] only")
                        .instead("move it there"),
                );
            }
        }
        legal_entities_and_shops(&mut table, &mut written, outside, problems);
        table.refuse_the_rest(problems);
        sources.push(source);
    }
    for shop in written.shops.values() {
        if let Some(owner) = &shop.legal_entity {
            written.members.entry(owner.value.clone()).or_default().push(shop.id);
        }
    }
    (written, sources)
}

/// Reads the main file without those that it includes.
pub(super) fn read_alone(main: File, outside: &dyn Outside, problems: &mut Problems) -> Written {
    read_main(&source(0, main, problems), outside, problems).0
}

fn source(number: usize, file: File, problems: &mut Problems) -> Source {
    let (source, flaws) = Source::new(file);
    syntax::flaws(number, flaws, problems);
    source
}

fn read_main(source: &Source, outside: &dyn Outside, problems: &mut Problems) -> (Written, Vec<At<String>>) {
    let document = syntax::document(0, source, problems);
    let mut table = Table::root(&document, 0, source);
    let include = table.optional("include", problems, list(at(text))).or(Vec::new());
    let watch = table.optional("reload", problems, word(&[("command", false), ("watch", true)]));
    let mut written = Written {
        receiver: receiver::read(
            table.section("receiver", "[receiver]", problems).value(),
            outside,
            problems,
        ),
        store: store::read(table.section("store", "[store]", problems).value(), outside, problems),
        mail: table
            .section("mail", "[mail]", problems)
            .value()
            .map(|table| mail::read(table, outside, problems)),
        admin: table
            .section("admin", "[admin]", problems)
            .value()
            .map(|table| admin::read(table, outside, problems)),
        legal_entities: LegalEntities::new(),
        shops: Shops::new(),
        members: BTreeMap::new(),
        watch: watch.or(false),
    };
    legal_entities_and_shops(&mut table, &mut written, outside, problems);
    table.refuse_the_rest(problems);
    (written, include)
}

fn legal_entities_and_shops(
    table: &mut Table<'_>,
    written: &mut Written,
    outside: &dyn Outside,
    problems: &mut Problems,
) {
    if let Some(table) = table.section("legal_entities", "[legal_entities]", problems).value() {
        legal_entities::read(table, &mut written.legal_entities, problems);
    }
    if let Some(table) = table.section("shops", "[shops]", problems).value() {
        shops::read(table, &mut written.shops, outside, problems);
    }
}

/// The files that `include` names, each once, and never the main file again.
fn included(main: &Source, include: &[At<String>], outside: &dyn Outside, problems: &mut Problems) -> Vec<File> {
    let mut seen: BTreeSet<PathBuf> = [main.path().to_owned()].into();
    let mut files = Vec::new();
    for pattern in include {
        let found = match outside.include(&main.folder().join(&pattern.value)) {
            Ok(found) => found,
            Err(reason) => {
                let what = format!("what this includes cannot be read: {reason}");
                problems.push_broken(
                    pattern.spot.clone(),
                    Problem::new(codes::UNREADABLE_FILE, &pattern.spot, what),
                    true,
                );
                continue;
            }
        };
        if found.is_empty() {
            let problem = Problem::new(codes::INCLUDE_MATCHES_NOTHING, &pattern.spot, "no file has such a name")
                .why("companies and shops that were meant to be included would be unknown")
                .instead("a path relative to this file, such as \"companies.d/*.toml\" for all files of a folder");
            problems.push_broken(pattern.spot.clone(), problem, true);
        }
        files.extend(found.into_iter().filter(|file| seen.insert(file.path.clone())));
    }
    files
}
