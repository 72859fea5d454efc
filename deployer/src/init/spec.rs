//! The commented `mayfly.yaml` of a new service.

use super::{Answers, instance_role};

pub(super) fn text(answers: &Answers) -> String {
    let service = &answers.service;
    let deploy_url =
        answers.deploy_url.as_ref().map(|url| format!("\n  deploy_url: {}", quoted(url))).unwrap_or_default();
    let image = match &answers.parameter {
        Some(name) => format!("{{ssm: {}}}", quoted(name)),
        None => "{name: \"mayfly-bare-*\", owner: self}".to_owned(),
    };
    let region =
        answers.region.as_ref().map(|region| format!("region: {}\n", quoted(region))).unwrap_or_default();
    let (balancer, other) = balancers(answers);
    let url = quoted(&answers.states);
    let role = instance_role(answers);
    format!(
        "\
# What is deployed. `mayfly schema` prints a schema for editors; `mayfly plan` shows what `mayfly deploy` would do.
service: {service}

# The role that instances get in their user-data: top.sls targets it.
role: {service}
count: 2

# What instances boot from: the newest image of `mayfly bake --recipe bare`. Others: an id (ami-…),
# {{ssm: /aws/service/…}}, or {{baked: {service}}}, which `mayfly bake` has already converged.
image: {image}

# Tried in order when capacity runs out.
instance_type: [t3.micro, t3a.micro]

# The state tree. Instances begin with the branch's commit at deploy time and follow it, unless `follow: false`.
states:
  url: {url}{deploy_url}
  ref: main

# Over the tree's pillar; `mayfly deploy --set {service}.version=2` goes over this.
pillar:
  {service}:
    version: \"1\"

{balancer}
# When an instance is let in: 200 at this address, from wherever `mayfly` runs.
probe: {{port: 8080, path: /health, timeout: 2s}}

# Its role is in iam/instance.json; leave it out where instances need no rights.
# instance_profile: {role}

# Free-form: it reaches the record that `mayfly history` shows.
metadata: {{repository: {url}}}
{region}
# Who is told. The address is a secret: it comes from the environment.
# notify:
#   - webhook: {{env: MAYFLY_WEBHOOK}}
#     on: [failure, rollback]

# Your own commands beside the steps.
# hooks:
#   - before: register
#     run: [./smoke-test]
#     timeout: 2m

# Merged over the keys above.
environments:
  staging:
    count: 1
    states: {{ref: staging}}
{other}"
    )
}

/// The balancers' key, and what an environment beside production has in its place.
fn balancers(answers: &Answers) -> (String, String) {
    let of = |kind: &str, names: &[String]| {
        names.iter().map(|name| format!("{{{kind}: {}}}", quoted(name))).collect::<Vec<_>>()
    };
    let all = [of("classic", &answers.classics), of("target_group", &answers.target_groups)].concat();
    let (comment, key) = match all.as_slice() {
        [] => ("The load balancer that instances serve", "# load_balancer: {classic: NAME}\n".to_owned()),
        [one] => ("The load balancer that instances serve", format!("load_balancer: {one}\n")),
        many => {
            ("The load balancers that instances serve", format!("load_balancers: [{}]\n", many.join(", ")))
        }
    };
    let other = "    # Give it a load balancer of its own, or none.\n    load_balancer: none\n".to_owned();
    (format!("# {comment} behind.\n{key}"), if all.is_empty() { String::new() } else { other })
}

/// Text as YAML takes it, whatever is in it: JSON's strings are YAML's too.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let is_word = plain && text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    if is_word { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}
