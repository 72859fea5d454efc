//! IAM policies made of the table of rights: what reads is free, what changes ends at the service's tag or name.

use super::{Answers, deployer_role, instance_role};
use crate::cloud::aws::rights::{self, Limit, Right};
use crate::naming;
use serde_json::{Value, json};

/// What the deployer may do: every action that it uses and none beside.
#[must_use]
pub fn deployer_policy(answers: &Answers) -> Value {
    let rights: Vec<Right> =
        rights::all().into_iter().filter(|right| is_needed(right.limit, answers)).collect();
    let of = |limits: &[Limit]| {
        let mut actions: Vec<&str> =
            rights.iter().filter(|right| limits.contains(&right.limit)).map(|right| right.action).collect();
        actions.dedup();
        actions
    };
    let mut statements = vec![
        statement(
            "Read",
            &of(&[Limit::None, Limit::ClassicRead, Limit::TargetRead]),
            &json!("*"),
            region(answers).as_ref(),
        ),
        statement(
            "ChangeWhatIsTheServices",
            &of(&[Limit::Owned, Limit::TemplateLock]),
            &json!("*"),
            Some(&there(answers, has_tag(answers))),
        ),
        statement(
            "MakeWithTheServicesTag",
            &of(&[Limit::Born]),
            &json!("*"),
            Some(&there(answers, gets_tag(answers))),
        ),
    ];
    statements.extend(launches(answers, &of(&[Limit::Launch])));
    statements.extend(images(answers, &of(&[Limit::Image])));
    statements.extend(copies(answers, &of(&[Limit::Copy])));
    statements.extend(tagging(answers, &of(&[Limit::Tagging])));
    statements.extend(balancing(answers, &of(&[Limit::Classic]), &of(&[Limit::Target])));
    if let Some(name) = &answers.parameter {
        // AWS's own parameters belong to no account.
        let region = answers.region.as_deref().unwrap_or("*");
        let resource = json!(format!("arn:aws:ssm:{region}:*:parameter/{}", name.trim_start_matches('/')));
        statements.push(statement("ReadTheImagesParameter", &of(&[Limit::Parameter]), &resource, None));
    }
    if let Some(bucket) = &answers.bucket {
        // As `naming::lock` names it, for every environment and below any prefix.
        let object = json!(format!("arn:aws:s3:::{bucket}/*{}", naming::lock(&answers.service, "*")));
        let whole = json!(format!("arn:aws:s3:::{bucket}"));
        statements.push(statement("Lock", &of(&[Limit::Object]), &object, None));
        statements.push(statement("SeeWhetherThereIsALock", &of(&[Limit::Bucket]), &whole, None));
    }
    let role = format!("arn:aws:iam::{}:role/{}", account(answers), instance_role(answers));
    let to_ec2 = json!({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}});
    statements.push(statement("GiveInstancesTheirRole", &["iam:PassRole"], &json!(role), Some(&to_ec2)));
    policy(&statements)
}

fn is_needed(limit: Limit, answers: &Answers) -> bool {
    match limit {
        Limit::ClassicRead | Limit::Classic => !answers.classics.is_empty(),
        Limit::TargetRead | Limit::Target => !answers.target_groups.is_empty(),
        Limit::Parameter => answers.parameter.is_some(),
        Limit::Object | Limit::Bucket => answers.bucket.is_some(),
        Limit::TemplateLock => answers.bucket.is_none(),
        Limit::None
        | Limit::Owned
        | Limit::Born
        | Limit::Tagging
        | Limit::Launch
        | Limit::Image
        | Limit::Copy => true,
    }
}

/// What a launch makes must get the tag; the launch template must have it; the rest of what it is made of is free.
fn launches(answers: &Answers, actions: &[&str]) -> Vec<Value> {
    let ec2 = |kind: &str| arn(answers, "ec2", &format!("{kind}/*"));
    let made = json!([ec2("instance"), ec2("volume")]);
    let of = [
        "arn:aws:ec2:*::image/*".to_owned(),
        "arn:aws:ec2:*::snapshot/*".to_owned(),
        ec2("subnet"),
        ec2("security-group"),
        ec2("network-interface"),
        ec2("key-pair"),
    ];
    vec![
        statement("LaunchWithTheServicesTag", actions, &made, Some(&gets_tag(answers))),
        statement("LaunchFromItsTemplates", actions, &json!(ec2("launch-template")), Some(&has_tag(answers))),
        statement("LaunchOf", actions, &json!(of), None),
    ]
}

