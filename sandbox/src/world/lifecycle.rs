//! Carries instances and images from state to state: by the clock and by what the runtime saw.
use super::config::ms;
use super::effect::{Effect, MachineSpec, Observation, PortRange};
use super::model::{ImageState, Instance, InstanceState, StateReason, Timestamp};
use super::{World, seed};

impl World {
    /// Transitions whose time has come and whose machine has done its part.
    pub(super) fn advance_lifecycle(&mut self, now: Timestamp) {
        let ready = |instance: &&Instance| moves(instance) && now >= instance.due;
        let ids: Vec<String> = self.instances.values().filter(ready).map(|i| i.id.clone()).collect();
        for id in ids {
            self.advance_instance(now, &id);
        }
        for image in self.images.values_mut() {
            if image.state == ImageState::Pending && image.copied && now >= image.due {
                image.state = ImageState::Available;
                if let Some(snapshot) = self.snapshots.get_mut(&image.snapshot_id) {
                    snapshot.completed = true;
                }
            }
        }
        self.bury(now);
    }

    fn advance_instance(&mut self, now: Timestamp, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        match instance.state {
            InstanceState::Pending if instance.doomed.is_some() => {
                instance.reason = instance.doomed.take();
                self.begin_termination(now, id);
            }
            InstanceState::Pending => {
                instance.state = InstanceState::Running;
                instance.running_since = Some(instance.due.max(instance.launch_time));
            }
            InstanceState::Stopping if instance.observed => instance.state = InstanceState::Stopped,
            InstanceState::ShuttingDown if instance.observed => {
                instance.state = InstanceState::Terminated;
                instance.terminated_at = Some(now);
                self.forget_member(id);
            }
            _ => {}
        }
    }

    /// Removes instances of which neither an answer nor a token can speak any more.
    fn bury(&mut self, now: Timestamp) {
        let keep = ms(self.config.delays.corpse_ms.max(self.config.delays.token_ms));
        let over = |instance: &Instance| instance.terminated_at.is_some_and(|at| now - at > keep);
        self.instances.retain(|_, instance| !over(instance));
        let instances = &self.instances;
        self.tokens.retain(|ids| ids.iter().any(|id| instances.contains_key(id)));
    }

    /// When the next transition by the clock is due.
    pub(super) fn lifecycle_due(&self) -> Option<Timestamp> {
        let instances = self.instances.values().filter(|i| moves(i)).map(|instance| instance.due);
        let images = self.images.values().filter(|image| image.state == ImageState::Pending && image.copied);
        instances.chain(images.map(|image| image.due)).min()
    }

    /// Takes in an observation. One about something unknown or past is ignored: it crossed a call on its way.
    pub(super) fn apply(&mut self, now: Timestamp, observation: &Observation) {
        match observation {
            Observation::MachineStarted { id } => self.mark(id, InstanceState::Pending),
            Observation::MachineStopped { id } => self.mark(id, InstanceState::Stopping),
            Observation::MachineGone { id } => self.mark(id, InstanceState::ShuttingDown),
            Observation::MachineFailed { id, reason } => self.machine_failed(now, id, reason),
            Observation::MachineDied { id, reason } => self.machine_died(now, id, reason),
            Observation::MachinePoweredOff { id } => self.powered_off(now, id),
            Observation::Probed { pool, backend, outcome } if is_group(pool) => {
                self.target_probed(now, pool, backend, *outcome);
            }
            Observation::Probed { pool, backend, outcome } => self.probed(pool, backend, outcome.passed()),
            // A target is shown as draining until its delay is over, whatever is in flight.
            Observation::Drained { pool, .. } if is_group(pool) => {}
            Observation::Drained { pool, backend } => self.drained(pool, backend),
            Observation::ImageCopied { image_id } => {
                if let Some(image) = self.images.get_mut(image_id) {
                    image.copied = true;
                    image.due = image.due.max(now + ms(self.config.delays.image_ms));
                }
            }
            Observation::ImageFailed { image_id, reason } => {
                if let Some(image) = self.images.get_mut(image_id).filter(|i| i.state == ImageState::Pending)
                {
                    image.state = ImageState::Failed;
                    image.reason = Some(reason.clone());
                }
            }
        }
    }

