//! Carries out what the world wants: its effects go to the runtime, and what that sees goes back as observations.
// Effects: this is where the world's wishes are carried out.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::api::{Cloud, Console};
use crate::runtime::balancer::{Balancer, Dial, Options, Report};
use crate::runtime::disk::Disk;
use crate::runtime::fabric::Fabric;
use crate::runtime::forward::Forwards;
use crate::runtime::imds::{Directory, Identity};
use crate::runtime::machines::{Ended, Launch, Machines};
use crate::runtime::spec::Ending;
use crate::world::{self, BalancerPlan, Effect, InstanceState, MachineSpec, Observation, PortRange};

/// Reports of probes that may wait.
const REPORTS: usize = 1024;

/// Everything that runs; shared by the API, the control endpoints and the tasks of the daemon.
pub(crate) struct Engine {
    cloud: Arc<Cloud>,
    disk: Arc<Disk>,
    machines: Machines,
    forwards: Forwards,
    fabric: Fabric,
    balancers: Mutex<HashMap<String, Running>>,
    reports: mpsc::Sender<Report>,
    /// One queue per instance: effects on one are carried out in order, on many side by side.
    queues: Mutex<HashMap<String, mpsc::UnboundedSender<Effect>>>,
}

struct Running {
    plans: watch::Sender<BalancerPlan>,
    data_path: Balancer,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Over a runtime that is up. Starts the tasks that listen to it, to the world and to the clock.
    pub(crate) fn start(
        (cloud, effects): (Arc<Cloud>, mpsc::UnboundedReceiver<Effect>),
        disk: Arc<Disk>,
        fabric: Fabric,
        machines: Machines,
        ends: mpsc::UnboundedReceiver<Ended>,
    ) -> Arc<Self> {
        let (reports, reported) = mpsc::channel(REPORTS);
        let engine = Arc::new(Self {
            cloud,
            disk,
            machines,
            forwards: Forwards::new(fabric.clone()),
            fabric,
            balancers: Mutex::default(),
            reports,
            queues: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&engine).listen_to_reports(reported));
        tokio::spawn(Arc::clone(&engine).listen_to_ends(ends));
        tokio::spawn(Arc::clone(&engine.cloud).keep_time());
        tokio::spawn(Arc::clone(&engine).listen_to_world(effects));
        engine
    }

    /// The console of an instance.
    pub(crate) fn console(&self, id: &str) -> Option<Vec<u8>> {
        self.machines.console(id)
    }

    /// What each backend of each balancer has in flight.
    pub(crate) fn plans(&self) -> Vec<BalancerPlan> {
        lock(&self.balancers).values().map(|running| running.plans.borrow().clone()).collect()
    }

    /// Ends every instance and every data path.
    pub(crate) async fn end(&self) {
        let balancers: Vec<Running> = lock(&self.balancers).drain().map(|(_, running)| running).collect();
        for running in balancers {
            running.data_path.stop().await;
        }
        let running = self.machines.running();
        futures::future::join_all(running.iter().map(|id| self.machines.stop(id, true))).await;
    }

    fn observe(&self, observation: &Observation) {
        tracing::debug!(?observation, "seen");
        self.cloud.observe(observation);
    }

    async fn listen_to_reports(self: Arc<Self>, mut reports: mpsc::Receiver<Report>) {
        while let Some(report) = reports.recv().await {
            match &report {
                Report::NotListening { balancer, port, reason } => {
                    tracing::warn!(%balancer, port, %reason, "a load balancer's listener is not open on the host");
                }
                report => tracing::debug!(?report, "data path"),
            }
            if let Some(observation) = report.observation() {
                self.observe(&observation);
            }
        }
    }

    async fn listen_to_ends(self: Arc<Self>, mut ends: mpsc::UnboundedReceiver<Ended>) {
        while let Some(Ended { id, ending, asked }) = ends.recv().await {
            if asked {
                continue;
            }
            tracing::info!(instance = %id, ?ending, "instance ended by itself");
            match ending {
                Ending::Reboot => self.queue(&id, Effect::RebootMachine { id: id.clone() }),
                Ending::PowerOff => self.observe(&Observation::MachinePoweredOff { id }),
                Ending::Killed => {
                    self.observe(&Observation::MachineDied {
                        id,
                        reason: "its processes were killed".into(),
                    });
                }
                Ending::Failed => {
                    self.observe(&Observation::MachineDied { id, reason: "its first process failed".into() });
                }
            }
        }
    }

