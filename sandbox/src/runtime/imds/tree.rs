//! What an instance can read about itself, as EC2 lays it out. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::runtime::spec::mac;

/// All that the metadata service knows of one instance.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Instance id.
    pub id: String,
    /// AMI.
    pub image_id: String,
    /// For instance `t3.micro`.
    pub instance_type: String,
    /// Availability zone.
    pub zone: String,
    /// Its zone id.
    pub zone_id: String,
    /// Region.
    pub region: String,
    /// Account number.
    pub account: String,
    /// Private address.
    pub private_ip: Ipv4Addr,
    /// Public address; in the sandbox a loopback address of the host.
    pub public_ip: Ipv4Addr,
    /// Host name.
    pub hostname: String,
    /// Subnet.
    pub subnet_id: String,
    /// Names of its security groups.
    pub groups: Vec<String>,
    /// The reservation of its launch.
    pub reservation_id: String,
    /// Number within the launch.
    pub launch_index: u32,
    /// Raw user-data.
    pub user_data: Option<Arc<[u8]>>,
    /// Tags; `None` when `InstanceMetadataTags` is off.
    pub tags: Option<BTreeMap<String, String>>,
    /// Instance profile.
    pub instance_profile: Option<String>,
    /// Key pair.
    pub key_name: Option<String>,
    /// When it was launched.
    pub launch_time: DateTime<Utc>,
    /// `HttpTokens=required`.
    pub tokens_required: bool,
    /// `HttpPutResponseHopLimit`.
    pub hop_limit: u8,
    /// `HttpEndpoint=enabled`.
    pub endpoint_enabled: bool,
}

impl Identity {
    fn mac(&self) -> String {
        mac(self.private_ip).map(|byte| format!("{byte:02x}")).join(":")
    }
}

/// The body at `resource` (the path after the version): a value, or the listing of a directory.
pub(super) fn look_up(identity: &Identity, resource: &str) -> Option<Vec<u8>> {
    if resource == "user-data" || resource == "user-data/" {
        return identity.user_data.as_ref().map(|data| data.to_vec());
    }
    // The one directory whose names are not those of what lies below.
    if resource.trim_end_matches('/') == "meta-data/public-keys" {
        return identity.key_name.as_ref().map(|name| format!("0={name}").into_bytes());
    }
    let mut tree = tree(identity);
    if let Some(value) = tree.remove(resource) {
        return Some(value.into_bytes());
    }
    listing(tree.keys(), resource)
}

/// Names directly below `directory`, a line each; those that have more below end with a slash.
fn listing<'a>(paths: impl Iterator<Item = &'a String>, directory: &str) -> Option<Vec<u8>> {
    let directory = directory.trim_end_matches('/');
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let below = paths.filter_map(|path| path.strip_prefix(&prefix));
    let names: BTreeSet<&str> = below
        .map(|rest| rest.split_inclusive('/').next().unwrap_or(rest))
        .filter(|n| !n.is_empty())
        .collect();
    let lines: Vec<&str> = names.into_iter().collect();
    (!lines.is_empty()).then(|| lines.join("\n").into_bytes())
}

/// Every value by its path.
fn tree(identity: &Identity) -> BTreeMap<String, String> {
    let mut tree: BTreeMap<String, String> =
        plain(identity).into_iter().map(|(path, value)| (path.to_owned(), value)).collect();
    let interface = format!("meta-data/network/interfaces/macs/{}", identity.mac());
    for (name, value) in [
        ("device-number", "0".to_owned()),
        ("local-hostname", identity.hostname.clone()),
        ("local-ipv4s", identity.private_ip.to_string()),
        ("mac", identity.mac()),
        ("public-ipv4s", identity.public_ip.to_string()),
        ("subnet-id", identity.subnet_id.clone()),
    ] {
        tree.insert(format!("{interface}/{name}"), value);
    }
    // EC2 refuses keys that cannot be a path's last part when tags are to be seen here.
    let visible = |(key, _): &(&String, &String)| !key.contains(['/', ' ']);
    for (key, value) in identity.tags.iter().flatten().filter(visible) {
        tree.insert(format!("meta-data/tags/instance/{key}"), value.clone());
    }
    if identity.user_data.is_some() {
        tree.insert("user-data".to_owned(), String::new());
    }
    if let Some(profile) = &identity.instance_profile {
        tree.insert("meta-data/iam/info".to_owned(), profile_info(identity, profile));
        tree.insert(format!("meta-data/iam/security-credentials/{profile}"), credentials(identity));
    }
    if let Some(key) = &identity.key_name {
        tree.insert("meta-data/public-keys/0/openssh-key".to_owned(), format!("ssh-ed25519 sandbox {key}\n"));
    }
    tree
}

