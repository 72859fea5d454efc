//! The keys of `mayfly.yaml` as one table: the reader takes kinds, bounds and choices from it, `mayfly schema` prints it,
//! and errors propose its names.

use crate::plan::Action;

/// One key of a mapping.
#[derive(Debug)]
pub(crate) struct Field {
    /// As it is written.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// One line for editors.
    pub(crate) help: &'static str,
    /// Whether the mapping is incomplete without it.
    pub(crate) required: bool,
}

/// What a key takes.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// Text, or a list of it.
    Texts,
    /// A list of text.
    List,
    /// `true` or `false`.
    Flag,
    /// A whole number between two bounds, both allowed.
    Whole(u64, u64),
    /// `90s`, `5m`, or a whole number of seconds.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A mapping of the user's own.
    Free,
    /// A mapping with text as values.
    TextMap,
    /// A mapping with these keys.
    Section(&'static [Field]),
    /// A list of such mappings.
    Sections(&'static [Field]),
    /// Any of these.
    Either(&'static [Kind]),
    /// The environments: names to the keys that one may override.
    Environments,
}

const fn key(name: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, kind, help, required: false }
}

const fn must(name: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, kind, help, required: true }
}

/// The key that holds the environments.
pub(crate) const ENVIRONMENTS: &str = "environments";

/// All keys of the file; an environment may override each but the service and the environments.
pub(crate) static TOP: &[Field] = &[
    must("service", Kind::Text, "Name of the service: lower-case letters, digits and `-`, at most 32"),
    key("role", Kind::Text, "Role in the user-data; the service's name when not given"),
    key("count", Kind::Whole(1, 5_000), "How many instances; 1 when not given"),
    must("image", Kind::Either(&[Kind::Text, Kind::Section(IMAGE)]), "What instances boot from"),
    key(
        "boot",
        Kind::Either(&[Kind::Word(&["none"]), Kind::Section(BOOT)]),
        "Where mayfly-boot comes from, when the image is a stock one that has not got it",
    ),
    key("instance_type", Kind::Texts, "A type, or a list that is tried in order when capacity runs out"),
    key("subnets", Kind::Texts, "Subnet ids to spread over; the default ones when not given"),
    key("security_groups", Kind::Texts, "Security group ids; the VPC's default when not given"),
    key("instance_profile", Kind::Text, "Name of the IAM instance profile"),
    key("key_name", Kind::Text, "Name of the key pair"),
    key(
        "load_balancer",
        Kind::Either(&[Kind::Word(&["none"]), Kind::Section(BALANCER)]),
        "The load balancer they serve behind",
    ),
    key(
        "load_balancers",
        Kind::Either(&[Kind::Word(&["none"]), Kind::Sections(BALANCER)]),
        "Several load balancers that they serve behind at once",
    ),
    key(
        "strategy",
        Kind::Either(&[Kind::Word(&["blue-green"]), Kind::Section(STRATEGY)]),
        "In which waves the new replace the old; blue-green when not given",
    ),
    key("lock", Kind::Section(LOCK), "Keep the lock in S3, and not in a launch template's name"),
    must("states", Kind::Section(STATES), "The state tree"),
    key("pillar", Kind::Free, "Pillar data, merged over the tree's"),
    key("grains", Kind::Free, "Grains, merged over the computed ones"),
    key("saltenv", Kind::Text, "The only environment of the tree that counts"),
    key("nodegroups", Kind::Free, "Targets by name, for top files"),
    key("options", Kind::Free, "Options of the minion that change a compile"),
    key("schedule", Kind::Text, "Cron expression in UTC: when instances ask the state repository again"),
    key("splay", Kind::Duration, "A delay up to this long, fixed for each instance"),
    key(
        "drift",
        Kind::Text,
        "Cron expression in UTC: when instances look for drift, and tell it in /metrics",
    ),
    key("listen", Kind::Text, "host:port of /ready, /status and /metrics on instances"),
    key(
        "supervisor",
        Kind::Word(&["auto", "supervisord", "systemd", "sysv", "builtin"]),
        "What runs services on instances",
    ),
    key("watch", Kind::Sections(WATCH), "Watch rules beside those of the states"),
    must(
        "probe",
        Kind::Either(&[Kind::Word(&["none"]), Kind::Section(PROBE)]),
        "How an instance is asked whether it is ready; 200 is the only good answer",
    ),
    key("timeouts", Kind::Section(TIMEOUTS), "How long each wait may take"),
    key("tags", Kind::TextMap, "Tags on instances beside Mayfly's own"),
    key("region", Kind::Text, "AWS region, in place of the SDK's chain"),
    key("metadata", Kind::Free, "Free-form, for you; it reaches the record of each deployment"),
    key("notify", Kind::Sections(NOTIFY), "Webhooks that are told of deployments"),
    key("github", Kind::Section(GITHUB), "GitHub deployments and their statuses"),
    key("hooks", Kind::Sections(HOOK), "Commands of your own, before and after steps"),
    key("schedules", Kind::Sections(SCHEDULE), "When `mayfly schedule` deploys"),
    key(ENVIRONMENTS, Kind::Environments, "Name to any of the other keys, merged over them"),
];

