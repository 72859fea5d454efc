//! The watcher's thread: turns events into decisions and decisions into jobs.

// Effects: reads the clock, looks at files, starts job threads.
#![allow(clippy::disallowed_methods)]

mod tell;

use super::arms::Arms;
use super::board::{Act, Board, Job};
use super::entry::difference;
use super::inotify::Touch;
use super::pattern::{leads_to, literal};
use super::report::{RuleStatus, Snapshot};
use super::survey::{Print, Survey, survey};
use super::work::{Outcome, Worker};
use super::{Event, Options, Understood};
use crate::Listener;
use crate::rule::Action;
use crate::supervisor::Supervisor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// New directories lead to newer ones; those that come faster than we look are seen by the next event.
const MAX_ROUNDS: usize = 16;

/// The contents of a service's rules.
pub(crate) type Prints = BTreeMap<String, Arc<Print>>;

/// What the thread is told.
pub(crate) enum Message {
    /// [`Arms::happened`] has something.
    Woken,
    Command(Command),
    /// A job's checks passed; may it act?
    Passed(Arc<Job>, Sender<bool>),
    /// A job's checks or one of its actions failed, or an action succeeded.
    Outcome(Arc<Job>, Outcome),
}

/// From outside.
pub(crate) enum Command {
    SetRules(Vec<Understood>, Sender<()>),
    Rebaseline(String, Sender<()>),
    /// The service is about to be acted on by somebody else: what do its files hold? Nothing is answered when that is not
    /// what was checked.
    Look {
        service: String,
        action: Action,
        checked: Option<Prints>,
        answer: Sender<Option<Prints>>,
    },
    /// What must pass before that, and of which content; nothing when there is none.
    Checks(String, Sender<Option<(Vec<Vec<String>>, Prints)>>),
    /// That was done, with this content before, or it failed.
    Acted {
        action: Action,
        prints: Prints,
        succeeded: bool,
        done: Sender<()>,
    },
    /// These paths are as their keeper wants them.
    Approve(Vec<PathBuf>, Sender<()>),
    Pause(Sender<()>),
    Resume,
    Stop,
}

/// What is known of a rule beside its decisions.
struct Ground {
    patterns: Vec<Vec<super::pattern::Part>>,
    /// What was seen at the last look.
    survey: Survey,
    status: RuleStatus,
    /// The quick look that polling compares with.
    polled: Option<Print>,
}

pub(crate) struct Engine {
    supervisor: Arc<dyn Supervisor>,
    listener: Arc<dyn Listener<Event>>,
    options: Options,
    messages: Sender<Message>,
    shown: Arc<Mutex<Snapshot>>,
    board: Board,
    ground: BTreeMap<String, Ground>,
    arms: Arms,
    epoch: Instant,
    /// The same moment in seconds since 1970.
    born: f64,
    /// How often everything was looked at.
    looks: u64,
    next_poll: Duration,
    next_rescan: Duration,
    pauses: usize,
    degraded: Option<String>,
}

impl Engine {
    pub(crate) fn new(
        supervisor: Arc<dyn Supervisor>,
        listener: Arc<dyn Listener<Event>>,
        options: Options,
        messages: Sender<Message>,
        shown: Arc<Mutex<Snapshot>>,
    ) -> Self {
        let waker = messages.clone();
        let arms = Arms::new(options.max_watches, move || _ = waker.send(Message::Woken));
        Self {
            supervisor,
            listener,
            next_poll: options.poll,
            next_rescan: options.rescan,
            board: Board::new(options.reading),
            options,
            messages,
            shown,
            ground: BTreeMap::new(),
            arms,
            epoch: Instant::now(),
            born: tell::unix_time(),
            looks: 0,
            pauses: 0,
            degraded: None,
        }
    }

