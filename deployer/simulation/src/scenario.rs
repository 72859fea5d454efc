//! What is done to what: the course, balancers, counts, how the new version turns out. Written as one word.

use crate::machines::Temper;
use crate::random::Random;
use mayfly_deployer::plan::{Intent, Task};
use mayfly_deployer::spec::{Share, Spec};
use mayfly_sandbox::world::MAYFLY_BARE;
use std::fmt;
use std::str::FromStr;

/// The service under test.
pub const SERVICE: &str = "greeter";
/// Its environment.
pub const ENVIRONMENT: &str = "production";
/// The classic balancer.
pub const CLASSIC: &str = "front";
/// The target group whose targets are instances.
pub const GROUP: &str = "web";
/// The target group whose targets are addresses.
pub const ADDRESSES: &str = "web-ip";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// All at once.
    BlueGreen,
    /// One by one.
    Rolling,
    /// Two at a time, down to half.
    RollingLow,
    /// A third first, the rest once that has held.
    Canary,
    /// A third, and no more.
    CanaryByHand,
    /// Half of all, and no more.
    Only,
    /// A canary by hand becomes the whole.
    Promote,
    /// A canary by hand is taken back.
    Abort,
    /// Half of all becomes the whole.
    PromoteOnly,
    /// Half of all is taken back.
    AbortOnly,
    /// Back to the release before.
    Rollback,
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::BlueGreen,
        Self::Rolling,
        Self::RollingLow,
        Self::Canary,
        Self::CanaryByHand,
        Self::Only,
        Self::Promote,
        Self::Abort,
        Self::PromoteOnly,
        Self::AbortOnly,
        Self::Rollback,
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BlueGreen => "blue-green",
            Self::Rolling => "rolling",
            Self::RollingLow => "rolling-low",
            Self::Canary => "canary",
            Self::CanaryByHand => "canary-by-hand",
            Self::Only => "only",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::PromoteOnly => "promote-only",
            Self::AbortOnly => "abort-only",
            Self::Rollback => "rollback",
        }
    }

    fn strategy(self) -> &'static str {
        match self {
            Self::BlueGreen | Self::Rollback | Self::Only | Self::PromoteOnly | Self::AbortOnly => {
                "blue-green"
            }
            Self::Rolling => "{rolling: {batch: 1}}",
            Self::RollingLow => "{rolling: {batch: 2, minimum: 50%}}",
            Self::Canary => "{canary: {size: 1/3, soak: 20s}}",
            Self::CanaryByHand | Self::Promote | Self::Abort => "{canary: {size: 1/3, promote: manual}}",
        }
    }

    /// What makes the stage after the first release, where anything does.
    #[must_use]
    pub fn before(self) -> Option<Intent> {
        match self {
            Self::Promote | Self::Abort | Self::Rollback => Some(Intent::default()),
            Self::PromoteOnly | Self::AbortOnly => Some(half()),
            _ => None,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn intent(self) -> Intent {
        match self {
            Self::Only => half(),
            Self::Promote | Self::PromoteOnly => Intent { task: Task::Promote, ..Intent::default() },
            Self::Abort | Self::AbortOnly => Intent { task: Task::Abort, ..Intent::default() },
            Self::Rollback => Intent { task: Task::Rollback(None), ..Intent::default() },
            _ => Intent::default(),
        }
    }

    /// Whether it can leave a part of the new beside a part of the old on purpose.
    #[must_use]
    pub fn is_mixed(self) -> bool {
        matches!(
            self,
            Self::CanaryByHand
                | Self::Only
                | Self::Promote
                | Self::Abort
                | Self::PromoteOnly
                | Self::AbortOnly
        )
    }

    /// Whether its strategy waits for a hand.
    #[must_use]
    pub fn is_by_hand(self) -> bool {
        matches!(self, Self::CanaryByHand | Self::Promote | Self::Abort)
    }

    /// Whether it brings a new version.
    #[must_use]
    pub fn deploys(self) -> bool {
        self.before().is_none()
    }
}

fn half() -> Intent {
    Intent { only: Some(Share::Part(1, 2)), ..Intent::default() }
}

/// What the service is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing.
    Nothing,
    /// A classic load balancer.
    Classic,
    /// An application load balancer, by a target group of instances.
    Group,
    /// A network load balancer, by a target group of addresses.
    Addresses,
    /// A classic load balancer and an application load balancer.
    Two,
}

