//! The documents of a folder, read into their types.

use std::{fs, path::PathBuf};

use k8s_openapi::{Metadata, Resource, api, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::mesh_types::{
    AuthorizationPolicy, DestinationRule, Gateway, PeerAuthentication, VirtualService,
};

/// The manifests for primary.
pub(crate) const PRIMARY: &str = "k8s";

/// The manifests for burst.
pub(crate) const BURST: &str = "k8s/burst";

/// The mesh's manifests, for primary.
pub(crate) const ISTIO: &str = "istio";

/// Weights that a person applies for checks by hand.
pub(crate) const WEIGHTS: &str = "istio/weights";

/// The documents of one folder, without those of its subfolders.
pub(crate) struct Documents(Vec<Document>);

struct Document {
    /// The file's path in the repository.
    file: String,
    value: Value,
}

impl Documents {
    /// Reads all files of a folder of the repository.
    pub(crate) fn read(path: &str) -> Self {
        Self::read_files(folder(path).into_iter().map(|name| format!("{path}/{name}")))
    }

    /// Reads some files of the repository.
    pub(crate) fn read_files(files: impl Iterator<Item = String>) -> Self {
        let documents = files.flat_map(|file| {
            let values: Vec<Value> = serde_saphyr::from_multiple(&text(&file))
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            values.into_iter().map(move |value| Document { file: file.clone(), value })
        });
        Self(documents.collect())
    }

    /// The number of documents.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All documents of a kind.
    pub(crate) fn all<T: Resource + Serialize + DeserializeOwned>(&self) -> Vec<T> {
        self.0
            .iter()
            .filter(|document| document.value["kind"] == T::KIND)
            .map(Document::typed)
            .collect()
    }

    /// The one document of a kind and a name.
    #[track_caller]
    pub(crate) fn get<T>(&self, name: &str) -> T
    where
        T: Resource + Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned,
    {
        let mut found = self.all::<T>();
        found.retain(|object| object.metadata().name.as_deref() == Some(name));
        assert_eq!(found.len(), 1, "{} {name}", T::KIND);
        found.remove(0)
    }

    /// Checks each document against its type and its API's version, and that it names its
    /// namespace.
    pub(crate) fn check_types(&self, namespace: &str) {
        for document in &self.0 {
            document.check_type();
            let Document { file, value } = document;
            let kind = value["kind"].as_str().unwrap_or_default();
            let has_none = ["Namespace", "ClusterRole", "ClusterRoleBinding"].contains(&kind);
            let expected = if has_none { Value::Null } else { namespace.into() };
            assert_eq!(value["metadata"]["namespace"], expected, "{file}: {kind}");
            assert!(value["metadata"]["name"].is_string(), "{file}: {kind}");
        }
    }
}

impl Document {
    fn check_type(&self) {
        match self.value["kind"].as_str().unwrap_or_default() {
            "ClusterRole" => self.check::<api::rbac::v1::ClusterRole>(),
            "ClusterRoleBinding" => self.check::<api::rbac::v1::ClusterRoleBinding>(),
            "Namespace" => self.check::<api::core::v1::Namespace>(),
            "Deployment" => self.check::<api::apps::v1::Deployment>(),
            "HorizontalPodAutoscaler" => {
                self.check::<api::autoscaling::v2::HorizontalPodAutoscaler>();
            }
            "NetworkPolicy" => self.check::<api::networking::v1::NetworkPolicy>(),
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
            kind => panic!("{}: the test knows no type of kind {kind:?}", self.file),
        }
    }

    /// Checks that the type knows every field. A type loses or refuses a field that it does not
    /// know.
    fn check<T: Resource + Serialize + DeserializeOwned>(&self) {
        let Self { file, value } = self;
        assert_eq!(value["apiVersion"], T::API_VERSION, "{file}: {}", T::KIND);
        let typed = serde_json::to_value(self.typed::<T>()).unwrap();
        let lost = lost_fields(value, &typed, T::KIND);
        assert_eq!(lost, [""; 0], "{file}: fields that {} does not have", T::KIND);
    }

    fn typed<T: Resource + DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.value.clone())
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.file, T::KIND))
    }
}

/// The paths of the fields of one value that another does not have.
fn lost_fields(before: &Value, after: &Value, path: &str) -> Vec<String> {
    let inner = |key: &str, before, after: Option<&Value>| match after {
        Some(after) => lost_fields(before, after, &format!("{path}.{key}")),
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

/// The names of the files in a folder of the repository, sorted.
pub(crate) fn folder(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
