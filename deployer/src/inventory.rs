//! Live instances for other tools: JSON, a hosts file, HAProxy servers, or an Ansible inventory. Pure.

use crate::clean;
use crate::cloud::{Instance, InstanceState};
use crate::naming;
use crate::report::Output;
use crate::spec::Address;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One live instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// The address that was asked for.
    pub address: Option<String>,
    /// Its role.
    pub role: String,
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The deployment that launched it.
    pub deployment: Option<String>,
    /// Its private address.
    pub private_ip: Option<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
}

/// Which of a service's instances are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this role; of every one when none is named.
    pub role: Option<String>,
    /// Of this environment; of every one when none is named.
    pub environment: Option<String>,
    /// Which address other tools are to use.
    pub address: Address,
}

/// The running instances that are wanted, in the order of environment, role and id.
#[must_use]
pub fn hosts(instances: &[Instance], wanted: &Wanted) -> Vec<Host> {
    let running = instances.iter().filter(|instance| instance.state == InstanceState::Running);
    let mut hosts: Vec<Host> = running.map(|instance| host(instance, wanted.address)).collect();
    let fits = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
    hosts.retain(|host| fits(&wanted.role, &host.role) && fits(&wanted.environment, &host.environment));
    hosts.sort_by(|a, b| (&a.environment, &a.role, &a.id).cmp(&(&b.environment, &b.role, &b.id)));
    hosts
}

fn host(instance: &Instance, address: Address) -> Host {
    // A tag that somebody else wrote must not make lines of its own in a hosts file.
    let tag = |key: &str| instance.tags.get(key).map(|text| clean::line(text));
    Host {
        id: instance.id.clone(),
        address: match address {
            Address::Private => instance.private_ip.clone(),
            Address::Public => instance.public_ip.clone(),
        },
        role: tag(naming::ROLE).unwrap_or_default(),
        service: tag(naming::SERVICE).unwrap_or_default(),
        environment: tag(naming::ENVIRONMENT).unwrap_or_default(),
        deployment: tag(naming::DEPLOYMENT),
        private_ip: instance.private_ip.clone(),
        public_ip: instance.public_ip.clone(),
        zone: instance.zone.clone(),
        instance_type: instance.instance_type.clone(),
        image: instance.image.clone(),
    }
}

/// The hosts as a tool reads them. Those without the address that was asked for are only in JSON.
#[must_use]
pub fn render(hosts: &[Host], output: Output, port: Option<u16>) -> String {
    let addressed = || hosts.iter().filter_map(|host| Some((host, host.address.as_deref()?)));
    let mut text = String::new();
    match output {
        Output::Json => return format!("{}\n", json!(hosts)),
        Output::Ansible => return format!("{}\n", ansible(hosts)),
        Output::Text => {
            for host in hosts {
                let address = host.address.as_deref().unwrap_or("-");
                let (zone, deployment) = (host.zone.as_deref().unwrap_or("-"), host.deployment.as_deref());
                let _ = writeln!(
                    text,
                    "{:<20} {address:<16} {:<12} {:<12} {zone:<12} {}",
                    host.id,
                    host.environment,
                    host.role,
                    deployment.unwrap_or("-")
                );
            }
        }
        Output::Hosts => {
            for (host, address) in addressed() {
                let _ =
                    writeln!(text, "{address}\t{}.{}-{} {}", host.id, host.role, host.environment, host.id);
            }
        }
        Output::Haproxy => {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            for (host, address) in addressed() {
                let _ = writeln!(text, "server {} {address}{port} check", host.id);
            }
        }
    }
    text
}

/// What `ansible-inventory` expects of a script's `--list`: groups by role and environment, and each host's variables.
fn ansible(hosts: &[Host]) -> Value {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut variables = Map::new();
    for host in hosts.iter().filter(|host| host.address.is_some()) {
        for group in [&host.role, &host.environment, &host.service] {
            let members = groups.entry(group_name(group)).or_default();
            if !members.contains(&host.id.as_str()) {
                members.push(&host.id);
            }
        }
        let mut all = json!(host);
        if let Some(all) = all.as_object_mut() {
            let address = all.remove("address").unwrap_or_default();
            let own: Map<String, Value> =
                all.iter().map(|(key, value)| (format!("mayfly_{key}"), value.clone())).collect();
            *all = own;
            all.insert("ansible_host".to_owned(), address);
        }
        variables.insert(host.id.clone(), all);
    }
    let mut inventory: Map<String, Value> =
        groups.into_iter().map(|(group, members)| (group, json!({"hosts": members}))).collect();
    inventory.insert("_meta".to_owned(), json!({"hostvars": variables}));
    Value::Object(inventory)
}

/// Ansible takes letters, digits and `_` in names of groups.
fn group_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Tags;

    fn instance(id: &str, state: InstanceState, role: &str, environment: &str) -> Instance {
        let tags = [
            (naming::SERVICE, "greeter"),
            (naming::ENVIRONMENT, environment),
            (naming::ROLE, role),
            (naming::DEPLOYMENT, "d-1"),
        ];
        Instance {
            id: id.into(),
            state,
            reason: None,
            private_ip: Some(format!("10.0.0.{}", id.len())),
            public_ip: None,
            subnet: None,
            zone: Some("z-a".into()),
            instance_type: "t3.micro".into(),
            image: "ami-1".into(),
            client_token: None,
            launched: None,
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Tags>(),
        }
    }

    fn all() -> Vec<Instance> {
        vec![
            instance("i-bb", InstanceState::Running, "web", "qa-1"),
            instance("i-a", InstanceState::Running, "web", "production"),
            instance("i-ccc", InstanceState::Running, "worker", "production"),
            instance("i-dddd", InstanceState::ShuttingDown, "web", "production"),
        ]
    }

    fn web() -> Vec<Host> {
        hosts(&all(), &Wanted { role: Some("web".into()), ..Wanted::default() })
    }

    #[test]
    fn each_tool_gets_its_own_format() {
        assert_eq!(
            render(&web(), Output::Hosts, None),
            "10.0.0.3\ti-a.web-production i-a\n10.0.0.4\ti-bb.web-qa-1 i-bb\n"
        );
        assert_eq!(
            render(&web(), Output::Haproxy, Some(8080)),
            "server i-a 10.0.0.3:8080 check\nserver i-bb 10.0.0.4:8080 check\n"
        );
        let json: Value = serde_json::from_str(&render(&web(), Output::Json, None)).expect("JSON");
        assert_eq!((json[0]["id"].as_str(), json.as_array().map(Vec::len)), (Some("i-a"), Some(2)));
        let ansible: Value = serde_json::from_str(&render(&web(), Output::Ansible, None)).expect("JSON");
        assert_eq!(ansible["web"]["hosts"], json!(["i-a", "i-bb"]));
        assert_eq!(ansible["qa_1"]["hosts"], json!(["i-bb"]));
        assert_eq!(ansible["_meta"]["hostvars"]["i-a"]["ansible_host"], json!("10.0.0.3"));
        assert_eq!(ansible["_meta"]["hostvars"]["i-a"]["mayfly_role"], json!("web"));
    }

    #[test]
    fn what_has_no_such_address_is_only_in_json() {
        let public = Wanted { environment: Some("production".into()), address: Address::Public, role: None };
        let hosts = hosts(&all(), &public);
        assert_eq!(hosts.len(), 2);
        assert_eq!(render(&hosts, Output::Haproxy, Some(1)), "");
    }
}
