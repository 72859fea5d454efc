//! One schedule: a scenario, the faults of its deployment, a seed. It runs, is judged, and is run again without faults.

use crate::bench::{Deployer, Ending, Ran};
use crate::fault::{At, Fault};
use crate::machines::Temper;
use crate::random::Random;
use crate::scenario::{Course, Scenario};
use crate::settled::{self, Expected};
use crate::stage;
use crate::universe::Universe;
use chrono::TimeDelta;
use mayfly_deployer::plan::{Intent, Task};
use mayfly_deployer::run::{Failure, Outcome};
use mayfly_deployer::spec::{Spec, Strategy};
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
        let Scenario { course, new, temper, .. } = self.scenario;
        let spec = self.scenario.spec(new, 2, temper);
        let first = self.deployer(spec, course.intent(), 3).deploy(stage, &self.faults, self.seed);
        let mut wrong = first.breaches.clone();
        wrong.extend(self.judge(&first));
        let again = !matches!(first.ending, Ending::Ended(Outcome::Done)) && wrong.is_empty();
        let mut second = None;
        if again {
            wrong.extend(self.recovered(&first));
            let rerun = self.again(&first, Task::Deploy);
            wrong.extend(faults_of("rerun", &rerun));
            if wrong.is_empty() {
                let releases = &[("r4", new as usize)];
                let ghosts = self.kills();
                let expected = Expected { died: 0, well: true, whole: true, ghosts, releases };
                wrong.extend(prefixed("rerun", self.unsettled(&rerun, &expected)));
            }
            second = Some(rerun);
        }
        Verdict { wrong, first, second }
    }

    fn deployer(&self, spec: Spec, intent: Intent, number: u32) -> Deployer {
        Deployer::new(&self.scenario, spec, intent, number)
    }

    /// What is wrong after `mayfly recover`: it must complete or undo, and leave what was left on purpose.
    fn recovered(&self, first: &Ran) -> Vec<String> {
        let ran = self.again(first, Task::Recover);
        if matches!(ran.ending, Ending::Ended(Outcome::Refused(_))) {
            return Vec::new();
        }
        // One that is ill is kept and waited for; that it does not heal is said, and the deployment behind this replaces it.
        let waited = matches!(
            &ran.ending,
            Ending::Ended(
                Outcome::Dirty { cause: Failure::TimedOut { .. } | Failure::Hopeless { .. }, .. }
                    | Outcome::RolledBack(Failure::TimedOut { .. } | Failure::Hopeless { .. })
            )
        );
        if waited && settled::is_anyone_ill(&first.universe) {
            return prefixed("recover", ran.breaches);
        }
        let mut wrong = faults_of("recover", &ran);
        if wrong.is_empty() && matches!(ran.ending, Ending::Ended(Outcome::Done)) && self.spares_the_old() {
            let held = [("r1", self.scenario.old as usize), ("r2", self.scenario.new as usize)];
            let mixed = self.scenario.course.is_mixed();
            let expected = Expected {
                died: if mixed { usize::MAX / 2 } else { 0 },
                well: self.met(Fault::NewSicken) == 0,
                whole: !mixed,
                ghosts: self.kills(),
                releases: if mixed { &held } else { &[] },
            };
            wrong.extend(prefixed("recover", self.unsettled(&ran, &expected)));
        }
        wrong
    }

    fn met(&self, fault: Fault) -> usize {
        self.faults.iter().filter(|at| at.fault == fault).count()
    }

    /// Whether instances die without having been asked to: their addresses stay with their target groups.
    fn kills(&self) -> bool {
        self.met(Fault::NewDies) + self.met(Fault::OldDies) > 0
    }

    /// The next run. On another machine it is told who holds the lock until the lease of the dead has run out.
    fn again(&self, first: &Ran, task: Task) -> Ran {
        let mut universe = first.universe.clone();
        universe.advance(universe.now() + TimeDelta::seconds(2));
        let spec = self.scenario.spec(self.scenario.new, 4, Temper::Fit);
        let deployer = self.deployer(spec, Intent { task, ..Intent::default() }, 4);
        let deployer = if self.scenario.course.is_by_hand() && task == Task::Deploy {
            let spec = self.scenario.spec(self.scenario.new, 4, Temper::Fit);
            self.deployer(Spec { strategy: Strategy::BlueGreen, ..spec }, Intent::default(), 4)
        } else if task == Task::Recover {
            deployer.keeping(self.scenario.minimum().min(self.scenario.old))
        } else {
            deployer
        };
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
        let Scenario { course, old, .. } = self.scenario;
        let (died, well) =
            (self.met(Fault::NewDies) + self.met(Fault::OldDies), self.met(Fault::NewSicken) == 0);
        let (ghosts, whole) = (self.kills(), true);
        let settled = |releases: &[(&str, usize)]| {
            self.unsettled(ran, &Expected { died, well, whole, ghosts, releases })
        };
        match &ran.ending {
            Ending::Endless => vec!["the deployer never ends".to_owned()],
            Ending::Ended(Outcome::Done) => settled(&self.wanted()),
            Ending::Ended(Outcome::Canary | Outcome::Partial) => {
                let (died, whole) = (usize::MAX / 2, false);
                let releases = &[("r1", old as usize), ("r2", self.part())];
                self.unsettled(ran, &Expected { died, well, whole, ghosts, releases })
            }
            Ending::Ended(Outcome::RolledBack(_)) if course.deploys() && self.spares_the_old() => {
                settled(&[("r1", old as usize)])
            }
            Ending::Ended(Outcome::Dirty { left, .. }) if left.is_empty() => {
                vec!["it ends dirty and does not say what is left".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// What runs when all went well.
    fn wanted(&self) -> Vec<(&'static str, usize)> {
        let Scenario { course, old, new, .. } = self.scenario;
        match course {
            Course::Abort | Course::AbortOnly | Course::Rollback => vec![("r1", old as usize)],
            _ => vec![("r2", new as usize)],
        }
    }

    /// How many of the new a part is.
    fn part(&self) -> usize {
        let all = self.scenario.new as usize;
        if self.scenario.course == Course::Only { all.div_ceil(2) } else { all.div_ceil(3) }
    }

    /// Whether no fault takes old instances.
    fn spares_the_old(&self) -> bool {
        !self.faults.iter().any(|at| at.fault == Fault::OldDies)
    }

    /// What is not as it should be, once all that was begun has ended. What falls ill after the deployer's last look is
    /// not its doing.
    fn unsettled(&self, ran: &Ran, expected: &Expected<'_>) -> Vec<String> {
        let mut universe = ran.universe.clone();
        universe.advance(universe.now() + TimeDelta::seconds(120));
        settled::faults(&universe, &self.scenario, expected)
    }
}

fn prefixed(run: &str, wrong: Vec<String>) -> Vec<String> {
    wrong.into_iter().map(|text| format!("{run}: {text}")).collect()
}

/// What must not be in any run that nothing disturbs.
fn faults_of(run: &str, ran: &Ran) -> Vec<String> {
    let mut wrong = ran.breaches.clone();
    if !matches!(ran.ending, Ending::Ended(Outcome::Done | Outcome::Canary | Outcome::Partial)) {
        wrong.push(format!("{:?}", ran.ending));
    }
    prefixed(run, wrong)
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
