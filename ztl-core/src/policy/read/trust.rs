//! `[trust]`: how signals become a score.

use std::sync::Arc;

use super::table::{Place, Reader};
use super::{name, unit, value};
use crate::policy::diagnostic::Report;
use crate::policy::document::{Span, Spanned};
use crate::policy::limits::MAX_SIGNALS;
use crate::policy::tree::Node;
use crate::trust::{Of, Scorer, Weighed};

const OF: [(&str, Of); 2] = [("peer", Of::Peer), ("subject", Of::Subject)];

/// `[trust]`
pub(super) fn trust(root: &mut Reader<'_, '_>) -> Option<Scorer> {
    let node = root.take("trust")?;
    let mut table = Reader::open(node, Place::Fixed("[trust]"), root.report)?;
    let base = table.integer("base", 0..=100);
    let entries = table.named("signals", MAX_SIGNALS);
    let mut signals = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        if table.report.enough() {
            break;
        }
        signals.extend(signal(key, node, table.report));
    }
    table.finish(|_| None);
    if entries.is_empty() && root.report.is_empty() {
        root.report.error_with_help(
            node.span,
            "`[trust]` weighs no signal",
            "write at least one `[trust.signals.NAME]`, or remove `[trust]`",
        );
    }
    let base = base.map_or(Some(0), |base| u8::try_from(base.value).ok())?;
    refuse_too_much(base, &signals, node.span, root.report);
    Some(Scorer::new(base, signals))
}

/// A score is at most 100, and what is cut off there would count for nothing.
fn refuse_too_much(base: u8, signals: &[Arc<Weighed>], span: Span, report: &mut Report) {
    let weights = signals
        .iter()
        .filter_map(|one| u32::try_from(one.weight).ok());
    let sum = weights.fold(u32::from(base), u32::saturating_add);
    if sum > 100 {
        report.error_with_help(
            span,
            format!("`base` and the weights that add come to {sum}, and a score is at most 100"),
            "lower some of them: they are points, and each counts in full",
        );
    }
}

/// `[trust.signals.NAME]`
fn signal(key: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Arc<Weighed>> {
    let name = name::checked(&key.value, key.span, report);
    let mut table = Reader::open(node, Place::Named("trust.signals", &key.value), report)?;
    let help = "write how old it may be, as in `max_age = \"15m\"`";
    let _ = table.required("max_age", help);
    let of = table.one("of", |key, node, report| {
        value::choice(key, node, &OF, report)
    });
    let weight = table.integer("weight", -100..=100);
    let floor = table.integer("floor", 1..=100);
    let veto = table.integer("veto", 1..=100);
    let max_age = table.one("max_age", unit::time);
    let fades_after = table.take("fades_after");
    let fades = fades_after.and_then(|node| unit::time("fades_after", node, table.report));
    table.finish(|_| None);
    let small = |value: Spanned<i64>| u8::try_from(value.value).ok();
    let weighed = Weighed {
        name: name?.value,
        of: of.unwrap_or_default(),
        weight: weight.map_or(Some(0), |weight| i8::try_from(weight.value).ok())?,
        floor: floor.and_then(small),
        veto: veto.and_then(small),
        max_age: max_age?,
        fades_after: fades,
    };
    if weight.map_or(floor.is_none() && veto.is_none(), |weight| {
        weight.value == 0
    }) {
        report.error_with_help(
            weight.map_or(key.span, |weight| weight.span),
            "a signal of no weight does nothing",
            "write how many points it adds, or takes below 0, as in `weight = 20`; one that has only a `floor` or `veto` has no `weight`",
        );
    }
    if let (Some(floor), Some(veto)) = (floor, veto)
        && veto.value <= floor.value
    {
        report.error_with_help(
            veto.span,
            format!(
                "no value is at least the floor {} and below the veto {}",
                floor.value, veto.value
            ),
            "nobody would ever have a score: raise `veto` or lower `floor`",
        );
    }
    if let (Some(node), Some(fades)) = (fades_after, fades) {
        if weighed.weight <= 0 {
            report.error_with_help(
                node.span,
                "only what adds points can fade",
                "what takes points away counts in full until `max_age`: a caller must not gain by a feed that falls silent",
            );
        } else if fades >= weighed.max_age {
            report.error_with_help(
                node.span,
                "`fades_after` is not less than `max_age`, so nothing would fade",
                "lower it, or remove it",
            );
        }
    }
    Some(Arc::new(weighed))
}
