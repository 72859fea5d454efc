//! Fact 24: launch templates.
use super::*;

fn named(name: &str) -> TemplateRef {
    TemplateRef { id: None, name: Some(name.to_owned()) }
}

fn spec(kind: &str) -> LaunchSpec {
    LaunchSpec {
        image_id: Some(MAYFLY_BARE.to_owned()),
        instance_type: Some(kind.to_owned()),
        ..LaunchSpec::default()
    }
}

impl Bench {
    fn template(&mut self, name: &str) -> ApiResult<Template> {
        let body =
            CreateTemplate { name: name.to_owned(), spec: spec("t3.micro"), ..CreateTemplate::default() };
        match self.ec2(Ec2Request::CreateLaunchTemplate(body))? {
            Response::Template(template) => Ok(*template),
            other => panic!("{other:?}"),
        }
    }

    fn version(&mut self, body: CreateTemplateVersion) -> VersionRecord {
        match self.ec2(Ec2Request::CreateLaunchTemplateVersion(body)) {
            Ok(Response::TemplateVersion(record)) => *record,
            other => panic!("{other:?}"),
        }
    }

    fn set_default(&mut self, name: &str, version: &str) -> ApiResult<Response> {
        let body = ModifyTemplate { template: named(name), default_version: version.to_owned() };
        self.ec2(Ec2Request::ModifyLaunchTemplate(body))
    }

    fn delete_versions(&mut self, name: &str, versions: &[&str]) -> Vec<DeletedVersion> {
        let versions = versions.iter().map(|&version| version.to_owned()).collect();
        let body = DeleteTemplateVersions { template: named(name), versions };
        match self.ec2(Ec2Request::DeleteLaunchTemplateVersions(body)) {
            Ok(Response::DeletedVersions(deleted)) => deleted,
            other => panic!("{other:?}"),
        }
    }
}

fn from_template(name: &str, version: Option<&str>) -> RunInstances {
    RunInstances {
        template: Some(named(name)),
        template_version: version.map(str::to_owned),
        min: 1,
        max: 1,
        ..RunInstances::default()
    }
}

#[test]
fn fact_24_a_name_has_one_winner_and_an_id_no_successor() {
    let mut bench = Bench::quick();
    let first = bench.template("greeter.lock").unwrap();
    assert_eq!(code(bench.template("greeter.lock")), "InvalidLaunchTemplateName.AlreadyExistsException");
    let by_id = TemplateRef { id: Some(first.id.clone()), name: None };
    bench.ec2(Ec2Request::DeleteLaunchTemplate(by_id.clone())).unwrap();
    let second = bench.template("greeter.lock").unwrap();
    assert_ne!(first.id, second.id);
    // The stale holder names its own id, and the successor stays.
    assert_eq!(code(bench.ec2(Ec2Request::DeleteLaunchTemplate(by_id))), "InvalidLaunchTemplateId.NotFound");
    assert!(bench.ec2(Ec2Request::DeleteLaunchTemplate(named("greeter.lock"))).is_ok());
}

#[test]
fn fact_24_versions_are_numbered_by_the_service_and_numbers_are_never_reused() {
    let mut bench = Bench::quick();
    bench.template("greeter").unwrap();
    let add = |kind: &str| CreateTemplateVersion {
        template: named("greeter"),
        spec: spec(kind),
        ..CreateTemplateVersion::default()
    };
    assert_eq!(bench.version(add("t3.small")).version.number, 2);
    assert_eq!(bench.version(add("t3.medium")).version.number, 3);
    assert!(bench.delete_versions("greeter", &["3"])[0].refused.is_none());
    let next = bench.version(add("t3.large"));
    assert_eq!((next.version.number, next.is_default), (4, false));
    let refused = bench.delete_versions("greeter", &["1", "3", "2"]);
    let codes: Vec<Option<&str>> =
        refused.iter().map(|version| version.refused.as_ref().map(|(code, _)| code.as_str())).collect();
    assert_eq!(codes, [Some("unexpectedError"), Some("launchTemplateVersionDoesNotExist"), None]);
}

