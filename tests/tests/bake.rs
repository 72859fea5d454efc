//! `mayfly bake`: a builder converges, powers off, is imaged and goes; what is baked serves.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use mayfly_tests::programs::{run, run_ok, text};
use mayfly_tests::sandbox::{Cloud, IMAGE};
use mayfly_tests::wait;
use std::time::Duration;

const LOST: &str = r#"{"faults": [
    {"action": "RunInstances", "kind": "lost_after_effect"}, {"action": "CreateImage", "kind": "lost_after_effect"}]}"#;

fn bake(cloud: &Cloud) -> String {
    let output =
        run_ok(&mut cloud.mayfly(&["bake", "--recipe", "seeded", "--role", "web", "--deadline", "50s"]));
    let image = output.split_whitespace().next().unwrap_or_default().to_owned();
    let name = cloud.images().remove(&image);
    assert!(name.is_some_and(|name| name.starts_with("mayfly-web-")), "{output}");
    image
}

fn assert_nothing_is_left(cloud: &Cloud, images: usize) {
    assert!(cloud.live().is_empty(), "{:#?}", cloud.live());
    assert_eq!(cloud.images().len(), images, "{:#?}", cloud.images());
}

#[test]
fn a_deployment_from_a_baked_image_serves_and_the_builder_is_gone() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let url = cloud.create_balancer("greeter");
    let images = cloud.images().len();
    let image = bake(&cloud);
    assert_nothing_is_left(&cloud, images + 1);

    let spec = cloud.folder.path().join("mayfly.yaml");
    let text = std::fs::read_to_string(&spec).unwrap().replace(IMAGE, "{baked: web}");
    std::fs::write(&spec, text).unwrap();
    run_ok(&mut cloud.mayfly(&["deploy", "--yes", "--set", "greeter.version=baked"]));
    let history = run_ok(&mut cloud.mayfly(&["history"]));
    assert!(history.contains(&image), "{image}: {history}");
    let (status, body) = wait::get(&url).unwrap();
    assert_eq!(status, 200, "{body}");
    let served = cloud.live().into_iter().find(|instance| body.contains(&instance.id));
    let served = served.unwrap_or_else(|| panic!("none of the new instances says: {body}"));
    assert!(body.contains("version baked "), "{body}");
    let console = cloud.console(&served.id);
    assert!(
        !console.contains("user.present greeter (greeter/init.sls:5:1) changed"),
        "nothing was baked: {console}"
    );
}

#[test]
fn lost_answers_cost_neither_the_image_nor_a_builder() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let images = cloud.images().len();
    cloud.configure(LOST);
    bake(&cloud);
    assert_nothing_is_left(&cloud, images + 1);
}

#[test]
fn a_tree_that_does_not_converge_ends_the_bake_long_before_its_deadline() {
    let cloud = Cloud::start();
    cloud.write_spec("");
    let images = cloud.images().len();
    cloud.repo.edit("greeter/init.sls", "file.managed", "file.managd");
    cloud.repo.push("break it");
    let output = run(&mut cloud.mayfly(&["bake", "--role", "web", "--deadline", "10m"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("greeter/init.sls:15:1") && last.contains("the builder is gone"), "{said}");
    wait::until("the builder is gone", Duration::from_secs(10), || {
        let live = cloud.live();
        if live.is_empty() { Ok(()) } else { Err(live.len()) }
    });
    assert_nothing_is_left(&cloud, images);
}