pub(crate) static IMAGE: &[Field] = &[
    key("name", Kind::Text, "Pattern of the image's name: the newest that is available"),
    key("owner", Kind::Text, "With `name`: `self`, `amazon`, or an account id; `self` when not given"),
    key("ssm", Kind::Text, "SSM parameter that holds the image's id, such as /aws/service/…"),
    key("baked", Kind::Text, "The newest image of `mayfly bake` for this role, or `bare`"),
];
pub(crate) static BOOT: &[Field] = &[
    must("url", Kind::Text, "Address of the program, as instances reach it"),
    must("sha256", Kind::Text, "Its SHA-256, 64 hex digits"),
    key("public_key", Kind::Text, "Who must have signed it: `ssh-ed25519 AAAA…`"),
    key("signature", Kind::Text, "Address of the signature; `url` and `.sig` when not given"),
];
pub(crate) static BALANCER: &[Field] = &[
    key("classic", Kind::Text, "Name of a classic load balancer"),
    key("target_group", Kind::Text, "Name or ARN of a target group"),
];
pub(crate) static STRATEGY: &[Field] = &[
    key("rolling", Kind::Section(ROLLING), "Some at a time"),
    key("canary", Kind::Section(CANARY), "A part first, then the rest"),
];
pub(crate) static ROLLING: &[Field] = &[
    must("batch", SHARE, "How many at a time: `2`, `25%` or `1/4`"),
    key("minimum", SHARE, "Capacity that must stay in service; what it was when not given"),
];
pub(crate) static CANARY: &[Field] = &[
    must("size", SHARE, "The part: `1`, `10%` or `1/4`"),
    key("soak", Kind::Duration, "How long it must hold its health before the rest follows"),
    key("promote", Kind::Word(&["manual"]), "In place of `soak`: wait for `mayfly promote`"),
];
const SHARE: Kind = Kind::Either(&[Kind::Whole(1, 5_000), Kind::Text]);
pub(crate) static LOCK: &[Field] = &[
    must("bucket", Kind::Text, "The bucket"),
    key("prefix", Kind::Text, "What the object's key begins with"),
];
pub(crate) static STATES: &[Field] = &[
    must("url", Kind::Text, "Address of the repository, as instances reach it"),
    key("deploy_url", Kind::Text, "Where the deployer asks for the commit, when it differs"),
    key("ref", Kind::Text, "Branch or tag; main when not given"),
    key("follow", Kind::Flag, "false: instances stay on the commit they were deployed with"),
    key("file_root", Kind::Text, "Folder of the SLS files"),
    key("pillar_root", Kind::Text, "Folder of the pillar files"),
    key("file_roots", Kind::Free, "Environment to folder, or a list of them"),
    key("pillar_roots", Kind::Free, "Environment to folder of pillar files, or a list of them"),
    key("token_file", Kind::Text, "File on the image with an HTTPS token"),
    key("ssh_key_file", Kind::Text, "Private key on the image"),
    key("known_hosts_file", Kind::Text, "Known hosts on the image"),
    key("mirrors", Kind::List, "Other addresses of the repository, asked in order"),
    key("token", Kind::Section(SECRET), "Where instances find an HTTPS token"),
    key("ssh_key", Kind::Section(SECRET), "Where instances find a private key for SSH"),
    key("github_app", Kind::Section(APP), "A GitHub App that gives instances their tokens"),
    key("proxy", Kind::Text, "The HTTP proxy on the way to the repository"),
    key("signed_by", Kind::List, "Public keys: only commits that one of them signed are applied"),
    key("submodules", Kind::Flag, "false: submodules are not fetched"),
    key("formulas", Kind::Sections(FORMULA), "Repositories whose folders join the file roots"),
];
pub(crate) static SECRET: &[Field] = &[
    key("file", Kind::Text, "File on the image"),
    key("ssm", Kind::Text, "SSM parameter"),
    key("secret", Kind::Text, "Secret of Secrets Manager"),
    key("key", Kind::Text, "With `secret`: the key of a JSON mapping in it"),
];
pub(crate) static APP: &[Field] = &[
    must("id", Kind::Either(&[Kind::Whole(1, u64::MAX), Kind::Text]), "The app's number or client id"),
    must("installation", Kind::Whole(1, u64::MAX), "The number of the installation"),
    must("key", Kind::Section(SECRET), "Where the app's private key is"),
    key("api", Kind::Text, "Base of the API, for GitHub Enterprise"),
];
pub(crate) static FORMULA: &[Field] = &[
    must("url", Kind::Text, "Address of the repository"),
    key("ref", Kind::Text, "Branch or tag; main when not given"),
    key("commit", Kind::Text, "The commit to stay on"),
    key("root", Kind::Text, "The folder that joins the file roots; the whole when not given"),
    key("name", Kind::Text, "Its name; that of the repository when not given"),
    key("signed_by", Kind::List, "Public keys, as for the tree"),
];
pub(crate) static WATCH: &[Field] = &[
    key("name", Kind::Text, "Name of the rule"),
    key(
        "paths",
        Kind::List,
        "Shell patterns; without any, it is about what the states let the service watch",
    ),
    key("service", Kind::Text, "The service that is restarted; not needed with `paths` and `run COMMAND`"),
    key("action", Kind::Text, "restart, reload, signal NAME or run COMMAND"),
    key("debounce", Kind::Duration, "How long changes are gathered"),
    key("check", Kind::Text, "Command that must pass before"),
    key("rate", Kind::Text, "How often at most, such as 3/1m"),
    key(
        "on_edit",
        Kind::Word(&["restart", "revert", "report"]),
        "When a file of the states is edited by hand",
    ),
];
pub(crate) static PROBE: &[Field] = &[
    must("port", Kind::Whole(1, 65_535), "Port"),
    key("path", Kind::Text, "Path; / when not given"),
    key("address", Kind::Word(&["private", "public"]), "Which address of the instance"),
    key("scheme", Kind::Word(&["http", "https"]), "http when not given"),
    key("interval", Kind::Duration, "Time from one question to the next; 1s when not given"),
    key("timeout", Kind::Duration, "How long one answer may take; 2s when not given"),
];
pub(crate) static TIMEOUTS: &[Field] = &[
    key("running", Kind::Duration, "Launched to running; 5m when not given"),
    key("probe", Kind::Duration, "Running to ready; 5m when not given"),
    key("in_service", Kind::Duration, "Registered to in service; 5m when not given"),
    key("drain", Kind::Duration, "Beyond the balancer's own draining time; 0s when not given"),
    key("pause", Kind::Duration, "How long a pause before a step waits to be let go on"),
];
pub(crate) static NOTIFY: &[Field] = &[
    must(
        "webhook",
        Kind::Either(&[Kind::Text, Kind::Section(FROM_ENV)]),
        "Address that gets the notices, or the environment variable that holds it",
    ),
    key("on", Kind::List, "Of start, success, failure, rollback; all when not given"),
];
pub(crate) static FROM_ENV: &[Field] = &[must("env", Kind::Text, "Environment variable that holds it")];
pub(crate) static GITHUB: &[Field] = &[
    must("repository", Kind::Text, "OWNER/NAME"),
    key(
        "ref",
        Kind::Text,
        "What is deployed; the state commit, or the CI job's commit in its own repository",
    ),
    key("api", Kind::Text, "Address of the API, for GitHub Enterprise"),
    key("token_env", Kind::Text, "Environment variable that holds the token; GITHUB_TOKEN when not given"),
];
pub(crate) static HOOK: &[Field] = &[
    key("before", Kind::Texts, "Steps; a hook that fails fails the step"),
    key("after", Kind::Texts, "Steps, or `deployment` for the end of it"),
    key("run", Kind::List, "The program and its arguments"),
    key("shell", Kind::Text, "In place of `run`: a line for /bin/sh"),
    key("timeout", Kind::Duration, "How long it may take; 5m when not given"),
    key(
        "on_failure",
        Kind::Word(&["undo", "go-on"]),
        "Of an `after` hook: undo the deployment, or say so and go on (when not given)",
    ),
];
pub(crate) static SCHEDULE: &[Field] = &[
    must("cron", Kind::Text, "Cron expression in UTC"),
    key("env", Kind::Text, "Which environment; production when not given"),
    key("set", Kind::Free, "Dotted pillar keys to values, as with --set"),
];

/// What a hook can stand before or after: every step, and `deployment`, the end of all.
pub(crate) fn hook_points() -> Vec<&'static str> {
    Action::ALL.iter().map(|action| action.name()).chain([DEPLOYMENT]).collect()
}

/// The end of a deployment, as a point for hooks.
pub(crate) const DEPLOYMENT: &str = "deployment";

/// The field of that name.
pub(crate) fn field(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.name == name)
}

impl Kind {
    /// The keys of the mapping that this kind takes.
    pub(crate) fn section(&'static self) -> Option<&'static [Field]> {
        match self {
            Self::Section(fields) | Self::Sections(fields) => Some(fields),
            Self::Either(kinds) => kinds.iter().find_map(Self::section),
            _ => None,
        }
    }
}