#[test]
fn fact_24_a_launch_takes_the_default_version_and_its_own_parameters_win() {
    let mut bench = Bench::quick();
    bench.template("greeter").unwrap();
    let add = CreateTemplateVersion {
        template: named("greeter"),
        spec: LaunchSpec {
            tags: [("instance".to_owned(), tags(&[("v", "2"), ("kept", "yes")]))].into(),
            ..spec("t3.large")
        },
        ..CreateTemplateVersion::default()
    };
    bench.version(add);
    let kind = |bench: &mut Bench, body| bench.launch(body).unwrap().remove(0).instance_type;
    assert_eq!(kind(&mut bench, from_template("greeter", None)), "t3.micro");
    assert_eq!(kind(&mut bench, from_template("greeter", Some("$Latest"))), "t3.large");
    bench.set_default("greeter", "2").unwrap();
    assert_eq!(kind(&mut bench, from_template("greeter", Some("$Default"))), "t3.large");
    assert_eq!(kind(&mut bench, from_template("greeter", Some("1"))), "t3.micro");
    let mut own = from_template("greeter", None);
    own.spec.instance_type = Some("t3.nano".to_owned());
    own.spec.tags.insert("instance".to_owned(), tags(&[("v", "mine")]));
    let instance = bench.launch(own).unwrap().remove(0);
    assert_eq!(instance.instance_type, "t3.nano");
    assert_eq!(instance.tags["v"], "mine");
    assert_eq!(instance.tags["kept"], "yes");
    assert_eq!(instance.tags["aws:ec2launchtemplate:version"], "2");
    assert_eq!(
        code(bench.launch(from_template("greeter", Some("9")))),
        "InvalidLaunchTemplateId.VersionNotFound"
    );
    assert_eq!(
        code(bench.launch(from_template("other", None))),
        "InvalidLaunchTemplateName.NotFoundException"
    );
    assert_eq!(code(bench.set_default("greeter", "7")), "InvalidLaunchTemplateId.VersionNotFound");
}

#[test]
fn fact_24_a_template_is_not_fully_validated_but_a_dry_run_is() {
    let mut bench = Bench::quick();
    let body = CreateTemplate {
        name: "wrong".to_owned(),
        spec: LaunchSpec { image_id: Some("ami-12345678".to_owned()), ..spec("t3.micro") },
        ..CreateTemplate::default()
    };
    bench.ec2(Ec2Request::CreateLaunchTemplate(body)).unwrap();
    let dry = Request::Ec2(Box::new(Ec2Request::RunInstances(from_template("wrong", None))), true);
    assert_eq!(code(bench.outcome(&dry).result), "InvalidAMIID.NotFound");
}

#[test]
fn a_version_can_start_from_another() {
    let mut bench = Bench::quick();
    bench.template("greeter").unwrap();
    let body = CreateTemplateVersion {
        template: named("greeter"),
        source: Some("1".to_owned()),
        spec: LaunchSpec { key_name: Some("ops".to_owned()), ..LaunchSpec::default() },
        ..CreateTemplateVersion::default()
    };
    let record = bench.version(body);
    assert_eq!(record.version.spec.instance_type.as_deref(), Some("t3.micro"));
    assert_eq!(record.version.spec.key_name.as_deref(), Some("ops"));
}

#[test]
fn a_client_token_makes_one_version() {
    let mut bench = Bench::quick();
    bench.template("greeter").unwrap();
    let body = CreateTemplateVersion {
        template: named("greeter"),
        spec: spec("t3.small"),
        client_token: Some("once".to_owned()),
        ..CreateTemplateVersion::default()
    };
    assert_eq!(bench.version(body.clone()).version.number, 2);
    assert_eq!(bench.version(body.clone()).version.number, 2);
    let other = CreateTemplateVersion { spec: spec("t3.large"), ..body };
    let result = bench.ec2(Ec2Request::CreateLaunchTemplateVersion(other));
    assert_eq!(code(result), "IdempotentParameterMismatch");
}

#[test]
fn versions_are_listed_newest_first_and_paged() {
    let mut bench = Bench::quick();
    bench.template("greeter").unwrap();
    for _ in 0..4 {
        let template = named("greeter");
        bench.version(CreateTemplateVersion {
            template,
            spec: spec("t3.small"),
            ..CreateTemplateVersion::default()
        });
    }
    let mut numbers = Vec::new();
    let mut next_token = None;
    loop {
        let describe = Describe { max_results: Some(2), next_token, ..Describe::default() };
        let body = DescribeTemplateVersions {
            template: named("greeter"),
            describe,
            ..DescribeTemplateVersions::default()
        };
        let Ok(Response::TemplateVersions(page)) =
            bench.ec2(Ec2Request::DescribeLaunchTemplateVersions(body))
        else {
            panic!()
        };
        numbers.extend(page.items.iter().map(|record| record.version.number));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}