    async fn listen_to_world(self: Arc<Self>, mut effects: mpsc::UnboundedReceiver<Effect>) {
        while let Some(effect) = effects.recv().await {
            self.dispatch(effect);
        }
    }

    /// Sends an effect on its way; never blocks.
    fn dispatch(self: &Arc<Self>, effect: Effect) {
        let id = match &effect {
            Effect::StartMachine(spec) => spec.id.clone(),
            Effect::StopMachine { id, .. }
            | Effect::RebootMachine { id }
            | Effect::DestroyMachine { id }
            | Effect::OpenPorts { id, .. } => id.clone(),
            Effect::CopyImage { instance_id, .. } => instance_id.clone(),
            Effect::CloneImage { image_id, of } => {
                self.disk.share(of, image_id);
                let (engine, image_id) = (Arc::clone(self), image_id.clone());
                // The world is in the middle of telling effects: what was seen is told after.
                tokio::spawn(async move { engine.observe(&Observation::ImageCopied { image_id }) });
                return;
            }
            Effect::DropImage { image_id } => {
                self.disk.forget(image_id, self.machines.uses_image(image_id));
                return;
            }
            Effect::BalancerChanged(plan) => return self.change_balancer((**plan).clone()),
            Effect::BalancerGone { name } => return drop(lock(&self.balancers).remove(name)),
        };
        self.queue(&id, effect);
    }

    fn change_balancer(&self, plan: BalancerPlan) {
        let mut balancers = lock(&self.balancers);
        if let Some(running) = balancers.get(&plan.name) {
            running.plans.send_replace(plan);
            return;
        }
        let name = plan.name.clone();
        let (plans, watched) = watch::channel(plan);
        let dial = Arc::new(FabricDial(self.fabric.clone()));
        let data_path = Balancer::start(watched, dial, Options::default(), self.reports.clone());
        balancers.insert(name, Running { plans, data_path });
    }

    fn queue(self: &Arc<Self>, id: &str, effect: Effect) {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(id.to_owned()).or_insert_with(|| {
            let (queue, waiting) = mpsc::unbounded_channel();
            tokio::spawn(Arc::clone(self).work(waiting));
            queue
        });
        // The worker ends only after its instance is gone for good.
        let _ = queue.send(effect);
    }

    /// Carries out the effects on one instance, one after the other, until its disk is gone.
    async fn work(self: Arc<Self>, mut waiting: mpsc::UnboundedReceiver<Effect>) {
        while let Some(effect) = waiting.recv().await {
            match effect {
                Effect::StartMachine(spec) => self.start_machine(*spec).await,
                Effect::StopMachine { id, force } => {
                    self.stop_machine(&id, force).await;
                    self.observe(&Observation::MachineStopped { id });
                }
                Effect::RebootMachine { id } => self.reboot(&id).await,
                Effect::DestroyMachine { id } => {
                    self.destroy(&id).await;
                    lock(&self.queues).remove(&id);
                    self.observe(&Observation::MachineGone { id });
                }
                Effect::OpenPorts { id, ports } => self.open_ports(&id, &ports).await,
                Effect::CopyImage { image_id, instance_id, reboot } => {
                    self.copy_image(image_id, &instance_id, reboot).await;
                }
                Effect::CloneImage { .. }
                | Effect::DropImage { .. }
                | Effect::BalancerChanged(_)
                | Effect::BalancerGone { .. } => {}
            }
        }
    }

    async fn start_machine(self: &Arc<Self>, spec: MachineSpec) {
        let MachineSpec { id, image_id, hostname, private_ip, ports, .. } = spec;
        let launch = Launch { id: id.clone(), image: image_id, hostname, address: private_ip };
        if let Err(error) = self.machines.start(launch).await {
            tracing::error!(instance = %id, %error, "cannot start");
            return self.observe(&Observation::MachineFailed { id, reason: error.to_string() });
        }
        self.open_ports(&id, &ports).await;
        self.observe(&Observation::MachineStarted { id });
    }

