//! The images: one recipe, the version everywhere, and the names that the manifests use.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use super::{
    documents::text,
    pods::{container, deployments, ports},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Each program of ours, and the name of its image.
const IMAGES: [(&str, &str); 3] =
    [("frontend", "frontend"), ("worker", "worker"), ("watcher", "istiowatcher")];

#[test]
fn manifests_name_our_images_by_the_workspaces_version() {
    let mut met = Vec::new();
    for (place, deployment) in deployments() {
        let image = container(&deployment).image.clone().unwrap();
        let Some(rest) = image.strip_prefix("gcr.io/istio-burst-workshop/") else {
            assert!(image.starts_with("docker.io/library/redis:"), "{place}: {image}");
            continue;
        };
        let (name, tag) = rest.split_once(':').unwrap();
        assert_eq!(tag, VERSION, "{place}: the workspace's version");
        assert!(IMAGES.iter().any(|(_, image)| *image == name), "{place}: {name}: no such image");
        met.push(name.to_owned());
    }
    assert!(IMAGES.iter().all(|(_, image)| met.iter().any(|it| it == image)), "{met:?}");
}

#[test]
fn the_dockerfiles_share_all_but_their_last_stage() {
    let parts = IMAGES.map(|(program, image)| {
        let file = format!("Dockerfile.{program}");
        let text = text(&file);
        let start = text.find("\nFROM ").unwrap();
        let end = text.rfind("\nFROM ").unwrap();
        let last = text[end..].to_owned();
        let [deployment, ..] = &of(program)[..] else { panic!("{program}: in no manifest") };
        for line in [
            format!("/{program}\nUSER 65532:65532\nEXPOSE {}\n", ports(deployment)[1]),
            format!("ENTRYPOINT [\"/{program}\"]\n"),
            format!("org.opencontainers.image.title=\"{image}\""),
            format!("org.opencontainers.image.version=\"{VERSION}\""),
        ] {
            assert!(last.contains(&line), "{file}: no {line:?}");
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
fn cloud_build_builds_what_the_manifests_name() {
    let build: Value = serde_saphyr::from_str(&text("cloudbuild.yaml")).unwrap();
    assert_eq!(build["substitutions"]["_VERSION"], VERSION, "cloudbuild.yaml: _VERSION");
    let script = build["steps"][1]["script"].as_str().unwrap();
    let programs = IMAGES.map(|(program, _)| program).join(" ");
    assert!(script.contains(&format!("for program in {programs}; do")), "{script}");
}

fn of(program: &str) -> Vec<Deployment> {
    let image = IMAGES.iter().find(|(it, _)| *it == program).unwrap().1;
    let all = deployments().into_iter().map(|(_, deployment)| deployment);
    all.filter(|it| container(it).name == image).collect()
}
