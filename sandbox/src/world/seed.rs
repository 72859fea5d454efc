//! The cloud on its first day: a region with three zones (and one for copies of images), the default network, and the stock images.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::effect::PortRange;
use super::model::{Accounts, Image, ImageState, SecurityGroup, Snapshot, Subnet, Tags, Timestamp};
use super::response::InstanceType;

/// The region that instances are in.
pub const REGION: &str = "us-east-1";
/// The only other region: images are copied to it, and nothing else can be there.
pub const OTHER_REGION: &str = "eu-north-1";
/// The account that everything belongs to.
pub const ACCOUNT: &str = "000000000000";
/// The owner of the stock images (alias `amazon`).
pub const STOCK_OWNER: &str = "136693071363";
/// The default VPC, 10.77.0.0/16.
pub const VPC: &str = "vpc-00000000000000001";
/// Its default security group: 22, 80, 443, 8080 and 9273 are open.
pub const DEFAULT_GROUP: &str = "sg-00000000000000001";
/// Image with the host's own system and nothing of Mayfly.
pub const DEBIAN_STOCK: &str = "ami-00000000000000001";
/// Image with the host's own system and `mayfly-boot`.
pub const MAYFLY_BARE: &str = "ami-00000000000000002";

/// The zones, each with its zone id.
pub const ZONES: [(&str, &str); 3] =
    [("us-east-1a", "use1-az1"), ("us-east-1b", "use1-az2"), ("us-east-1c", "use1-az3")];

/// Types that can be launched. The sandbox gives all of them the host's own processors.
pub const INSTANCE_TYPES: [InstanceType; 9] = [
    kind("t3.nano", 2, 512, "x86_64"),
    kind("t3.micro", 2, 1_024, "x86_64"),
    kind("t3.small", 2, 2_048, "x86_64"),
    kind("t3.medium", 2, 4_096, "x86_64"),
    kind("t3.large", 2, 8_192, "x86_64"),
    kind("t2.micro", 1, 1_024, "x86_64"),
    kind("m5.large", 2, 8_192, "x86_64"),
    kind("c5.large", 2, 4_096, "x86_64"),
    kind("t4g.micro", 2, 1_024, "arm64"),
];

const fn kind(name: &'static str, vcpus: u32, memory_mib: u32, architecture: &'static str) -> InstanceType {
    InstanceType { name, vcpus, memory_mib, architecture }
}

/// One default subnet a zone, /20 as in a real default VPC.
pub(super) fn subnets() -> BTreeMap<String, Subnet> {
    let subnet = |index: u8, zone: &str| Subnet {
        id: format!("subnet-0000000000000000{}", index + 1),
        zone: zone.to_owned(),
        network: Ipv4Addr::new(10, 77, index * 16, 0),
        prefix: 20,
        tags: Tags::new(),
        next_host: 4,
    };
    (0u8..).zip(ZONES).map(|(index, (zone, _))| subnet(index, zone)).map(|s| (s.id.clone(), s)).collect()
}

/// The default security group.
pub(super) fn groups() -> BTreeMap<String, SecurityGroup> {
    let ports = [22, 80, 443, 8080, 9273].map(|port| PortRange { from: port, to: port }).to_vec();
    let group = SecurityGroup {
        id: DEFAULT_GROUP.to_owned(),
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        ports,
        tags: Tags::new(),
    };
    BTreeMap::from([(group.id.clone(), group)])
}

/// The stock images.
pub(super) fn images(now: Timestamp) -> BTreeMap<String, Image> {
    let image = |id: &str, owner: &str, name: &str, description: &str| Image {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        owner: owner.to_owned(),
        stock: true,
        state: ImageState::Available,
        reason: None,
        created: now,
        source_instance: None,
        source_image: None,
        snapshot_id: id.replace("ami-", "snap-"),
        tags: Tags::new(),
        region: REGION,
        shared_with: Accounts::new(),
        visible_at: now,
        copied: true,
        due: now,
    };
    [
        image(DEBIAN_STOCK, STOCK_OWNER, "sandbox/debian-stock-2026.01", "The host's own system"),
        image(MAYFLY_BARE, ACCOUNT, "mayfly-bare-2026.01", "The host's own system with mayfly-boot"),
    ]
    .map(|image| (image.id.clone(), image))
    .into()
}

/// The snapshots behind the stock images.
pub(super) fn snapshots(images: &BTreeMap<String, Image>) -> BTreeMap<String, Snapshot> {
    let snapshot = |image: &Image| Snapshot {
        id: image.snapshot_id.clone(),
        description: image.description.clone(),
        started: image.created,
        completed: true,
        volume_id: "vol-ffffffff".to_owned(),
        tags: Tags::new(),
        owner: image.owner.clone(),
        region: REGION,
        shared_with: Accounts::new(),
    };
    images.values().map(snapshot).map(|s| (s.id.clone(), s)).collect()
}