impl Behind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::Classic, Self::Group, Self::Addresses, Self::Two];

    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Classic => "classic",
            Self::Group => "group",
            Self::Addresses => "addresses",
            Self::Two => "two",
        }
    }

    /// Names of the balancers.
    #[must_use]
    pub fn balancers(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Nothing => &[],
            Self::Classic => &[CLASSIC],
            Self::Group => &[GROUP],
            Self::Addresses => &[ADDRESSES],
            Self::Two => &[CLASSIC, GROUP],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn spec(self) -> String {
        let classic = format!("{{classic: {CLASSIC}}}");
        let group = |name: &str| format!("{{target_group: {name}}}");
        match self {
            Self::Nothing => String::new(),
            Self::Classic => format!("load_balancer: {classic}\n"),
            Self::Group => format!("load_balancer: {}\n", group(GROUP)),
            Self::Addresses => format!("load_balancer: {}\n", group(ADDRESSES)),
            Self::Two => format!("load_balancers: [{classic}, {}]\n", group(GROUP)),
        }
    }
}

/// One course over what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// What is done.
    pub course: Course,
    /// Behind what.
    pub behind: Behind,
    /// How many instances serve before; none for a first deployment.
    pub old: u32,
    /// How many are wanted.
    pub new: u32,
    /// How the new version turns out.
    pub temper: Temper,
}

impl Scenario {
    /// Over as many as are wanted, of a version that serves.
    #[must_use]
    pub fn even(course: Course, behind: Behind, count: u32) -> Self {
        Self { course, behind, old: count, new: count, temper: Temper::Fit }
    }

    /// Any.
    #[must_use]
    pub fn by_chance(random: &mut Random) -> Self {
        let count = |random: &mut Random, least| u32::try_from(random.between(least, 6)).unwrap_or(1);
        let course = *random.pick(&Course::ALL);
        let broken = course.deploys() && random.between(0, 3) == 0;
        let temper = if broken { *random.pick(&Temper::ALL) } else { Temper::Fit };
        let old = count(random, u64::from(!course.deploys()));
        let new = if course.deploys() { count(random, 1) } else { old };
        Self { course, behind: *random.pick(&Behind::ALL), old, new, temper }
    }

    /// How many have to serve at any time.
    #[must_use]
    pub fn minimum(&self) -> u32 {
        match self.course {
            Course::RollingLow => Share::Part(1, 2).of(self.new),
            Course::Abort | Course::AbortOnly | Course::Rollback => self.old,
            _ => self.new,
        }
    }

    /// The spec of a release of this service, as a user would write it.
    ///
    /// # Panics
    /// When the deployer does not take the spec.
    #[must_use]
    pub fn spec(&self, count: u32, release: u32, temper: Temper) -> Spec {
        let text = format!(
            "service: {SERVICE}\ncount: {count}\nimage: {MAYFLY_BARE}\ninstance_type: [t3.micro, t3.small]\n\
             states: {{url: 'https://git.example.org/states.git'}}\n{}strategy: {}\n\
             probe: {{port: 8080, path: /health}}\n\
             timeouts: {{running: 60s, probe: 60s, in_service: 60s}}\n\
             pillar:\n  note: 'release: r{release} temper: {}'\n",
            self.behind.spec(),
            self.course.strategy(),
            temper.word(),
        );
        Spec::parse(&text, "mayfly.yaml", ENVIRONMENT, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { course, behind, old, new, temper } = self;
        write!(f, "{}/{}/{old}-{new}/{}", course.word(), behind.word(), temper.word())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = |what: &str, word: &str| format!("`{word}` is no {what} in `{text}`");
        let [course, behind, counts, temper] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!("`{text}` is not COURSE/BEHIND/OLD-NEW/TEMPER"));
        };
        let (old, new) = counts.split_once('-').ok_or_else(|| unknown("pair of counts", counts))?;
        let number = |word: &str| word.parse().map_err(|_| unknown("count", word));
        Ok(Self {
            course: Course::ALL
                .into_iter()
                .find(|known| known.word() == course)
                .ok_or_else(|| unknown("course", course))?,
            behind: Behind::ALL
                .into_iter()
                .find(|known| known.word() == behind)
                .ok_or_else(|| unknown("balancer", behind))?,
            old: number(old)?,
            new: number(new)?,
            temper: Temper::of(temper).ok_or_else(|| unknown("temper", temper))?,
        })
    }
}
