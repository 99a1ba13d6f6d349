//! The documents of a folder, as types.

use std::{fs, path::PathBuf};

use k8s_openapi::{Metadata, Resource, api, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::mesh_types::{
    AuthorizationPolicy, DestinationRule, Gateway, PeerAuthentication, VirtualService,
};

/// What `kubectl apply -f` puts on primary.
pub(crate) const PRIMARY: &str = "k8s";

/// What it puts on burst.
pub(crate) const BURST: &str = "k8s/burst";

/// What it puts on primary for the mesh.
pub(crate) const ISTIO: &str = "istio";

/// Weights to be put there by hand.
pub(crate) const WEIGHTS: &str = "istio/weights";

/// The documents of one folder, without those of the folders in it.
pub(crate) struct Documents(Vec<Document>);

struct Document {
    /// The file's path in the repository.
    file: String,
    value: Value,
}

impl Documents {
    /// Reads all files of a folder of the repository.
    pub(crate) fn read(path: &str) -> Self {
        let files = folder(path).into_iter().map(|name| format!("{path}/{name}"));
        let documents = files.flat_map(|file| {
            let values: Vec<Value> = serde_saphyr::from_multiple(&text(&file))
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            values.into_iter().map(move |value| Document { file: file.clone(), value })
        });
        Self(documents.collect())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of a kind.
    pub(crate) fn all<T: Resource + Serialize + DeserializeOwned>(&self) -> Vec<T> {
        self.0.iter().filter(|it| it.value["kind"] == T::KIND).map(Document::typed).collect()
    }

    /// The one of a kind and a name.
    #[track_caller]
    pub(crate) fn get<T>(&self, name: &str) -> T
    where
        T: Resource + Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned,
    {
        let mut found = self.all::<T>();
        found.retain(|it| it.metadata().name.as_deref() == Some(name));
        assert_eq!(found.len(), 1, "{} {name}", T::KIND);
        found.remove(0)
    }

    /// Checks each against its type, its API's version, and that it names its namespace.
    pub(crate) fn check_types(&self) {
        for document in &self.0 {
            document.check_type();
            let Document { file, value } = document;
            assert_eq!(value["metadata"]["namespace"], "default", "{file}: {}", value["kind"]);
            assert!(value["metadata"]["name"].is_string(), "{file}: {}", value["kind"]);
        }
    }
}

impl Document {
    fn check_type(&self) {
        match self.value["kind"].as_str().unwrap_or_default() {
            "Deployment" => self.check::<api::apps::v1::Deployment>(),
            "HorizontalPodAutoscaler" => {
                self.check::<api::autoscaling::v2::HorizontalPodAutoscaler>();
            }
            "PodDisruptionBudget" => self.check::<api::policy::v1::PodDisruptionBudget>(),
            "Role" => self.check::<api::rbac::v1::Role>(),
            "RoleBinding" => self.check::<api::rbac::v1::RoleBinding>(),
            "Service" => self.check::<api::core::v1::Service>(),
            "ServiceAccount" => self.check::<api::core::v1::ServiceAccount>(),
            "AuthorizationPolicy" => self.check::<AuthorizationPolicy>(),
            "DestinationRule" => self.check::<DestinationRule>(),
            "Gateway" => self.check::<Gateway>(),
            "PeerAuthentication" => self.check::<PeerAuthentication>(),
            "VirtualService" => self.check::<VirtualService>(),
            kind => panic!("{}: no type is known for kind {kind:?}", self.file),
        }
    }

    /// A field that the type does not know is lost on the way through it, or refused.
    fn check<T: Resource + Serialize + DeserializeOwned>(&self) {
        let Self { file, value } = self;
        assert_eq!(value["apiVersion"], T::API_VERSION, "{file}: {}", T::KIND);
        let through = serde_json::to_value(self.typed::<T>()).unwrap();
        let lost = lost(value, &through, T::KIND);
        assert_eq!(lost, [""; 0], "{file}: fields that {} does not have", T::KIND);
    }

    fn typed<T: Resource + DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.value.clone())
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.file, T::KIND))
    }
}

/// The fields of one value that another does not have, by their paths.
fn lost(before: &Value, after: &Value, path: &str) -> Vec<String> {
    let inner = |key: &str, before, after: Option<&Value>| match after {
        Some(after) => lost(before, after, &format!("{path}.{key}")),
        None => vec![format!("{path}.{key}")],
    };
    match before {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| inner(key, value, after.get(key))).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| inner(&index.to_string(), item, after.get(index)))
            .collect(),
        _ if before == after => Vec::new(),
        _ => vec![format!("{path}: {before} became {after}")],
    }
}

/// The files of a folder of the repository, by name.
pub(crate) fn folder(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let files = entries.map(Result::unwrap).filter(|it| it.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
