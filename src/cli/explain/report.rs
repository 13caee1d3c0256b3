use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::reasons::{Outcome, Told, explain, sharing};
use super::subject::Subject;
use crate::cli::page::{FAINT, beside};
use crate::cli::verify::{BAD, GOOD, advice};
use crate::config::{Loaded, Place};
use crate::domain::{Format, Rendition, shown_token};
use crate::route::{Basis, Plan, Rule, Standing, event_id, in_order_with, is_shared, plan, rule};

/// Everything that is said of one notification.
pub(super) struct Report<'a> {
    subject: &'a Subject,
    /// What would be stored, if it were accepted and, in quarantine, released.
    plan: Plan,
    rule: &'static Rule,
    sharing: (String, Vec<Place>),
    ways: Vec<Told>,
}

impl<'a> Report<'a> {
    pub(super) fn new(subject: &'a Subject, loaded: &Loaded, now: Timestamp) -> Self {
        let plan = plan(&subject.content, subject.shop, &subject.circle, now, false);
        Self {
            rule: rule(&plan.happening),
            sharing: sharing(subject, plan.kind, loaded),
            ways: explain(subject, &plan.happening, plan.kind, loaded),
            subject,
            plan,
        }
    }

    /// For a person.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.headline())?;
        if let Some(remark) = self.subject.remark {
            paragraph(out, &format!("({remark})"))?;
        }
        self.write_verdict(out)?;
        writeln!(out)?;
        self.write_facts(out)?;
        let told = self.ways.iter().filter(|told| !told.is_alike);
        let of = |outcome: fn(&Outcome) -> bool| told.clone().filter(move |told| outcome(&told.outcome));
        section(out, "It goes to", of(|outcome| matches!(outcome, Outcome::Goes(_))))?;
        section(out, "It waits for", of(|outcome| *outcome == Outcome::Waits))?;
        section(out, "It does not go to", of(|outcome| *outcome == Outcome::Stays))?;
        self.write_who_is_not_told(out)
    }

    /// The other shops, if they need not know: one line for all of them.
    fn write_who_is_not_told(&self, out: &mut impl Write) -> io::Result<()> {
        let others = self
            .subject
            .circle
            .members
            .iter()
            .filter(|member| member.shop != self.subject.shop);
        let names: Vec<_> = others
            .map(|member| format!("{} {}", member.shop, member.name))
            .collect();
        if names.is_empty() || is_shared(self.plan.kind, &self.subject.circle) {
            return Ok(());
        }
        writeln!(out, "\nIt does not go to the other shops, for its kind is not shared")?;
        beside(out, "", 2, &names.join(", "))
    }

    fn headline(&self) -> String {
        let circle = &self.subject.circle;
        let name = circle.member(self.subject.shop).map_or("", |member| &member.name);
        format!(
            "{} of shop {} ({name}) in {}, by {}",
            self.plan.kind, self.subject.shop, circle.mode, self.plan.happening.format
        )
    }

    fn write_verdict(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.subject.refusal {
            Some(refusal) => {
                writeln!(
                    out,
                    "\n{BAD}The receiver would refuse it, and nobody would get it.{BAD:#}"
                )?;
                paragraph(out, &format!("Why: {refusal}. {}", advice(refusal)))?;
                writeln!(out, "This is what would become of it if it were accepted:")
            }
            None if self.subject.quarantined => {
                writeln!(out, "\n{GOOD}The signature is right.{GOOD:#}")?;
                writeln!(
                    out,
                    "But perhaps it is no notification: it waits for an operator's release. Then:"
                )
            }
            None if self.subject.is_recorded => writeln!(out, "\n{GOOD}The signature is right.{GOOD:#}"),
            None => Ok(()),
        }
    }

    fn write_facts(&self, out: &mut impl Write) -> io::Result<()> {
        const COLUMN: usize = 12;
        let Rule { kind, when, basis, .. } = self.rule;
        beside(
            out,
            "kind",
            COLUMN,
            &format!("{kind}, for: {when} ({})", basis_words(*basis)),
        )?;
        beside(out, "shared", COLUMN, &self.sharing.0)?;
        write_lines(out, COLUMN, &self.sharing.1)?;
        beside(out, "in order", COLUMN, &self.order())?;
        if self.has_identity() {
            let identity = self.plan.identified.identity;
            let lapses = if identity.until.is_some() {
                " within 2 hours"
            } else {
                ""
            };
            let text = format!("{}; the same again{lapses} is a duplicate", hex::encode(identity.hash));
            beside(out, "identity", COLUMN, &text)?;
        }
        if let Some(event) = self.event() {
            beside(out, "event", COLUMN, &event)?;
        }
        beside(out, "answer", COLUMN, self.answer())
    }

    /// What it is kept in order with.
    fn order(&self) -> String {
        let happening = &self.plan.happening;
        match in_order_with(happening) {
            None => "it waits for nothing, and nothing waits for it".to_owned(),
            Some(_) if !self.subject.is_recorded => "with everything else about its token or transaction".to_owned(),
            Some(token) if happening.token.as_deref() == Some(token) => {
                format!("with everything else about token {}", shown_token(token))
            }
            Some(transaction) => format!("with everything else about transaction {transaction}"),
        }
    }

    /// What the other shops learn, if they learn of it.
    fn event(&self) -> Option<String> {
        let identity = self.plan.event?;
        let kind = self.plan.kind;
        Some(if self.subject.is_recorded {
            format!("{kind} {}, the same for all shops", event_id(&identity))
        } else {
            format!("{kind}, with one id for all shops")
        })
    }

    /// Made up, it would say nothing; in quarantine it has another until it is released.
    fn has_identity(&self) -> bool {
        self.subject.is_recorded && !self.subject.quarantined
    }

    fn answer(&self) -> &'static str {
        match self.plan.standing {
            _ if self.subject.quarantined => "200 OK-parked: kept until it is released; the operators get an e-mail",
            Standing::Parked => "200 OK-parked: kept, with nowhere to go for now; the operators get an e-mail",
            Standing::Quarantined | Standing::Routed => "200 OK-stored",
        }
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let Self {
            subject, plan, rule, ..
        } = self;
        let circle = &subject.circle;
        let recorded = |text: String| subject.is_recorded.then_some(text);
        json!({
            "legal_entity": circle.legal_entity.id.as_str(),
            "shop": subject.shop.as_str(),
            "mode": circle.mode.word(),
            "format": plan.happening.format.word(),
            "remark": subject.remark,
            "refusal": subject.refusal.as_ref().map(ToString::to_string),
            "quarantined": subject.quarantined,
            "kind": {
                "name": plan.kind.name(),
                "when": rule.when,
                "basis": basis_words(rule.basis),
                "source": rule.source,
            },
            "shared": is_shared(plan.kind, circle),
            "share_lines": lines_json(&self.sharing.1),
            "order": plan.happening.order,
            "charge": plan.happening.charge,
            "identity": self.has_identity().then(|| hex::encode(plan.identified.identity.hash)),
            "token": plan.happening.token.as_deref().map(shown_token).and_then(recorded),
            "event": plan.event.map(|identity| event_id(&identity)).and_then(recorded),
            "parked": plan.standing == Standing::Parked,
            "ways": self.ways.iter().map(way_json).collect::<Vec<_>>(),
        })
    }
}

