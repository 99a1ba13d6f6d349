//! The patches of a route: the weights and the watcher's own annotations, against the observed version.

use json_patch::{
    AddOperation, Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation,
    jsonptr::PointerBuf,
};
use policy::{Ejection, Weights};
use serde_json::{Value, json};

use super::{
    ObservedRoute,
    overrides::{EJECTED, LEADER},
    split::Paths,
};
use crate::ejections;

/// A JSON Patch of the weights.
#[derive(Clone, Debug)]
pub(crate) struct WeightsPatch(pub(super) JsonPatch);

impl ObservedRoute {
    /// The ejections of a watcher before this one.
    pub(crate) fn ejections(&self) -> Vec<Ejection> {
        let value = self.annotations.as_ref().and_then(|annotations| annotations.get(EJECTED));
        value.map_or_else(Vec::new, |value| ejections::from_annotation(value))
    }

    /// The watcher that decides, as the object names it.
    pub(crate) fn leader(&self) -> Option<&str> {
        let annotations = self.annotations.as_ref()?;
        annotations.get(LEADER).map(String::as_str)
    }

    /// A patch that names the watcher that decides, against the observed version. It makes every patch fail
    /// that another watcher made before.
    pub(crate) fn claim(&self, identity: &str) -> WeightsPatch {
        let mut operations = vec![self.test_version()];
        operations.extend(self.annotate(LEADER, Some(identity.to_owned())));
        WeightsPatch(JsonPatch(operations))
    }

    /// A patch of the weights and of the ejections, against the observed version.
    pub(crate) fn patch(&self, weights: Weights, ejections: &[Ejection]) -> WeightsPatch {
        let mut operations = vec![self.test_version()];
        for Paths { primary, burst } in &self.paths {
            operations.push(add(primary, json!(weights.primary)));
            operations.push(add(burst, json!(weights.burst)));
        }
        operations.extend(self.annotate(EJECTED, ejections::to_annotation(ejections)));
        WeightsPatch(JsonPatch(operations))
    }

    fn test_version(&self) -> PatchOperation {
        let path = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
        PatchOperation::Test(TestOperation { path, value: json!(self.resource_version) })
    }

    /// The operation that sets an annotation, or that removes it; `None` if nothing changes.
    fn annotate(&self, name: &str, value: Option<String>) -> Option<PatchOperation> {
        let path = PointerBuf::from_tokens(["metadata", "annotations", name]);
        let before = self.annotations.as_ref().and_then(|annotations| annotations.get(name));
        match (value, before) {
            (Some(value), Some(before)) if value == *before => None,
            (Some(value), _) if self.annotations.is_some() => Some(add(&path, json!(value))),
            (Some(value), _) => {
                let path = PointerBuf::from_tokens(["metadata", "annotations"]);
                Some(add(&path, json!({ name: value })))
            }
            (None, Some(_)) => Some(PatchOperation::Remove(RemoveOperation { path })),
            (None, None) => None,
        }
    }
}

/// `add` also replaces a value, and it works where the object omits a weight of 0.
fn add(path: &PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: path.clone(), value })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::settings::from_arguments;
    use contract::Cluster;
    use k8s_openapi::api::core::v1::ObjectReference;
    use policy::Overrides;

    use super::{super::find_split, *};
    use crate::{config::Config, route::split::Split};

    fn observed(annotations: Option<&[(&str, &str)]>) -> ObservedRoute {
        let route = |subset: &str, weight: u32| json!({"destination": {"host": "w", "subset": subset}, "weight": weight});
        let http = json!([{"route": [route("burst", 0), route("primary", 100)]}]);
        let settings = from_arguments::<Config>(&[]).unwrap().route;
        let Split { weights, paths } = find_split(json!({ "http": http }), &settings).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ObservedRoute {
            weights,
            overrides: Overrides::default(),
            invalid_overrides: None,
            manager: None,
            annotations: annotations.map(|all| all.iter().map(owned).collect()),
            reference: ObjectReference::default(),
            resource_version: "7".to_owned(),
            paths,
        }
    }

    #[test]
    fn patches_the_two_weights_and_nothing_else() {
        let WeightsPatch(patch) = observed(None).patch(Weights::all_to(Cluster::Burst), &[]);
        let expected = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": "/spec/http/0/route/1/weight", "value": 0},
            {"op": "add", "path": "/spec/http/0/route/0/weight", "value": 100},
        ]);
        assert_eq!(serde_json::to_value(patch).unwrap(), expected);
    }

    #[test]
    fn a_claim_names_the_leader_and_nothing_else() {
        let WeightsPatch(patch) = observed(Some(&[("a", "b")])).claim("me");
        let path = "/metadata/annotations/istiowatcher~1leader";
        let expected = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": path, "value": "me"},
        ]);
        assert_eq!(serde_json::to_value(patch).unwrap(), expected);
        assert_eq!(observed(Some(&[(LEADER, "me")])).leader(), Some("me"));
    }

    #[test]
    fn an_ejection_is_written_beside_the_weights() {
        let until = Duration::from_secs(1_800_000_000);
        let ejection = Ejection { cluster: Cluster::Burst, until, failures: 1 };
        let text = "burst until 2027-01-15T08:00:00Z after 1 failures";
        let last = |annotations: Option<&[(&str, &str)]>, ejections: &[Ejection]| {
            let WeightsPatch(JsonPatch(operations)) =
                observed(annotations).patch(Weights::all_to(Cluster::Primary), ejections);
            serde_json::to_value(operations.last().unwrap()).unwrap()
        };
        let path = "/metadata/annotations/istiowatcher~1ejected";
        let added = json!({"op": "add", "path": path, "value": text});
        assert_eq!(last(Some(&[("a", "b")]), &[ejection]), added);
        let added = json!({"op": "add", "path": "/metadata/annotations", "value": {EJECTED: text}});
        assert_eq!(last(None, &[ejection]), added);
        assert_eq!(last(Some(&[(EJECTED, text)]), &[]), json!({"op": "remove", "path": path}));
        let weight = last(Some(&[(EJECTED, text)]), &[ejection]);
        assert_eq!(weight["path"], "/spec/http/0/route/0/weight", "nothing changes");
        assert_eq!(observed(Some(&[(EJECTED, text)])).ejections(), [ejection]);
    }
}