/// An image is made of one of the service's instances, and it and its snapshot get the tag.
fn images(answers: &Answers, actions: &[&str]) -> Vec<Value> {
    let made = json!(["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]);
    vec![
        statement(
            "ImageOfItsInstances",
            actions,
            &json!(arn(answers, "ec2", "instance/*")),
            Some(&has_tag(answers)),
        ),
        statement("ImageWithTheServicesTag", actions, &made, Some(&gets_tag(answers))),
    ]
}

/// A copy is asked for in the region that is to have it, so that no region ends it: one of the service's images is copied,
/// and the copy and its snapshots get the tag. Its state is asked for there.
fn copies(answers: &Answers, actions: &[&str]) -> Vec<Value> {
    let images = json!(["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]);
    let birth = json!({"StringEquals": {"ec2:CreateAction": "CopyImage"}});
    vec![
        statement("CopyItsImages", actions, &images, Some(&has_tag(answers))),
        statement("CopiesWithTheServicesTag", actions, &images, Some(&gets_tag(answers))),
        statement("TagCopies", &["ec2:CreateTags"], &images, Some(&birth)),
        statement("SeeCopies", &["ec2:DescribeImages"], &json!("*"), None),
    ]
}

/// Tags at birth, and on launch templates that are the service's: its records and locks.
fn tagging(answers: &Answers, actions: &[&str]) -> Vec<Value> {
    let birth = there(
        answers,
        json!({"StringEquals": {
            "ec2:CreateAction": ["RunInstances", "CreateLaunchTemplate", "CreateImage"]
        }}),
    );
    let templates = json!(arn(answers, "ec2", "launch-template/*"));
    vec![
        statement("TagAtBirth", actions, &json!("*"), Some(&birth)),
        statement("NoteInItsRecords", actions, &templates, Some(&has_tag(answers))),
    ]
}

/// Balancers are not tagged by Mayfly: they are named.
fn balancing(answers: &Answers, classic: &[&str], target: &[&str]) -> Vec<Value> {
    let of = |resource: &str| arn(answers, "elasticloadbalancing", resource);
    let group = |name: &String| {
        if name.starts_with("arn:") { name.clone() } else { of(&format!("targetgroup/{name}/*")) }
    };
    let classics: Vec<String> =
        answers.classics.iter().map(|name| of(&format!("loadbalancer/{name}"))).collect();
    let groups: Vec<String> = answers.target_groups.iter().map(group).collect();
    let both = [("BalanceClassic", classic, classics), ("BalanceTargets", target, groups)];
    let used = both.iter().filter(|(.., resources)| !resources.is_empty());
    used.map(|(sid, actions, resources)| statement(sid, actions, &json!(resources), None)).collect()
}

/// Who may take the deployer's role: the workflow of one repository, by GitHub's identity provider.
#[must_use]
pub fn deployer_trust(answers: &Answers) -> Value {
    let repository = answers.github.as_deref().unwrap_or("OWNER/NAME");
    let provider = format!(
        "arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com",
        answers.account.as_deref().unwrap_or("ACCOUNT")
    );
    policy(&[json!({
        "Sid": deployer_role(answers).replace('-', ""),
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
            "StringLike": {"token.actions.githubusercontent.com:sub": [
                format!("repo:{repository}:ref:refs/heads/master"),
                format!("repo:{repository}:ref:refs/heads/main"),
                format!("repo:{repository}:ref:refs/heads/staging"),
            ]},
        },
    })])
}

/// What an instance may do. `mayfly-boot` asks AWS for nothing; only `s3://` sources of states need a right.
#[must_use]
pub fn instance_policy(answers: &Answers) -> Value {
    let one = match &answers.bucket {
        Some(bucket) => {
            statement("FetchSources", &["s3:GetObject"], &json!(format!("arn:aws:s3:::{bucket}/*")), None)
        }
        // A policy must have a statement: this one allows what every identity may do anyway.
        None => statement("NothingBeyondItself", &["sts:GetCallerIdentity"], &json!("*"), None),
    };
    policy(&[one])
}

/// Who may take the instances' role: EC2.
#[must_use]
pub fn instance_trust() -> Value {
    policy(&[json!({
        "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole",
    })])
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(sid: &str, actions: &[&str], resource: &Value, condition: Option<&Value>) -> Value {
    let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
    if let (Some(statement), Some(condition)) = (statement.as_object_mut(), condition) {
        statement.insert("Condition".to_owned(), condition.clone());
    }
    statement
}

/// The condition that a request goes to the region, where one is said. Other statements name it in their resources.
fn region(answers: &Answers) -> Option<Value> {
    let region = answers.region.as_ref()?;
    Some(json!({"StringEquals": {"aws:RequestedRegion": region}}))
}

/// A condition, and the region's.
fn there(answers: &Answers, mut condition: Value) -> Value {
    if let (Some(region), Some(all)) =
        (&answers.region, condition.get_mut("StringEquals").and_then(Value::as_object_mut))
    {
        all.insert("aws:RequestedRegion".to_owned(), json!(region));
    }
    condition
}

fn has_tag(answers: &Answers) -> Value {
    let key = format!("aws:ResourceTag/{}", naming::SERVICE);
    json!({"StringEquals": {key: answers.service}})
}

fn gets_tag(answers: &Answers) -> Value {
    let key = format!("aws:RequestTag/{}", naming::SERVICE);
    json!({"StringEquals": {key: answers.service}})
}

fn account(answers: &Answers) -> &str {
    answers.account.as_deref().unwrap_or("*")
}

fn arn(answers: &Answers, service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{}:{}:{resource}", answers.region.as_deref().unwrap_or("*"), account(answers))
}