fn section<'t>(out: &mut impl Write, title: &str, ways: impl Iterator<Item = &'t Told>) -> io::Result<()> {
    const COLUMN: usize = 12;
    for (number, told) in ways.enumerate() {
        if number == 0 {
            writeln!(out, "\n{title}")?;
        }
        writeln!(out, "  {} {}, {}", told.shop, told.shop_name, rendition(told.rendition))?;
        if let Outcome::Goes(url) = &told.outcome {
            beside(out, "    at", COLUMN, url.as_str())?;
            beside(out, "    signed", COLUMN, &told.signed)?;
        }
        beside(out, "    why", COLUMN, &told.why)?;
        write_lines(out, COLUMN, &told.lines)?;
    }
    Ok(())
}

fn paragraph(out: &mut impl Write, text: &str) -> io::Result<()> {
    beside(out, "", 0, text)
}

fn write_lines(out: &mut impl Write, column: usize, lines: &[Place]) -> io::Result<()> {
    for Place { file, line, text, .. } in lines {
        writeln!(out, "{:column$}{FAINT}{file}:{line}:{FAINT:#} {}", "", text.trim())?;
    }
    Ok(())
}

fn rendition(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::AsReceived(_) => "as received",
        Rendition::Event => "as an event",
        Rendition::ReSigned(Format::Form) => "as a form signed for it",
        Rendition::ReSigned(Format::Rest) => "as REST signed for it",
    }
}

fn basis_words(basis: Basis) -> &'static str {
    match basis {
        Basis::Assumed => "assumed: no document shows it",
        Basis::Documented => "documented by the gateway",
        Basis::Inferred => "inferred from samples",
    }
}

fn way_json(told: &Told) -> Value {
    json!({
        "shop": told.shop.as_str(),
        "shop_name": told.shop_name,
        "rendition": told.rendition.word(),
        "outcome": told.outcome.word(),
        "url": match &told.outcome {
            Outcome::Goes(url) => Some(url.as_str()),
            Outcome::Stays | Outcome::Waits => None,
        },
        "signed": told.signed,
        "why": told.why,
        "lines": lines_json(&told.lines),
    })
}

fn lines_json(lines: &[Place]) -> Vec<Value> {
    let line = |Place { file, line, text, .. }: &Place| json!({"file": &**file, "line": line, "text": text.trim()});
    lines.iter().map(line).collect()
}
