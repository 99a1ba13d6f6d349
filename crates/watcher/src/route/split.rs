//! Finds the two weights among the rules of a route.

use std::collections::BTreeSet;

use contract::Cluster;
use json_patch::jsonptr::PointerBuf;
use policy::Weights;

use crate::config::{RouteKind, RouteSettings};

/// The weights in force, and where they are in the object.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) weights: Weights,
    /// One for each rule that is split between both clusters.
    pub(super) paths: Vec<Paths>,
}

/// The paths of the weights in the object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) primary: PointerBuf,
    pub(super) burst: PointerBuf,
}

/// A rule of a route, of either kind.
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) destinations: Vec<Destination>,
}

/// The number of destinations that a message names.
const MAX_NAMED: usize = 10;

/// A destination of a rule.
pub(super) struct Destination {
    /// The name that the settings have: a subset, a host, or a Service.
    pub(super) name: String,
    /// What both destinations of a split must have in common, such as the host of subsets.
    pub(super) group: String,
    pub(super) weight: u32,
}

/// How a kind of routes calls its parts.
struct Words {
    /// The list of rules in the `spec`, and of destinations in a rule.
    fields: [&'static str; 2],
    rule: &'static str,
    destination: &'static str,
}

impl Words {
    const fn of(kind: RouteKind) -> Self {
        match kind {
            RouteKind::VirtualService => {
                Self { fields: ["http", "route"], rule: "route", destination: "subset or host" }
            }
            RouteKind::HttpRoute => {
                Self { fields: ["rules", "backendRefs"], rule: "rule", destination: "Service" }
            }
        }
    }
}

/// Finds the rules that are split between the destinations of both clusters. They must all have the same
/// split, because the watcher moves them together.
///
/// # Errors
/// What is wrong with the rules, in a sentence without an end.
pub(super) fn find(rules: &[Rule], settings: &RouteSettings) -> Result<Split, String> {
    let words = Words::of(settings.route_kind);
    let (list, destinations) = (words.fields[0], [Cluster::Primary, Cluster::Burst]);
    let [primary, burst] = destinations.map(|cluster| settings.destination(cluster));
    let mut found: Option<Split> = None;
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_chosen(settings)) {
        let Some((weights, paths)) = rule.split(index, settings, &words)? else { continue };
        match &mut found {
            None => found = Some(Split { weights, paths: vec![paths] }),
            Some(split) if split.weights.has_same_split(weights) => split.paths.push(paths),
            Some(Split { weights: first, .. }) => {
                return Err(format!(
                    "spec.{list}: two {}s are split between {primary} and {burst}, but not alike: {first}, and {weights}; the watcher moves equal splits together, or the one that ROUTE_RULE names",
                    words.rule
                ));
            }
        }
    }
    found.ok_or_else(|| missing_split(rules, settings, &words))
}

fn missing_split(rules: &[Rule], settings: &RouteSettings, words: &Words) -> String {
    let (list, rule) = (words.fields[0], words.rule);
    if let Some(name) = &settings.route_rule
        && !rules.iter().any(|rule| rule.is_chosen(settings))
    {
        return format!("spec.{list}: no {rule} has the name {name}, which ROUTE_RULE names");
    }
    let chosen = || rules.iter().filter(|rule| rule.is_chosen(settings));
    let is_missing = |name: &&str| !chosen().any(|rule| rule.find(name).is_some());
    let names = Cluster::ALL.map(|cluster| settings.destination(cluster));
    let missing: Vec<_> = names.into_iter().filter(is_missing).collect();
    match missing.as_slice() {
        [] => {
            let of_one = match settings.route_kind {
                RouteKind::VirtualService => " of one host",
                RouteKind::HttpRoute => "",
            };
            format!("spec.{list}: {} and {} are not in one {rule}{of_one}", names[0], names[1])
        }
        missing => {
            let missing = missing.join(" or to ");
            let destinations = chosen().flat_map(|rule| &rule.destinations);
            let found: BTreeSet<_> = destinations.map(|found| found.name.as_str()).collect();
            let found: Vec<_> = found.into_iter().collect();
            let found = match found.as_slice() {
                [] => "nothing".to_owned(),
                some => some[..some.len().min(MAX_NAMED)].join(", "),
            };
            format!(
                "spec.{list}: no {rule} leads to the {} {missing}, which PRIMARY_DESTINATION and BURST_DESTINATION name; it leads to {found}",
                words.destination
            )
        }
    }
}

impl Rule {
    fn is_chosen(&self, settings: &RouteSettings) -> bool {
        settings.route_rule.as_ref().is_none_or(|name| *name == self.name)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.destinations.iter().position(|destination| destination.name == name)
    }

    /// The weights of this rule, which is the one at `index`; `None` if it is not split between both
    /// clusters.
    fn split(
        &self,
        index: usize,
        settings: &RouteSettings,
        words: &Words,
    ) -> Result<Option<(Weights, Paths)>, String> {
        let find = |cluster| self.find(settings.destination(cluster));
        let (Some(primary), Some(burst)) = (find(Cluster::Primary), find(Cluster::Burst)) else {
            return Ok(None);
        };
        let destinations = &self.destinations;
        if destinations[primary].group != destinations[burst].group {
            return Ok(None);
        }
        let is_third = |(index, destination): (usize, &Destination)| {
            index != primary && index != burst && 0 < destination.weight
        };
        let [list, field] = words.fields;
        if destinations.iter().enumerate().any(is_third) {
            return Err(format!(
                "spec.{list}: the {} that is split between {} and {} has a third destination with a weight; the watcher moves two",
                words.rule, settings.primary_destination, settings.burst_destination
            ));
        }
        let weights =
            Weights { primary: destinations[primary].weight, burst: destinations[burst].weight };
        let path = |destination: usize| {
            let [index, destination] = [index, destination].map(|number| number.to_string());
            PointerBuf::from_tokens(["spec", list, &index, field, &destination, "weight"])
        };
        Ok(Some((weights, Paths { primary: path(primary), burst: path(burst) })))
    }
}
