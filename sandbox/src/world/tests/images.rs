//! Fact 29: images.
use super::*;

fn image_of(id: &str, name: &str, no_reboot: bool) -> CreateImage {
    let tags = [("image", "i"), ("snapshot", "s")]
        .map(|(kind, value)| (kind.to_owned(), super::tags(&[("made", value)])))
        .into();
    CreateImage { id: id.to_owned(), name: name.to_owned(), description: String::new(), no_reboot, tags }
}

impl Bench {
    fn image(&mut self, body: CreateImage) -> ApiResult<String> {
        match self.ec2(Ec2Request::CreateImage(body))? {
            Response::ImageId(id) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    fn images(&mut self, describe: Describe, owners: &[&str]) -> ApiResult<Vec<Image>> {
        let owners = owners.iter().map(|&owner| owner.to_owned()).collect();
        match self.ec2(Ec2Request::DescribeImages(DescribeImages { describe, owners }))? {
            Response::Images(page) => Ok(page.items),
            other => panic!("{other:?}"),
        }
    }

    fn copies(&self) -> Vec<bool> {
        let reboot = |effect: &Effect| match effect {
            Effect::CopyImage { reboot, .. } => Some(*reboot),
            _ => None,
        };
        self.effects.iter().filter_map(reboot).collect()
    }
}

#[test]
fn fact_29_a_running_builder_is_rebooted_unless_asked_not_to_and_a_stopped_one_never() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.image(image_of(&id, "seed-1", false)).unwrap();
    bench.image(image_of(&id, "seed-2", true)).unwrap();
    bench.observe(&Observation::MachinePoweredOff { id: id.clone() });
    bench.image(image_of(&id, "seed-3", false)).unwrap();
    assert_eq!(bench.copies(), [true, false, false]);
}

#[test]
fn fact_29_an_image_is_pending_until_its_copy_is_there_and_cannot_be_launched_before() {
    let mut bench = Bench::with(Delays { image_ms: 300, ..Delays::none() });
    let id = bench.boot(1).remove(0);
    bench.obliging = false;
    let image = bench.image(image_of(&id, "seed", true)).unwrap();
    let mut body = run(1, 1);
    body.spec.image_id = Some(image.clone());
    bench.pass(10_000);
    assert_eq!(bench.images(by_ids(&[&image]), &[]).unwrap()[0].state, ImageState::Pending);
    assert_eq!(code(bench.launch(body.clone())), "InvalidAMIID.Unavailable");
    bench.observe(&Observation::ImageCopied { image_id: image.clone() });
    bench.pass(300);
    let record = bench.images(by_ids(&[&image]), &["self"]).unwrap().remove(0);
    assert_eq!((record.state, record.tags["made"].as_str()), (ImageState::Available, "i"));
    assert_eq!(record.source_image.map(|(id, _)| id).as_deref(), Some(MAYFLY_BARE));
    assert!(bench.launch(body).is_ok());
}

#[test]
fn fact_29_deregistering_keeps_the_snapshot_unless_asked() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let snapshots =
        |bench: &mut Bench| match bench.ec2(Ec2Request::DescribeSnapshots(by_filter("tag:made", &["s"]))) {
            Ok(Response::Snapshots(page)) => page.items.into_iter().map(|s| s.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
    for (name, delete_snapshots, left) in [("seed-1", false, 1), ("seed-2", true, 1)] {
        let image = bench.image(image_of(&id, name, true)).unwrap();
        bench.pass(1);
        bench
            .ec2(Ec2Request::DeregisterImage(DeregisterImage { id: image.clone(), delete_snapshots }))
            .unwrap();
        assert_eq!(code(bench.images(by_ids(&[&image]), &[])), "InvalidAMIID.NotFound");
        assert_eq!(snapshots(&mut bench).len(), left);
    }
    let kept = snapshots(&mut bench).remove(0);
    bench.ec2(Ec2Request::DeleteSnapshot(kept)).unwrap();
    assert!(snapshots(&mut bench).is_empty());
}

#[test]
fn a_snapshot_in_use_and_a_stock_image_stay() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let image = bench.image(image_of(&id, "seed", true)).unwrap();
    let snapshot = bench.images(by_ids(&[&image]), &[]).unwrap()[0].snapshot_id.clone();
    assert_eq!(code(bench.ec2(Ec2Request::DeleteSnapshot(snapshot))), "InvalidSnapshot.InUse");
    let body = DeregisterImage { id: DEBIAN_STOCK.to_owned(), delete_snapshots: false };
    assert_eq!(code(bench.ec2(Ec2Request::DeregisterImage(body))), "AuthFailure");
}

#[test]
fn a_name_is_unique_while_it_is_registered() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let first = bench.image(image_of(&id, "seed", true)).unwrap();
    assert_eq!(code(bench.image(image_of(&id, "seed", true))), "InvalidAMIName.Duplicate");
    bench.ec2(Ec2Request::DeregisterImage(DeregisterImage { id: first, delete_snapshots: false })).unwrap();
    assert!(bench.image(image_of(&id, "seed", true)).is_ok());
    assert_eq!(code(bench.image(image_of(&id, "x", true))), "InvalidAMIName.Malformed");
}

