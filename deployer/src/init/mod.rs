//! What `mayfly init` writes: a commented spec, least-privilege IAM policies, and a GitHub Actions workflow. Pure.

mod policy;
mod spec;
mod workflow;

pub use policy::{deployer_policy, deployer_trust, instance_policy, instance_trust};

use serde_json::Value;

/// What the person who begins has said, or what stands in for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// The service.
    pub service: String,
    /// The state repository.
    pub states: String,
    /// Where the deployer reaches it, when that differs.
    pub deploy_url: Option<String>,
    /// Classic load balancers, by name.
    pub classics: Vec<String>,
    /// Target groups, by name or ARN.
    pub target_groups: Vec<String>,
    /// Region; every one when it is not said.
    pub region: Option<String>,
    /// Account; every one when it is not said.
    pub account: Option<String>,
    /// The SSM parameter that holds the image's id.
    pub parameter: Option<String>,
    /// The bucket that holds the lock, and what the instances' states fetch.
    pub bucket: Option<String>,
    /// `OWNER/NAME` of the repository whose workflow deploys.
    pub github: Option<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where, below the folder that is begun in.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

/// All files.
#[must_use]
pub fn files(answers: &Answers) -> Vec<File> {
    let json = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let file = |path, text| File { path, text };
    vec![
        file("mayfly.yaml", spec::text(answers)),
        file("iam/deployer.json", json(&deployer_policy(answers))),
        file("iam/deployer-trust.json", json(&deployer_trust(answers))),
        file("iam/instance.json", json(&instance_policy(answers))),
        file("iam/instance-trust.json", json(&instance_trust())),
        file(".github/workflows/deploy.yml", workflow::text(answers)),
    ]
}

/// Name of the instances' role and profile.
fn instance_role(answers: &Answers) -> String {
    format!("mayfly-{}-instance", answers.service)
}

/// Name of the deployer's role.
fn deployer_role(answers: &Answers) -> String {
    format!("mayfly-{}-deployer", answers.service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    fn answers() -> Answers {
        Answers {
            service: "greeter".into(),
            states: "https://github.com/acme/states.git".into(),
            classics: vec!["greeter".into()],
            github: Some("acme/states".into()),
            ..Answers::default()
        }
    }

    #[test]
    fn the_spec_is_valid_for_both_of_its_environments() {
        let group = || vec!["web".to_owned()];
        for (classics, target_groups) in [(vec![], vec![]), (group(), vec![]), (group(), group())] {
            let count = classics.len() + target_groups.len();
            let answers = Answers { classics, target_groups, ..answers() };
            let text = &files(&answers)[0].text;
            for environment in ["production", "staging"] {
                let spec = Spec::parse(text, "mayfly.yaml", environment, &[]).expect("a spec");
                assert_eq!((spec.service.as_str(), spec.role.as_str()), ("greeter", "greeter"), "{text}");
                let expected = if environment == "production" { count } else { 0 };
                assert_eq!(spec.load_balancers.len(), expected, "{text}");
            }
        }
    }

    #[test]
    fn the_policies_end_where_the_service_ends() {
        let policy = deployer_policy(&answers()).to_string();
        for part in [
            r#""aws:ResourceTag/mayfly:service":"greeter""#,
            r#""aws:RequestTag/mayfly:service":"greeter""#,
            "role/mayfly-greeter-instance",
            "loadbalancer/greeter",
        ] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(
            !policy.contains("RegisterTargets") && !policy.contains("ssm:") && !policy.contains("s3:"),
            "{policy}"
        );
        let other = Answers {
            classics: Vec::new(),
            target_groups: vec!["web".into()],
            parameter: Some("/aws/service/x".into()),
            bucket: Some("acme-locks".into()),
            ..answers()
        };
        let policy = deployer_policy(&other).to_string();
        for part in [
            "targetgroup/web/*",
            "parameter/aws/service/x",
            "arn:aws:s3:::acme-locks/*mayfly-lock-greeter-*",
            "RegisterTargets",
        ] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        for part in ["RegisterInstancesWithLoadBalancer", "DeleteLaunchTemplate"] {
            assert!(!policy.contains(part), "{part}: {policy}");
        }
    }

    #[test]
    fn the_workflow_is_yaml_that_deploys_master_and_staging() {
        let all = files(&answers());
        let text = &all.iter().find(|file| file.path.ends_with(".yml")).expect("a workflow").text;
        let read: Value = serde_saphyr::from_str(text).expect("YAML");
        assert_eq!(
            read.pointer("/on/push/branches"),
            Some(&serde_json::json!(["master", "main", "staging"]))
        );
        assert!(text.contains("--env") && text.contains("staging"), "{text}");
    }
}