fn plain(identity: &Identity) -> [(&'static str, String); 21] {
    let id = identity;
    [
        ("dynamic/instance-identity/document", document(id)),
        ("meta-data/ami-id", id.image_id.clone()),
        ("meta-data/ami-launch-index", id.launch_index.to_string()),
        ("meta-data/ami-manifest-path", "(unknown)".to_owned()),
        ("meta-data/hostname", id.hostname.clone()),
        ("meta-data/instance-action", "none".to_owned()),
        ("meta-data/instance-id", id.id.clone()),
        ("meta-data/instance-life-cycle", "on-demand".to_owned()),
        ("meta-data/instance-type", id.instance_type.clone()),
        ("meta-data/local-hostname", id.hostname.clone()),
        ("meta-data/local-ipv4", id.private_ip.to_string()),
        ("meta-data/mac", id.mac()),
        ("meta-data/placement/availability-zone", id.zone.clone()),
        ("meta-data/placement/availability-zone-id", id.zone_id.clone()),
        ("meta-data/placement/region", id.region.clone()),
        ("meta-data/public-hostname", id.public_ip.to_string()),
        ("meta-data/public-ipv4", id.public_ip.to_string()),
        ("meta-data/reservation-id", id.reservation_id.clone()),
        ("meta-data/security-groups", id.groups.join("\n")),
        ("meta-data/services/domain", "amazonaws.com".to_owned()),
        ("meta-data/services/partition", "aws".to_owned()),
    ]
}

fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn document(identity: &Identity) -> String {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" };
    let document = json!({
        "accountId": identity.account,
        "architecture": architecture,
        "availabilityZone": identity.zone,
        "billingProducts": null,
        "devpayProductCodes": null,
        "imageId": identity.image_id,
        "instanceId": identity.id,
        "instanceType": identity.instance_type,
        "kernelId": null,
        "marketplaceProductCodes": null,
        "pendingTime": time(identity.launch_time),
        "privateIp": identity.private_ip.to_string(),
        "ramdiskId": null,
        "region": identity.region,
        "version": "2017-09-30",
    });
    format!("{document:#}")
}

fn profile_info(identity: &Identity, profile: &str) -> String {
    let info = json!({
        "Code": "Success",
        "LastUpdated": time(identity.launch_time),
        "InstanceProfileArn": format!("arn:aws:iam::{}:instance-profile/{profile}", identity.account),
        "InstanceProfileId": "AIPASANDBOX0000000000",
    });
    format!("{info:#}")
}

/// Credentials that the sandbox accepts, as it accepts any.
fn credentials(identity: &Identity) -> String {
    let credentials = json!({
        "Code": "Success",
        "LastUpdated": time(identity.launch_time),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIASANDBOX000000000",
        "SecretAccessKey": "sandbox",
        "Token": "sandbox",
        "Expiration": time(identity.launch_time + chrono::TimeDelta::days(365)),
    });
    format!("{credentials:#}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn identity() -> Identity {
        Identity {
            id: "i-1".into(),
            image_id: "ami-1".into(),
            instance_type: "t3.micro".into(),
            zone: "us-east-1a".into(),
            zone_id: "use1-az1".into(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            private_ip: Ipv4Addr::new(10, 77, 0, 4),
            public_ip: Ipv4Addr::new(127, 77, 0, 4),
            hostname: "ip-10-77-0-4".into(),
            subnet_id: "subnet-1".into(),
            groups: vec!["default".into()],
            reservation_id: "r-1".into(),
            launch_index: 0,
            user_data: Some(Arc::from(b"#mayfly\n".as_slice())),
            tags: Some(BTreeMap::from([("mayfly:role".to_owned(), "web".to_owned())])),
            instance_profile: Some("web".into()),
            key_name: None,
            launch_time: DateTime::UNIX_EPOCH,
            tokens_required: true,
            hop_limit: 1,
            endpoint_enabled: true,
        }
    }

    fn text(resource: &str) -> Option<String> {
        look_up(&identity(), resource).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn values_are_found_by_path() {
        assert_eq!(text("meta-data/placement/region").as_deref(), Some("us-east-1"));
        assert_eq!(text("meta-data/tags/instance/mayfly:role").as_deref(), Some("web"));
        assert_eq!(text("user-data").as_deref(), Some("#mayfly\n"));
        assert!(text("dynamic/instance-identity/document").unwrap().contains("\"instanceId\": \"i-1\""));
        assert_eq!(text("meta-data/nonsense"), None);
        assert_eq!(text("meta-data/instance-id/x"), None);
    }

    #[test]
    fn directories_list_their_names() {
        assert_eq!(text("").as_deref(), Some("dynamic/\nmeta-data/\nuser-data"));
        assert_eq!(text("meta-data/tags/instance").as_deref(), Some("mayfly:role"));
        assert_eq!(text("meta-data/iam/security-credentials/").as_deref(), Some("web"));
        assert!(text("meta-data/").unwrap().lines().any(|line| line == "placement/"));
    }

    #[test]
    fn tags_and_user_data_are_absent_when_there_are_none() {
        let bare = Identity { tags: None, user_data: None, ..identity() };
        assert!(look_up(&bare, "meta-data/tags/instance").is_none());
        assert!(look_up(&bare, "user-data").is_none());
        assert!(look_up(&bare, "meta-data/public-keys/").is_none());
    }

    #[test]
    fn a_key_pair_is_listed_by_number_and_name() {
        let who = Identity { key_name: Some("ops".into()), ..identity() };
        assert_eq!(look_up(&who, "meta-data/public-keys/").as_deref(), Some(b"0=ops".as_slice()));
        assert!(look_up(&who, "meta-data/public-keys/0/openssh-key").is_some());
    }

    #[test]
    fn tag_keys_that_are_no_path_are_left_out() {
        let tags = ["a/b", "a b", "Name"].map(|key| (key.to_owned(), "x".to_owned()));
        let who = Identity { tags: Some(BTreeMap::from(tags)), ..identity() };
        assert_eq!(look_up(&who, "meta-data/tags/instance/").as_deref(), Some(b"Name".as_slice()));
    }
}
