//! What is deployed over what: strategy, balancers, counts, how the new version turns out. Written as one word.

use crate::machines::Temper;
use crate::random::Random;
use mayfly_deployer::spec::Spec;
use mayfly_sandbox::world::MAYFLY_BARE;
use std::fmt;
use std::str::FromStr;

/// The service under test.
pub const SERVICE: &str = "greeter";
/// Its environment.
pub const ENVIRONMENT: &str = "production";
/// The classic balancer.
pub const CLASSIC: &str = "front";

/// How the old are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// All at once.
    BlueGreen,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::BlueGreen];

    fn word(self) -> &'static str {
        match self {
            Self::BlueGreen => "blue-green",
        }
    }
}

/// What the service is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing.
    Nothing,
    /// A classic load balancer.
    Classic,
}

impl Behind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nothing, Self::Classic];

    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Classic => "classic",
        }
    }

    /// Names of the balancers.
    #[must_use]
    pub fn balancers(self) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Classic => vec![CLASSIC.to_owned()],
        }
    }

    fn spec(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Classic => "load_balancer: {classic: front}\n",
        }
    }
}

/// One deployment over what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// How.
    pub strategy: Strategy,
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
    /// Blue-green over as many as are wanted.
    #[must_use]
    pub fn blue_green(behind: Behind, count: u32) -> Self {
        Self { strategy: Strategy::BlueGreen, behind, old: count, new: count, temper: Temper::Fit }
    }

    /// Any.
    #[must_use]
    pub fn by_chance(random: &mut Random) -> Self {
        let count = |random: &mut Random, least| u32::try_from(random.between(least, 6)).unwrap_or(1);
        let temper = if random.between(0, 3) == 0 { *random.pick(&Temper::ALL) } else { Temper::Fit };
        Self {
            strategy: *random.pick(&Strategy::ALL),
            behind: *random.pick(&Behind::ALL),
            old: count(random, 0),
            new: count(random, 1),
            temper,
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
             states: {{url: 'https://git.example.org/states.git'}}\n{}\
             probe: {{port: 8080, path: /health}}\n\
             timeouts: {{running: 60s, probe: 60s, in_service: 60s}}\n\
             pillar:\n  note: 'release: r{release} temper: {}'\n",
            self.behind.spec(),
            temper.word(),
        );
        Spec::parse(&text, "mayfly.yaml", ENVIRONMENT, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, behind, old, new, temper } = self;
        write!(f, "{}/{}/{old}-{new}/{}", strategy.word(), behind.word(), temper.word())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = |what: &str, word: &str| format!("`{word}` is no {what} in `{text}`");
        let [strategy, behind, counts, temper] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!("`{text}` is not STRATEGY/BEHIND/OLD-NEW/TEMPER"));
        };
        let (old, new) = counts.split_once('-').ok_or_else(|| unknown("pair of counts", counts))?;
        let number = |word: &str| word.parse().map_err(|_| unknown("count", word));
        Ok(Self {
            strategy: Strategy::ALL
                .into_iter()
                .find(|known| known.word() == strategy)
                .ok_or_else(|| unknown("strategy", strategy))?,
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
