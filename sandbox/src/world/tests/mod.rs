//! The cloud's behaviours, each tested in virtual time against the fact it reproduces (`docs/sandbox-api.md`).
mod balancers;
mod faults;
mod images;
mod instances;
mod launch;
mod listeners;
mod network;
mod parameters;
mod properties;
mod target_health;
mod targets;
mod templates;

use chrono::TimeDelta;

use super::*;

/// A world with a clock of its own and a runtime that does what it is asked at once.
struct Bench {
    world: World,
    now: Timestamp,
    /// Everything that was asked for.
    effects: Vec<Effect>,
    /// Machines come up and go away as asked; otherwise a test reports what happens.
    obliging: bool,
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = Timestamp::from_timestamp(1_767_225_600, 0).expect("a moment");
        Self { world: World::new(config, 7, now), now, effects: Vec::new(), obliging: true }
    }

    /// Without delays.
    fn quick() -> Self {
        Self::new(Config { delays: Delays::none(), ..Config::default() })
    }

    fn with(delays: Delays) -> Self {
        Self::new(Config { delays, ..Config::default() })
    }

    fn outcome(&mut self, request: &Request) -> Outcome {
        let mut outcome = self.world.call(self.now, request);
        self.carry_out(std::mem::take(&mut outcome.effects));
        outcome
    }

    fn ec2(&mut self, request: Ec2Request) -> ApiResult<Response> {
        self.outcome(&Request::Ec2(Box::new(request), false)).result
    }

    fn elb(&mut self, request: ElbRequest) -> ApiResult<Response> {
        self.outcome(&Request::Elb(Box::new(request))).result
    }

    fn elbv2(&mut self, request: Elbv2Request) -> ApiResult<Response> {
        self.outcome(&Request::Elbv2(Box::new(request))).result
    }

    fn ssm(&mut self, request: SsmRequest) -> ApiResult<Response> {
        self.outcome(&Request::Ssm(Box::new(request))).result
    }

    fn observe(&mut self, observation: &Observation) {
        let effects = self.world.observe(self.now, observation);
        self.carry_out(effects);
    }

    /// Lets time pass, stopping at every moment at which the world has something to do.
    fn pass(&mut self, milliseconds: i64) {
        let end = self.now + TimeDelta::milliseconds(milliseconds);
        while let Some(due) = self.world.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let effects = self.world.tick(self.now);
            self.carry_out(effects);
            assert!(
                self.world.next_due().is_none_or(|next| next > self.now),
                "a due moment that never passes"
            );
        }
        self.now = end;
        let effects = self.world.tick(self.now);
        self.carry_out(effects);
    }

    /// In the order in which they were asked for, as a queue would: answers to the first come after the last.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        let answers: Vec<Observation> = effects.iter().filter_map(answer).collect();
        self.effects.extend(effects);
        if self.obliging {
            answers.iter().for_each(|answer| self.observe(answer));
        }
    }

    fn launch(&mut self, body: RunInstances) -> ApiResult<Vec<Instance>> {
        match self.ec2(Ec2Request::RunInstances(body))? {
            Response::Launched(reservation) => Ok(reservation.instances),
            other => panic!("{other:?}"),
        }
    }

    /// Ids of so many new instances.
    fn boot(&mut self, count: u32) -> Vec<String> {
        if count == 0 {
            return Vec::new();
        }
        let launched = self.launch(run(count, count)).expect("a launch");
        launched.into_iter().map(|instance| instance.id).collect()
    }

    fn describe(&mut self, body: Describe) -> ApiResult<Vec<Instance>> {
        match self.ec2(Ec2Request::DescribeInstances(body))? {
            Response::Instances(page) => Ok(page.items.into_iter().flat_map(|r| r.instances).collect()),
            other => panic!("{other:?}"),
        }
    }

    fn state(&self, id: &str) -> InstanceState {
        self.world.instance(id).expect("a known instance").state
    }

    fn terminate(&mut self, ids: &[String]) -> ApiResult<Response> {
        self.ec2(Ec2Request::TerminateInstances(InstanceIds { ids: ids.to_vec(), force: false }))
    }

    fn started(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::StartMachine(_))).count()
    }
}

fn answer(effect: &Effect) -> Option<Observation> {
    match effect {
        Effect::StartMachine(spec) => Some(Observation::MachineStarted { id: spec.id.clone() }),
        Effect::StopMachine { id, .. } => Some(Observation::MachineStopped { id: id.clone() }),
        Effect::DestroyMachine { id } => Some(Observation::MachineGone { id: id.clone() }),
        Effect::CopyImage { image_id, .. } | Effect::CloneImage { image_id, .. } => {
            Some(Observation::ImageCopied { image_id: image_id.clone() })
        }
        _ => None,
    }
}

fn run(min: u32, max: u32) -> RunInstances {
    let spec = LaunchSpec { image_id: Some(MAYFLY_BARE.to_owned()), ..LaunchSpec::default() };
    RunInstances { spec, min, max, ..RunInstances::default() }
}

fn with_token(token: &str) -> RunInstances {
    RunInstances { client_token: Some(token.to_owned()), ..run(1, 1) }
}

fn by_ids(ids: &[&str]) -> Describe {
    Describe { ids: ids.iter().map(|&id| id.to_owned()).collect(), ..Describe::default() }
}

fn by_filter(name: &str, values: &[&str]) -> Describe {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Describe { filters: vec![Filter { name: name.to_owned(), values }], ..Describe::default() }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn code<T: std::fmt::Debug>(result: ApiResult<T>) -> String {
    result.expect_err("an error").code
}