    fn mark(&mut self, id: &str, expected: InstanceState) {
        if let Some(instance) = self.instances.get_mut(id).filter(|instance| instance.state == expected) {
            instance.observed = true;
        }
    }

    fn machine_failed(&mut self, now: Timestamp, id: &str, reason: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if instance.state == InstanceState::Pending {
            instance.reason = Some(StateReason::new("Server.InternalError", reason));
            self.begin_termination(now, id);
        }
    }

    fn machine_died(&mut self, now: Timestamp, id: &str, reason: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if matches!(instance.state, InstanceState::Pending | InstanceState::Running) {
            instance.reason = Some(StateReason::new("Server.InternalError", reason));
            instance.transition = format!("Server.InternalError: {reason}");
            self.begin_termination(now, id);
        }
    }

    fn powered_off(&mut self, now: Timestamp, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if !matches!(instance.state, InstanceState::Pending | InstanceState::Running) {
            return;
        }
        let code = "Client.InstanceInitiatedShutdown";
        instance.reason = Some(StateReason::new(code, "Instance initiated shutdown"));
        instance.transition = transition_text("Instance initiated", now);
        if instance.terminate_on_shutdown {
            self.begin_termination(now, id);
        } else {
            instance.state = InstanceState::Stopped;
            instance.running_since = None;
        }
    }

    /// On the way to `terminated`; state reason and transition text are the caller's to set.
    pub(super) fn begin_termination(&mut self, now: Timestamp, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.state = InstanceState::ShuttingDown;
        instance.observed = false;
        instance.doomed = None;
        instance.running_since = None;
        instance.due = now + ms(self.config.delays.shutting_down_ms);
        self.outbox.push(Effect::DestroyMachine { id: id.to_owned() });
    }

    /// The effect that boots an instance as it is recorded now.
    pub(super) fn machine(&self, instance: &Instance) -> Effect {
        Effect::StartMachine(Box::new(MachineSpec {
            id: instance.id.clone(),
            image_id: instance.image_id.clone(),
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            region: seed::REGION.to_owned(),
            private_ip: instance.private_ip,
            public_ip: instance.public_ip,
            hostname: instance.hostname(),
            user_data: instance.user_data.clone(),
            ports: self.ports_of(instance),
            tags: instance.tags.clone(),
            metadata: instance.metadata.clone(),
            instance_profile: instance.instance_profile.clone(),
            key_name: instance.key_name.clone(),
            launch_time: instance.launch_time,
        }))
    }

    /// The ports that an instance's security groups open, without repeats.
    pub(super) fn ports_of(&self, instance: &Instance) -> Vec<PortRange> {
        let groups = instance.groups.iter().filter_map(|id| self.groups.get(id));
        let mut ports: Vec<PortRange> = groups.flat_map(|group| group.ports.iter().copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Tells changed ports of machines that are up or coming up.
    pub(super) fn settle_ports(&mut self) {
        let up =
            |instance: &Instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running);
        let mut shown = std::mem::take(&mut self.shown_ports);
        shown.retain(|id, _| self.instances.get(id).is_some_and(up));
        for instance in self.instances.values().filter(|instance| up(instance)) {
            let ports = self.ports_of(instance);
            match shown.get_mut(&instance.id) {
                Some(told) if *told == ports => {}
                Some(told) => {
                    told.clone_from(&ports);
                    self.outbox.push(Effect::OpenPorts { id: instance.id.clone(), ports });
                }
                // A machine that is new here was told its ports with its start.
                None => drop(shown.insert(instance.id.clone(), ports)),
            }
        }
        self.shown_ports = shown;
    }
}

/// Whether only the clock stands between an instance and its next state.
fn moves(instance: &Instance) -> bool {
    let moving = matches!(
        instance.state,
        InstanceState::Pending | InstanceState::Stopping | InstanceState::ShuttingDown
    );
    moving && (instance.observed || instance.doomed.is_some())
}

/// Whether a pool is a target group; classic balancers' names have no colon.
fn is_group(pool: &str) -> bool {
    pool.starts_with("arn:")
}

/// `User initiated (2026-01-02 03:04:05 GMT)`.
pub(super) fn transition_text(who: &str, now: Timestamp) -> String {
    format!("{who} ({} GMT)", now.format("%Y-%m-%d %H:%M:%S"))
}
