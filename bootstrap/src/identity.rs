//! Who this instance is to the state tree: minion id, grains and pillar from facts, metadata and user-data. Pure.

use crate::convert;
use crate::imds::Identity;
use crate::userdata::UserData;
use mayfly_states::grains::{self, facts::Facts};
use mayfly_states::minion::Minion;
use mayfly_states::value::{Map, Value};

/// The minion of an instance.
pub(crate) fn minion(facts: &Facts, user: &UserData, identity: &Identity) -> Minion {
    let id = minion_id(user, identity);
    let mut grains = grains::collect(facts);
    let mut own = Map::from([
        ("id".to_owned(), text(&id)),
        ("server_id".to_owned(), grains::server_id(&id)),
        ("role".to_owned(), text(&user.role)),
        ("environment".to_owned(), text(&user.environment)),
        ("instance_id".to_owned(), text(&identity.instance_id)),
        ("ec2".to_owned(), Value::Map(ec2(identity))),
    ]);
    if let Some(deployment) = &user.deployment {
        own.insert("deployment".to_owned(), text(deployment));
    }
    convert::merge(&mut grains, own);
    convert::merge(&mut grains, user.grains.clone());
    // Targets and templates must agree on these, whatever `grains:` says.
    for (key, value) in [("id", &id), ("role", &user.role), ("environment", &user.environment)] {
        grains.insert(key.to_owned(), text(value));
    }
    Minion {
        id,
        grains,
        pillar: user.pillar.clone(),
        saltenv: user.saltenv.clone(),
        options: user.options.clone(),
    }
}

/// `id`, or made of the role and the instance id.
pub(crate) fn minion_id(user: &UserData, identity: &Identity) -> String {
    user.id.clone().unwrap_or_else(|| format!("{}-{}", user.role, identity.instance_id))
}

/// The grain `ec2`: what the metadata service said, under its names with underscores.
fn ec2(identity: &Identity) -> Map {
    let d = &identity.document;
    let known = [
        ("instance_id", Some(&identity.instance_id)),
        ("ami_id", d.image_id.as_ref()),
        ("instance_type", d.instance_type.as_ref()),
        ("region", d.region.as_ref()),
        ("availability_zone", d.availability_zone.as_ref()),
        ("account_id", d.account_id.as_ref()),
        ("architecture", d.architecture.as_ref()),
        ("local_ipv4", identity.local_ipv4.as_ref()),
        ("public_ipv4", identity.public_ipv4.as_ref()),
        ("local_hostname", identity.local_hostname.as_ref()),
    ];
    known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), text(value?)))).collect()
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_environment_and_ec2_are_grains_and_user_grains_cannot_take_them_over() {
        let yaml = "#mayfly\nrole: web\nenvironment: staging\nstates: {url: 'file:///x'}\ndeployment: d-1\n\
                    grains: {role: db, ec2: {zone: z}, rack: a}\n";
        let user = crate::userdata::parse(yaml.as_bytes()).unwrap();
        let identity = Identity {
            instance_id: "i-1".into(),
            local_ipv4: Some("10.0.0.1".into()),
            ..Identity::default()
        };
        let minion = minion(&Facts::default(), &user, &identity);
        assert_eq!(minion.id, "web-i-1");
        let grain = |key: &str| minion.grains.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
        assert_eq!([grain("role"), grain("environment"), grain("deployment")], ["web", "staging", "d-1"]);
        assert_eq!([grain("rack"), grain("id")], ["a", "web-i-1"]);
        assert_eq!(minion.grains["server_id"], grains::server_id("web-i-1"));
        let ec2 = minion.grains["ec2"].as_map().unwrap();
        assert_eq!(ec2.get("local_ipv4").and_then(Value::as_str), Some("10.0.0.1"));
        assert_eq!(ec2.get("zone").and_then(Value::as_str), Some("z"));
        assert!(!ec2.contains_key("public_ipv4"));
    }
}
