//! One schedule: a scenario, the faults of its deployment, a seed. It runs, is judged, and is run again without faults.

use crate::bench::{Deployer, Ending, Ran};
use crate::fault::{At, Fault};
use crate::machines::Temper;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::settled::{self, Expected};
use crate::stage;
use crate::universe::Universe;
use chrono::TimeDelta;
use mayfly_deployer::run::Outcome;
use std::fmt;
use std::str::FromStr;

/// A lease, and what clocks may differ by.
const LEASE_OVER: TimeDelta = TimeDelta::seconds(700);

/// A deployment and what goes wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What is deployed.
    pub scenario: Scenario,
    /// What goes wrong.
    pub faults: Vec<At>,
    /// Decides all durations.
    pub seed: u64,
    /// Whether the run after it is on another machine, where a dead process proves nothing.
    pub elsewhere: bool,
}

/// How a schedule went.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What is wrong; nothing when all is well.
    pub wrong: Vec<String>,
    /// The run with the faults.
    pub first: Ran,
    /// The run after it, if one was needed.
    pub second: Option<Ran>,
}

impl Schedule {
    /// What a seed brings: any scenario, and up to three faults anywhere.
    #[must_use]
    pub fn by_chance(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let scenario = Scenario::by_chance(&mut random);
        let count = random.between(1, 3);
        let longest = 60 + 30 * u64::from(scenario.new);
        let mut fault = || At {
            call: usize::try_from(random.between(1, longest)).unwrap_or(1),
            fault: *random.pick(&Fault::ALL),
        };
        let faults = (0..count).map(|_| fault()).collect();
        Self { scenario, faults, seed, elsewhere: random.between(0, 3) == 0 }
    }

    /// Sets its stage and runs it.
    #[must_use]
    pub fn run(&self) -> Verdict {
        self.run_on(stage::set(&self.scenario, self.seed))
    }

    /// Runs it on a stage that was set before.
    #[must_use]
    pub fn run_on(&self, stage: Universe) -> Verdict {
        let Scenario { new, temper, .. } = self.scenario;
        let first = Deployer::new(&self.scenario, new, 2, temper).deploy(stage, &self.faults, self.seed);
        let mut wrong = first.breaches.clone();
        wrong.extend(self.judge(&first));
        let again = !matches!(first.ending, Ending::Ended(Outcome::Done)) && wrong.is_empty();
        let second = again.then(|| self.rerun(&first));
        if let Some(second) = &second {
            wrong.extend(second.breaches.iter().map(|breach| format!("rerun: {breach}")));
            if second.ending != Ending::Ended(Outcome::Done) {
                wrong.push(format!("rerun: {:?}", second.ending));
            }
            wrong.extend(self.unsettled(second, new, "r3").into_iter().map(|text| format!("rerun: {text}")));
        }
        Verdict { wrong, first, second }
    }

    /// The next deployment. On another machine it is told who holds the lock until the lease of the dead has run out.
    fn rerun(&self, first: &Ran) -> Ran {
        let mut universe = first.universe.clone();
        universe.advance(universe.now() + TimeDelta::seconds(2));
        let deployer = Deployer::new(&self.scenario, self.scenario.new, 3, Temper::Fit);
        if !self.elsewhere {
            return deployer.deploy(universe, &[], self.seed + 1);
        }
        let deployer = deployer.elsewhere();
        let is_locked = settled::is_locked(&universe);
        let ran = deployer.deploy(universe, &[], self.seed + 1);
        if !is_locked || !matches!(ran.ending, Ending::Ended(Outcome::Locked(_))) {
            return ran;
        }
        let mut universe = ran.universe;
        universe.advance(universe.now() + LEASE_OVER);
        deployer.deploy(universe, &[], self.seed + 2)
    }

    /// Whether the cloud is as the outcome says.
    fn judge(&self, ran: &Ran) -> Vec<String> {
        match &ran.ending {
            Ending::Endless => vec!["the deployer never ends".to_owned()],
            Ending::Ended(Outcome::Done) => self.unsettled(ran, self.scenario.new, "r2"),
            Ending::Ended(Outcome::RolledBack(_)) if self.spares_the_old() => {
                self.unsettled(ran, self.scenario.old, "r1")
            }
            Ending::Ended(Outcome::Dirty { left, .. }) if left.is_empty() => {
                vec!["it ends dirty and does not say what is left".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether no fault takes old instances.
    fn spares_the_old(&self) -> bool {
        !self.faults.iter().any(|at| at.fault == Fault::OldDies)
    }

    /// What is not as it should be, once all that was begun has ended. What falls ill after the deployer's last look is
    /// not its doing.
    fn unsettled(&self, ran: &Ran, count: u32, release: &str) -> Vec<String> {
        let mut universe = ran.universe.clone();
        universe.advance(universe.now() + TimeDelta::seconds(120));
        let met = |fault: Fault| self.faults.iter().filter(|at| at.fault == fault).count();
        let faulty = release == "r2";
        let expected = Expected {
            count: count as usize,
            died: if faulty { met(Fault::NewDies) } else { 0 },
            well: !faulty || met(Fault::NewSicken) == 0,
            release: Some(release),
        };
        settled::faults(&universe, &self.scenario, &expected)
    }
}

/// Says in a schedule that the next run is on another machine.
const ELSEWHERE: &str = "-elsewhere";

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}{}", self.scenario, self.seed, if self.elsewhere { ELSEWHERE } else { "" })?;
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        if faults.is_empty() { Ok(()) } else { write!(f, "@{}", faults.join("+")) }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (head, faults) = text.split_once('@').unwrap_or((text, ""));
        let (scenario, seed) = head.split_once('#').unwrap_or((head, "1"));
        let faults =
            faults.split('+').filter(|word| !word.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        let (seed, elsewhere) = match seed.strip_suffix(ELSEWHERE) {
            Some(seed) => (seed, true),
            None => (seed, false),
        };
        let seed = seed.parse().map_err(|_| format!("`{seed}` is not a seed"))?;
        Ok(Self { scenario: scenario.parse()?, faults, seed, elsewhere })
    }
}
