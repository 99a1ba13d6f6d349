//! The images: the Dockerfiles, the manifests and Cloud Build agree on names, versions and stages.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use crate::{
    documents::text,
    pods::{container, deployments, ports},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Each program, and the name of its image.
const IMAGES: [(&str, &str); 3] =
    [("frontend", "frontend"), ("worker", "worker"), ("watcher", "istiowatcher")];

#[test]
fn the_manifests_name_the_images_and_the_workspaces_version() {
    let mut found = Vec::new();
    for (place, deployment) in deployments() {
        let image = container(&deployment).image.clone().unwrap();
        let Some(rest) = image.strip_prefix("gcr.io/istio-burst-workshop/") else {
            assert!(image.starts_with("docker.io/library/redis:"), "{place}: {image}");
            continue;
        };
        let (name, tag) = rest.split_once(':').unwrap();
        assert_eq!(tag, VERSION, "{place}: the workspace's version");
        assert!(IMAGES.iter().any(|(_, image)| *image == name), "{place}: no image {name}");
        found.push(name.to_owned());
    }
    assert!(IMAGES.iter().all(|(_, image)| found.iter().any(|name| name == image)), "{found:?}");
}

#[test]
fn the_dockerfiles_have_the_same_stages_except_the_last() {
    let parts = IMAGES.map(|(program, image)| {
        let file = format!("Dockerfile.{program}");
        let text = text(&file);
        let start = text.find("\nFROM ").unwrap();
        let end = text.rfind("\nFROM ").unwrap();
        let last = text[end..].to_owned();
        let [deployment, ..] = &deployments_of(program)[..] else {
            panic!("no manifest has {program}")
        };
        for line in [
            format!("/{program}\nUSER 65532:65532\nEXPOSE {}\n", ports(deployment)[1]),
            format!("ENTRYPOINT [\"/{program}\"]\n"),
            format!("org.opencontainers.image.title=\"{image}\""),
            format!("org.opencontainers.image.version=\"{VERSION}\""),
        ] {
            assert!(last.contains(&line), "{file} lacks {line:?}");
        }
        assert!(last.starts_with("\nFROM gcr.io/distroless/"), "{file}");
        text[start..end].to_owned()
    });
    assert_eq!(parts[0], parts[1]);
    assert_eq!(parts[0], parts[2]);

    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.split_once("channel = \"").unwrap().1.split('"').next().unwrap();
    for line in [format!("rust:{channel}-slim"), format!("RUSTUP_TOOLCHAIN={channel}\n")] {
        assert!(parts[0].contains(&line), "the compiler of rust-toolchain.toml: {line}");
    }
}

#[test]
fn cloud_build_builds_the_images_that_the_manifests_name() {
    let build: Value = serde_saphyr::from_str(&text("cloudbuild.yaml")).unwrap();
    assert_eq!(build["substitutions"]["_VERSION"], VERSION, "cloudbuild.yaml: _VERSION");
    let script = build["steps"][1]["script"].as_str().unwrap();
    let programs = IMAGES.map(|(program, _)| program).join(" ");
    assert!(script.contains(&format!("for program in {programs}; do")), "{script}");
}

fn deployments_of(program: &str) -> Vec<Deployment> {
    let image = IMAGES.iter().find(|(name, _)| *name == program).unwrap().1;
    let all = deployments().into_iter().map(|(_, deployment)| deployment);
    all.filter(|deployment| container(deployment).name == image).collect()
}