    /// Until told to stop.
    pub(crate) fn run(&mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(self.pause()) {
                Ok(Message::Command(Command::Stop)) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look_around();
            self.begin_jobs();
            self.show();
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// How long nothing needs to be done if nothing comes.
    fn pause(&self) -> Duration {
        let poll = self.is_polling().then_some(self.next_poll);
        let next =
            [self.board.next_deadline(), poll].into_iter().flatten().fold(self.next_rescan, Duration::min);
        next.saturating_sub(self.now())
    }

    fn is_polling(&self) -> bool {
        self.ground.values().any(|g| g.status.polled)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Woken => self.on_events(),
            Message::Command(command) => self.obey(command),
            Message::Passed(job, answer) => {
                // What happened before this look is in it.
                self.on_events();
                let prints = self.prints(&job.service);
                let now = self.now();
                let _ = answer.send(self.board.passed(&job, &prints, now));
            }
            Message::Outcome(job, outcome) => self.on_outcome(&job, outcome),
        }
    }

    fn obey(&mut self, command: Command) {
        // What happened before the command is noted before it is carried out.
        self.on_events();
        match command {
            Command::SetRules(rules, done) => {
                self.set_rules(rules);
                self.show();
                let _ = done.send(());
            }
            Command::Rebaseline(service, done) => {
                let prints = self.prints(&service);
                let now = self.now();
                for (rule, print) in prints {
                    self.board.begins(&rule);
                    self.board.rebaseline(&rule, print, now);
                }
                let _ = done.send(());
            }
            Command::Checks(service, answer) => {
                let checks = self.board.checks_of(&service);
                let _ = answer.send((!checks.is_empty()).then(|| (checks, self.prints(&service))));
            }
            Command::Look { service, action, checked, answer } => {
                let _ = answer.send(self.look_before(&service, &action, checked.as_ref()));
            }
            Command::Acted { action, prints, succeeded, done } => {
                self.on_acted_elsewhere(&action, prints, succeeded);
                let _ = done.send(());
            }
            Command::Approve(paths, done) => {
                paths.iter().for_each(|path| self.approve(path));
                let _ = done.send(());
            }
            Command::Pause(done) => {
                self.pauses += 1;
                self.board.set_paused(true);
                let _ = done.send(());
            }
            Command::Resume => {
                self.pauses = self.pauses.saturating_sub(1);
                self.board.set_paused(self.pauses > 0);
            }
            Command::Stop => {}
        }
    }

    /// Reconcile by set difference.
    fn set_rules(&mut self, rules: Vec<Understood>) {
        let names: BTreeSet<_> = rules.iter().map(|u| u.rule.name.clone()).collect();
        let gone: Vec<_> = self.ground.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone {
            self.ground.remove(&name);
            self.board.remove(&name);
        }
        for Understood { rule, patterns } in rules {
            if self.board.entries.get(&rule.name).is_some_and(|entry| entry.rule == rule) {
                continue;
            }
            let status = RuleStatus {
                rule: rule.name.clone(),
                service: rule.service.clone(),
                ..RuleStatus::default()
            };
            let ground = Ground { patterns, survey: Survey::default(), status, polled: None };
            let name = rule.name.clone();
            self.ground.insert(name.clone(), ground);
            let (print, now) = (self.look(&name, true), self.now());
            self.board.insert(rule, print, now);
        }
        self.release();
        self.tell_degraded();
    }

    /// The path's keeper has put it right, and all below it.
    fn approve(&mut self, path: &std::path::Path) {
        let now = self.now();
        let guarding = |(name, _): &(&String, &Ground)| {
            self.board.entries.get(*name).is_some_and(|entry| entry.rule.guards(path))
        };
        let guarding: Vec<_> = self.ground.iter().filter(guarding).map(|(name, _)| name.clone()).collect();
        if guarding.is_empty() {
            return;
        }
        let print = survey(&[literal(path)], true).print;
        for name in guarding {
            let Some(ground) = self.ground.get(&name) else { continue };
            let mine = |path: &PathBuf| ground.patterns.iter().any(|parts| leads_to(parts, path));
            let marks = print.iter().filter(|(path, _)| mine(path));
            let marks = marks.map(|(path, mark)| (path.clone(), mark.clone())).collect();
            self.board.approve(&name, path, marks, now);
        }
    }

    /// Release watches that no rule wants.
    fn release(&mut self) {
        let wanted: BTreeSet<&PathBuf> =
            self.ground.values().flat_map(|g| g.survey.directories.keys()).collect();
        self.arms.keep(&wanted);
    }

    /// Look at a rule's files, with every directory that tells of a change armed before the last look.
    fn look(&mut self, name: &str, hash: bool) -> Print {
        let Some(ground) = self.ground.get_mut(name) else { return Print::new() };
        let (mut found, mut failed) = (survey(&ground.patterns, hash), false);
        for _ in 0..MAX_ROUNDS {
            let (fresh, short) =
                self.arms.arm(found.directories.iter().map(|(path, interest)| (path, interest.content)));
            failed = short;
            if !fresh {
                break;
            }
            found = survey(&ground.patterns, hash);
        }
        ground.status.polled = failed;
        ground.status.files = found.print.len();
        ground.status.truncated = found.truncated;
        let print = std::mem::take(&mut found.print);
        ground.survey = found;
        print
    }

    /// The contents of a service's rules now.
    fn prints(&mut self, service: &str) -> Prints {
        let rules = self.board.rules_of(service);
        rules.into_iter().map(|name| (name.clone(), Arc::new(self.look(&name, true)))).collect()
    }

    /// Note what the kernel told.
    fn on_events(&mut self) {
        let happened = self.arms.happened();
        // The debounce is from when it happened, however late we are.
        let now = happened.at.map_or_else(|| self.now(), |at| at.saturating_duration_since(self.epoch));
        if happened.rescan {
            self.arms.distrust();
            return self.touch_all(now);
        }
        // Watches follow a directory that moves, and their names do not: those who know it arm anew.
        let moved = happened.paths.iter().filter(|(path, touch)| touch.moved && self.arms.is_armed(path));
        let moved: Vec<_> = moved.map(|(path, _)| path.clone()).collect();
        moved.iter().for_each(|path| self.arms.distrust_below(path));
        let mut reshaped = Vec::new();
        for (name, ground) in &self.ground {
            let mine = |(path, touch): &(&PathBuf, &Touch)| ground.survey.concerns(path, touch.structural);
            let mut touched = happened.paths.iter().filter(mine).peekable();
            if touched.peek().is_none() {
                continue;
            }
            let mut all = Touch::default();
            touched.for_each(|(_, touch)| all.and(*touch));
            if all.altering {
                self.board.altered(name, now);
            } else {
                self.board.touched(name, now);
            }
            if all.structural {
                reshaped.push(name.clone());
            }
        }
        // New directories tell of what happens in them from now on, so that the debounce waits for that too.
        for name in reshaped {
            self.look(&name, false);
        }
    }

    fn touch_all(&mut self, now: Duration) {
        for name in self.ground.keys().cloned().collect::<Vec<_>>() {
            self.look(&name, false);
            self.board.altered(&name, now);
        }
    }

    /// Poll what has no watches, and now and then everything.
    fn look_around(&mut self) {
        let now = self.now();
        let everything = now >= self.next_rescan;
        if !everything && (now < self.next_poll || !self.is_polling()) {
            return;
        }
        self.next_poll = now + self.options.poll;
        if everything {
            self.next_rescan = now + self.options.rescan;
            self.looks += 1;
            self.arms.open();
        }
        for name in self.ground.keys().cloned().collect::<Vec<_>>() {
            if !everything && !self.ground.get(&name).is_some_and(|g| g.status.polled) {
                continue;
            }
            let print = self.look(&name, false);
            let Some(ground) = self.ground.get_mut(&name) else { continue };
            let before = ground.polled.replace(print.clone());
            if before.is_none_or(|before| difference(&before, &print).is_some()) {
                // Of what has watches too, this may be a change that was dealt with long since.
                match ground.status.polled {
                    true => self.board.altered(&name, now),
                    false => self.board.touched(&name, now),
                }
            }
        }
        if everything {
            self.release();
        }
        self.tell_degraded();
    }

    fn begin_jobs(&mut self) {
        let now = self.now();
        if self.board.due(now).is_empty() {
            return;
        }
        // Whatever has happened by now begins its debounce anew, though we have not been woken for it yet.
        self.on_events();
        for service in self.board.due(now) {
            let prints = self.prints(&service);
            // What happened while we looked may be half of something: it has its own debounce.
            self.on_events();
            if !self.board.due(now).contains(&service) {
                continue;
            }
            let now = self.now();
            let decision = self.board.decide(&service, &prints, now);
            self.tell_edits(decision.edits);
            self.tell_held(decision.held);
            let Some(job) = decision.job else { continue };
            self.note_changes(&job);
            // Without a check there is nothing between the look and the action that could have changed the files.
            if job.checks.is_empty() {
                self.board.passed(&job, &prints, now);
            }
            self.start(Arc::new(job));
        }
    }

    fn start(&self, job: Arc<Job>) {
        let alone = matches!(&job.acts[..], [Act { action: Action::Restart, .. }]) && job.checks.is_empty();
        let worker = Worker {
            // Before there is a thread that waits for it.
            begun: if alone { self.supervisor.begin_restart(&job.service) } else { None },
            supervisor: self.supervisor.clone(),
            listener: self.listener.clone(),
            messages: self.messages.clone(),
            timeout: self.options.command_timeout,
            job: job.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("act {}", job.service));
        if let Err(error) = thread.spawn(move || worker.work()) {
            let _ = self
                .messages
                .send(Message::Outcome(job, Outcome::CheckFailed(format!("no thread: {error}"))));
        }
    }

    fn on_outcome(&mut self, job: &Job, outcome: Outcome) {
        let now = self.now();
        match outcome {
            Outcome::CheckFailed(reason) => {
                let first = self.board.refused(job.rules(), now);
                let acts: Vec<&Act> = job.acts.iter().collect();
                self.on_failure(job, &acts, "check", reason, first);
            }
            Outcome::ActionFailed(index, reason) => {
                let Some(act) = job.acts.get(index) else { return };
                let first = self.board.refused(act.members.iter(), now);
                self.on_failure(job, &[act], "action", reason, first);
            }
            Outcome::Acted(index) => {
                let Some(act) = job.acts.get(index) else { return };
                self.board.acted(act, now);
                self.on_success(&job.service, act);
            }
        }
    }

    /// Somebody else is about to restart (or reload) the service: the contents of the rules that are served by it, unless
    /// others were checked.
    fn look_before(&mut self, service: &str, action: &Action, checked: Option<&Prints>) -> Option<Prints> {
        let mut prints = self.prints(service);
        if checked.is_some_and(|checked| *checked != prints) {
            return None;
        }
        prints.retain(|rule, _| self.serves(action, rule));
        prints.keys().for_each(|rule| self.board.begins(rule));
        Some(prints)
    }

    /// Rules that ask for less are served by it.
    fn serves(&self, action: &Action, rule: &str) -> bool {
        self.board.entries.get(rule).is_some_and(|entry| match entry.rule.action {
            Action::Restart => *action == Action::Restart,
            Action::Reload => true,
            Action::Signal(_) | Action::Run(_) => false,
        })
    }

    fn on_acted_elsewhere(&mut self, action: &Action, prints: Prints, succeeded: bool) {
        let now = self.now();
        for (rule, print) in prints {
            match self.serves(action, &rule) {
                true if succeeded => self.board.rebaseline(&rule, print, now),
                true => self.board.failed(&rule),
                false => {}
            }
        }
    }
}