#[test]
fn a_failed_copy_shows_why() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    bench.obliging = false;
    let image = bench.image(image_of(&id, "seed", true)).unwrap();
    bench.observe(&Observation::ImageFailed { image_id: image.clone(), reason: "disk full".to_owned() });
    let record = bench.images(by_ids(&[&image]), &[]).unwrap().remove(0);
    assert_eq!((record.state, record.reason.as_deref()), (ImageState::Failed, Some("disk full")));
}

#[test]
fn images_are_found_by_owner_and_name_pattern() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let mine = bench.image(image_of(&id, "mayfly-web-2026", true)).unwrap();
    let names = |images: Vec<Image>| images.into_iter().map(|image| image.name).collect::<Vec<_>>();
    let found = bench.images(by_filter("name", &["mayfly-web-*"]), &["self"]).unwrap();
    assert_eq!(found.iter().map(|image| image.id.as_str()).collect::<Vec<_>>(), [mine]);
    let stock = names(bench.images(Describe::default(), &["amazon"]).unwrap());
    assert_eq!(stock, ["sandbox/debian-stock-2026.01"]);
    let own = names(bench.images(Describe::default(), &["self"]).unwrap());
    assert_eq!(own, ["mayfly-bare-2026.01", "mayfly-web-2026"]);
}

fn copy_of(source: &str, name: &str) -> CopyImage {
    let (source, name) = (source.to_owned(), name.to_owned());
    CopyImage { source, region: REGION.to_owned(), name, copy_tags: true, ..CopyImage::default() }
}

#[test]
fn a_copy_is_an_image_of_its_own_and_of_the_region_that_asked_for_it() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let image = bench.image(image_of(&id, "seed", true)).unwrap();
    bench.pass(1);
    let request = Request::Ec2(Box::new(Ec2Request::CopyImage(copy_of(&image, "seed"))), false);
    let outcome = bench.world.call_elsewhere(bench.now, &request);
    let Ok(Response::ImageId(copy)) = &outcome.result else { panic!("{outcome:?}") };
    let copy = copy.clone();
    assert!(matches!(&outcome.effects[..], [Effect::CloneImage { of, .. }] if *of == image), "{outcome:?}");
    bench.observe(&Observation::ImageCopied { image_id: copy.clone() });
    bench.pass(1);
    assert_eq!(code(bench.images(by_ids(&[&copy]), &[])), "InvalidAMIID.NotFound");
    let describe = DescribeImages { describe: by_ids(&[&copy]), ..DescribeImages::default() };
    let request = Request::Ec2(Box::new(Ec2Request::DescribeImages(describe)), false);
    let Ok(Response::Images(there)) = bench.world.call_elsewhere(bench.now, &request).result else {
        panic!()
    };
    assert_eq!((there.items[0].state, there.items[0].tags["made"].as_str()), (ImageState::Available, "i"));
    let from = |id: &str| Some((id.to_owned(), REGION.to_owned()));
    assert_eq!(there.items[0].source_image, from(&image));
    let terminate = Ec2Request::TerminateInstances(InstanceIds { ids: vec![id], force: false });
    let outcome = bench.world.call_elsewhere(bench.now, &Request::Ec2(Box::new(terminate), false));
    assert_eq!(code(outcome.result), "UnsupportedOperation");
    // Here the name is taken.
    assert_eq!(code(bench.ec2(Ec2Request::CopyImage(copy_of(&image, "seed")))), "InvalidAMIName.Duplicate");
}

#[test]
fn only_accounts_are_shared_with() {
    let mut bench = Bench::quick();
    let id = bench.boot(1).remove(0);
    let image = bench.image(image_of(&id, "seed", true)).unwrap();
    let share = |add: &[&str], remove: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        Ec2Request::ModifyImageAttribute(Share { id: image.clone(), add: owned(add), remove: owned(remove) })
    };
    assert_eq!(code(bench.ec2(share(&["somebody"], &[]))), "InvalidAMIAttributeItemValue");
    bench.ec2(share(&["111122223333", "all"], &[])).unwrap();
    bench.ec2(share(&[], &["all"])).unwrap();
    let body = AttributeOf { id: image.clone(), attribute: "launchPermission".to_owned() };
    match bench.ec2(Ec2Request::DescribeImageAttribute(body)) {
        Ok(Response::SharedWith { accounts, .. }) => {
            assert_eq!(accounts.into_iter().collect::<Vec<_>>(), ["111122223333"])
        }
        other => panic!("{other:?}"),
    }
    let body = Share { id: DEBIAN_STOCK.to_owned(), add: vec!["all".to_owned()], remove: Vec::new() };
    assert_eq!(code(bench.ec2(Ec2Request::ModifyImageAttribute(body))), "AuthFailure");
}
