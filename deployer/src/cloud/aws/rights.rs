//! What each method of [`Cloud`](crate::cloud::Cloud) asks of AWS, in the words of IAM: the policies that `mayfly init`
//! writes are made of it, and a test compares it with what a cloud was really asked.

/// What limits an action to the things of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// AWS knows no limit for it: it only reads.
    None,
    /// The thing must carry the service's tag.
    Owned,
    /// The same, for what only a lock that is a launch template needs.
    TemplateLock,
    /// The new thing gets the service's tag in the same request.
    Born,
    /// Tags at birth, and on the service's own launch templates.
    Tagging,
    /// Reads of classic load balancers.
    ClassicRead,
    /// The service's own classic load balancer, by name.
    Classic,
    /// Reads of target groups.
    TargetRead,
    /// The service's own target group, by name.
    Target,
    /// The lock's object in the service's bucket.
    Object,
    /// Launches: what is made gets the service's tag, what it is made of is free.
    Launch,
    /// The service's bucket: without this right S3 answers "denied" for an object that is not there.
    Bucket,
    /// An image of one of the service's own instances.
    Image,
    /// A copy of one of the service's images, in any region.
    Copy,
    /// Parameters that AWS publishes.
    Parameter,
}

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// The action, as IAM writes it.
    pub action: &'static str,
    /// What limits it.
    pub limit: Limit,
}

const fn right(action: &'static str, limit: Limit) -> Right {
    Right { action, limit }
}

/// Method of `Cloud` → the rights it needs. Tags in a request that makes something need `ec2:CreateTags` too.
pub const RIGHTS: &[(&str, &[Right])] = &[
    ("images", &[right("ec2:DescribeImages", Limit::None)]),
    ("parameter", &[right("ssm:GetParameter", Limit::Parameter)]),
    ("subnets", &[right("ec2:DescribeSubnets", Limit::None)]),
    ("instances_tagged", &[right("ec2:DescribeInstances", Limit::None)]),
    ("instances", &[right("ec2:DescribeInstances", Limit::None)]),
    ("launch", &[right("ec2:RunInstances", Limit::Launch), right("ec2:CreateTags", Limit::Tagging)]),
    ("launch_builder", &[right("ec2:RunInstances", Limit::Launch), right("ec2:CreateTags", Limit::Tagging)]),
    ("terminate", &[right("ec2:TerminateInstances", Limit::Owned)]),
    ("console", &[right("ec2:GetConsoleOutput", Limit::Owned)]),
    ("tag", &[right("ec2:CreateTags", Limit::Tagging)]),
    (
        "template",
        &[right("ec2:DescribeLaunchTemplates", Limit::None), right("ec2:DescribeTags", Limit::None)],
    ),
    (
        "create_template",
        &[right("ec2:CreateLaunchTemplate", Limit::Born), right("ec2:CreateTags", Limit::Tagging)],
    ),
    ("create_version", &[right("ec2:CreateLaunchTemplateVersion", Limit::Owned)]),
    ("versions", &[right("ec2:DescribeLaunchTemplateVersions", Limit::None)]),
    ("versions_numbered", &[right("ec2:DescribeLaunchTemplateVersions", Limit::None)]),
    ("set_default", &[right("ec2:ModifyLaunchTemplate", Limit::Owned)]),
    // Records stay: only locks are deleted.
    ("delete_template", &[right("ec2:DeleteLaunchTemplate", Limit::TemplateLock)]),
    (
        "balancer",
        &[
            right("elasticloadbalancing:DescribeLoadBalancers", Limit::ClassicRead),
            right("elasticloadbalancing:DescribeLoadBalancerAttributes", Limit::ClassicRead),
            right("elasticloadbalancing:DescribeLoadBalancers", Limit::TargetRead),
            right("elasticloadbalancing:DescribeTargetGroups", Limit::TargetRead),
            right("elasticloadbalancing:DescribeTargetGroupAttributes", Limit::TargetRead),
        ],
    ),
    (
        "members",
        &[
            right("elasticloadbalancing:DescribeInstanceHealth", Limit::ClassicRead),
            right("elasticloadbalancing:DescribeTargetHealth", Limit::TargetRead),
        ],
    ),
    (
        "register",
        &[
            right("elasticloadbalancing:RegisterInstancesWithLoadBalancer", Limit::Classic),
            right("elasticloadbalancing:RegisterTargets", Limit::Target),
        ],
    ),
    (
        "deregister",
        &[
            right("elasticloadbalancing:DeregisterInstancesFromLoadBalancer", Limit::Classic),
            right("elasticloadbalancing:DeregisterTargets", Limit::Target),
        ],
    ),
    ("read_object", &[right("s3:GetObject", Limit::Object), right("s3:ListBucket", Limit::Bucket)]),
    ("write_object", &[right("s3:PutObject", Limit::Object)]),
    ("delete_object", &[right("s3:DeleteObject", Limit::Object)]),
    ("create_image", &[right("ec2:CreateImage", Limit::Image), right("ec2:CreateTags", Limit::Tagging)]),
    ("instances_of", &[right("ec2:DescribeInstances", Limit::None)]),
    ("versions_in_use", &[right("ec2:DescribeLaunchTemplateVersions", Limit::None)]),
    (
        "share_image",
        &[
            right("ec2:ModifyImageAttribute", Limit::Owned),
            right("ec2:ModifySnapshotAttribute", Limit::Owned),
        ],
    ),
    ("copy_image", &[right("ec2:CopyImage", Limit::Copy), right("ec2:CreateTags", Limit::Tagging)]),
    (
        "delete_image",
        &[
            right("ec2:DeregisterImage", Limit::Owned),
            // Asked for within the call above.
            right("ec2:DeleteSnapshot", Limit::Owned),
        ],
    ),
];

/// All rights once, in the order of their names.
#[must_use]
pub fn all() -> Vec<Right> {
    let mut rights: Vec<Right> = RIGHTS.iter().flat_map(|(_, rights)| rights.iter().copied()).collect();
    rights.sort_by_key(|right| right.action);
    rights.dedup();
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_cloud_has_its_rights() {
        let source = include_str!("../mod.rs");
        let body = source.split_once("pub trait Cloud").and_then(|(_, rest)| rest.split_once("\n}\n"));
        let (body, _) = body.expect("the trait is in that file");
        let methods: Vec<&str> = body
            .split("async fn ")
            .skip(1)
            .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
            .collect();
        assert!(methods.len() > 15, "{methods:?}");
        for method in methods {
            assert!(RIGHTS.iter().any(|(name, _)| *name == method), "{method} is in no row");
        }
    }
}
