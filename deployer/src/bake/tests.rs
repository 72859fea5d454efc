//! A bake against the model of EC2, in the time of the test's clock.

use super::*;
use crate::cloud::memory::{Builders, Memory, running};
use crate::run;
use mayfly_ami::bake::{SEALED, Wish};
use mayfly_ami::recipe::{Bare, Recipe};
use mayfly_ami::stock::Boot;

const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn plan() -> Plan {
    let boot = Boot { url: "https://example.org/b".into(), sha256: SUM.into(), signed: None };
    let wish = Wish {
        recipe: Recipe::Bare(Bare { boot, known_hosts: None }),
        base_image: "ami-1".into(),
        instance_type: "t3.micro".into(),
        stamp: "20260102T030405Z".into(),
        nonce: "1a2b".into(),
        until: "20260102T050405Z".into(),
    };
    mayfly_ami::bake::plan(&wish).expect("a plan")
}

async fn bake(cloud: &Memory) -> Result<String, BakeError> {
    let (_canceller, cancel) = run::channel();
    let place = Place { deadline: Duration::from_secs(600), ..Place::default() };
    Baker { cloud, sink: &|_: &Event| {}, cancel: &cancel }.bake(&plan(), &place).await
}

/// A bake whose builder has that on its console.
async fn bake_saying(says: &str) -> BakeError {
    let cloud = Memory::new();
    cloud.build_with(Builders { says: says.into(), ..Builders::default() });
    let error = bake(&cloud).await.expect_err("no image");
    assert_eq!(cloud.live(), [], "nothing is left");
    error
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_converged_is_imaged_and_goes_whatever_calls_are_throttled() {
    let cloud = Memory::new();
    cloud.build_with(Builders { says: format!("{SEALED} boot=1 sha256={SUM}\n"), ..Builders::default() });
    cloud.fail_before("TerminateInstances", 1, Kind::Throttled);
    cloud.fail_after("TerminateInstances", 2, Kind::Ambiguous);
    assert_eq!(bake(&cloud).await.as_deref(), Ok("ami-baked"));
    assert_eq!(cloud.live(), []);
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_says_another_thing_than_was_asked_for_is_quoted_and_its_console_shown() {
    let error = bake_saying("boot\nmayfly: sealed sha256=1\n").await;
    let said = format!("the builder says that mayfly:boot-sha256 is 1, and {SUM} was asked for");
    assert_eq!(error.to_string(), format!("{said}; the builder is gone and there is no image"));
    assert_eq!(error.cause().evidence(), ["console: boot", "console: mayfly: sealed sha256=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_console_that_never_says_that_the_builder_is_fit_is_shown_at_the_deadline() {
    let error = bake_saying("mayfly: ready\n").await;
    let said = "waited 2m for the console of i-0001 to say `mayfly: sealed`";
    assert_eq!(error.to_string(), format!("{said}; the builder is gone and there is no image"));
    let evidence = ["the console says nothing of it yet", "console: mayfly: ready"];
    assert_eq!(error.cause().evidence(), evidence);
}

#[tokio::test(start_paused = true)]
async fn a_console_is_shown_once_after_a_failed_converge() {
    let error = bake_saying("mayfly: failed: a.sls:1:1\n").await;
    let said = "the builder did not converge: mayfly: failed: a.sls:1:1";
    assert_eq!(error.to_string(), format!("{said}; the builder is gone and there is no image"));
    assert_eq!(error.cause().evidence(), ["console: mayfly: failed: a.sls:1:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_does_not_end_is_said_with_what_was_seen_last() {
    let cloud = Memory::new();
    cloud.build_with(Builders { says: format!("{SEALED}\n"), never_end: true });
    let error = bake(&cloud).await.expect_err("it is left");
    let left = "left over: the builder i-0001, beside the good image ami-baked";
    assert_eq!(error.to_string(), format!("waited 1m for i-0001 to end; {left}"));
    assert_eq!(error.cause().evidence(), ["i-0001 is stopped"]);

    let cloud = Memory::new();
    cloud.build_with(Builders { says: "mayfly: failed: x\n".into(), never_end: true });
    let error = bake(&cloud).await.expect_err("it failed, and is left").to_string();
    assert!(error.ends_with("(waited 1m for i-0001 to end; last seen: i-0001 is stopped)"), "{error}");
}

#[test]
fn an_instance_is_a_builder_by_the_token_of_its_launch_and_not_by_its_tags() {
    let plan = plan();
    let mut instance = running("i-1", plan.tags.iter().cloned().collect());
    instance.client_token = Some(launch_token(&plan.image_name));
    assert!(is_builder(&instance));
    instance.tags.insert(naming::ENVIRONMENT.into(), "production".into());
    assert!(!is_builder(&instance), "a deployment's");
    instance.tags.remove(naming::ENVIRONMENT);
    for token in [None, Some("another".to_owned())] {
        instance.client_token = token;
        assert!(!is_builder(&instance));
    }
    instance.client_token = None;
    instance.tags.clear();
    assert!(!is_builder(&instance), "neither has one");
}