    async fn open_ports(&self, id: &str, ports: &[PortRange]) {
        let addresses = self.cloud.read(|world| world.instance(id).map(|i| (i.public_ip, i.private_ip)));
        let Some((public, private)) = addresses else { return };
        if !self.machines.is_up(id) {
            return;
        }
        let ports: BTreeSet<u16> = ports.iter().flat_map(|range| range.from..=range.to).collect();
        for note in self.forwards.set(id, public, private, &ports).await {
            tracing::warn!(instance = %id, "{note}");
        }
    }

    async fn stop_machine(&self, id: &str, force: bool) {
        self.machines.stop(id, force).await;
        self.forwards.clear(id);
    }

    async fn destroy(&self, id: &str) {
        if let Err(error) = self.machines.destroy(id).await {
            tracing::warn!(instance = %id, %error, "its disk is not wholly removed");
        }
        self.forwards.clear(id);
    }

    /// Off and on again on the same disk; also after the instance rebooted itself.
    async fn reboot(self: &Arc<Self>, id: &str) {
        self.machines.stop(id, false).await;
        self.start_again(id).await;
    }

    async fn start_again(self: &Arc<Self>, id: &str) {
        let Some(launch) = self.machines.launch_of(id) else { return };
        if let Err(error) = self.machines.start(launch).await {
            let reason = format!("it did not come up again: {error}");
            self.observe(&Observation::MachineDied { id: id.to_owned(), reason });
        }
    }

    async fn copy_image(self: &Arc<Self>, image_id: String, instance_id: &str, reboot: bool) {
        let restart = reboot && self.machines.is_up(instance_id);
        if restart {
            self.machines.stop(instance_id, false).await;
        }
        let copied = self.machines.capture(instance_id, &image_id).await;
        if restart {
            self.start_again(instance_id).await;
        }
        self.observe(&match copied {
            Ok(()) => Observation::ImageCopied { image_id },
            Err(error) => Observation::ImageFailed { image_id, reason: error.to_string() },
        });
    }
}

/// Balancers reach instances through the fabric, and clients from the host.
struct FabricDial(Fabric);

impl Dial for FabricDial {
    fn dial(&self, to: SocketAddrV4) -> BoxFuture<'_, std::io::Result<TcpStream>> {
        Box::pin(self.0.connect(to))
    }
}

/// The metadata service asks the world who is who.
impl Directory for Engine {
    fn identity(&self, address: Ipv4Addr) -> Option<Identity> {
        self.cloud.read(|world| {
            let mut holders = world.instances().filter(|instance| instance.private_ip == address);
            holders.find(|instance| instance.state != InstanceState::Terminated).map(identity)
        })
    }
}

fn identity(instance: &world::Instance) -> Identity {
    let zone_id = world::ZONES.iter().find(|(zone, _)| *zone == instance.zone).map_or("", |(_, id)| id);
    Identity {
        id: instance.id.clone(),
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
        zone_id: zone_id.to_owned(),
        region: world::REGION.to_owned(),
        account: world::ACCOUNT.to_owned(),
        private_ip: instance.private_ip,
        public_ip: instance.public_ip,
        hostname: instance.hostname(),
        subnet_id: instance.subnet_id.clone(),
        groups: instance.groups.clone(),
        reservation_id: instance.reservation_id.clone(),
        launch_index: instance.launch_index,
        user_data: instance.user_data.clone(),
        tags: instance.metadata.tags.then(|| instance.tags.clone()),
        instance_profile: instance.instance_profile.clone(),
        key_name: instance.key_name.clone(),
        launch_time: instance.launch_time,
        tokens_required: instance.metadata.tokens_required,
        hop_limit: instance.metadata.hop_limit,
        endpoint_enabled: instance.metadata.enabled,
    }
}

impl Console for Machines {
    fn output(&self, instance_id: &str) -> Option<Vec<u8>> {
        self.console(instance_id)
    }
}
