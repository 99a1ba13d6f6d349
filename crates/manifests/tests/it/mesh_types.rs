//! The types of Istio's objects, with the fields that `istio/` uses. They refuse any other field.

use std::collections::BTreeMap;

use k8s_openapi::{
    Metadata, NamespaceResourceScope, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! kind {
    ($kind:ident, $spec:ty, $group:literal) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(crate) struct $kind {
            api_version: String,
            kind: String,
            pub(crate) metadata: ObjectMeta,
            pub(crate) spec: $spec,
        }

        impl Resource for $kind {
            const API_VERSION: &'static str = concat!($group, "/v1");
            const GROUP: &'static str = $group;
            const KIND: &'static str = stringify!($kind);
            const VERSION: &'static str = "v1";
            const URL_PATH_SEGMENT: &'static str = "";
            type Scope = NamespaceResourceScope;
        }

        impl Metadata for $kind {
            type Ty = ObjectMeta;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

kind!(AuthorizationPolicy, AuthorizationPolicySpec, "security.istio.io");
kind!(DestinationRule, DestinationRuleSpec, "networking.istio.io");
kind!(Gateway, GatewaySpec, "networking.istio.io");
kind!(PeerAuthentication, PeerAuthenticationSpec, "security.istio.io");
kind!(VirtualService, VirtualServiceSpec, "networking.istio.io");

macro_rules! fields {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    )*};
}

fields! {
    AuthorizationPolicySpec { selector: Selector, action: String, rules: Vec<Rule> }
    Selector { match_labels: BTreeMap<String, String> }
    Rule { from: Vec<From>, to: Vec<To> }
    From { source: Source }
    Source { principals: Vec<String> }
    To { operation: Value }

    DestinationRuleSpec { host: String, traffic_policy: Value, subsets: Option<Vec<Subset>> }
    Subset { name: String, labels: BTreeMap<String, String> }

    GatewaySpec { selector: BTreeMap<String, String>, servers: Vec<Value> }

    PeerAuthenticationSpec { mtls: Value }

    VirtualServiceSpec { hosts: Vec<String>, gateways: Option<Vec<String>>, http: Option<Vec<Http>>, tcp: Option<Vec<Tcp>> }
    Http { timeout: Option<String>, retries: Option<Value>, route: Vec<Route> }
    Tcp { r#match: Vec<Value>, route: Vec<Route> }
    Route { destination: Destination, weight: Option<u32> }
    Destination { host: String, subset: Option<String>, port: Port }
    Port { number: i32 }
}
