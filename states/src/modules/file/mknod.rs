//! `file.mknod`: a FIFO or a device node.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::node::{Node, make_node, node};
use crate::fsys::{self, Kind, Owner, Stat};
use crate::modules::args::Args;
use crate::modules::file::{self, Ids, Place, Wish};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["ntype", "major", "minor", "user", "group", "mode"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    node: Node,
    wish: Wish,
    ids: Ids,
}

/// What stands there.
pub(crate) struct Observed {
    now: Stat,
    node: Option<Node>,
    parent: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    create: bool,
    /// Make the directories above it.
    parents: bool,
    owner: Owner,
}

fn kind(args: &Args<'_>) -> Result<Node, Failure> {
    let number = |key: &str| Ok::<_, Failure>(u64::from(args.number(key)?.unwrap_or(0)));
    match args.text("ntype")?.as_deref() {
        Some("p") => Ok(Node::Fifo),
        Some("c") => Ok(Node::Character(number("major")?, number("minor")?)),
        Some("b") => Ok(Node::Block(number("major")?, number("minor")?)),
        other => {
            let other = other.unwrap_or_default();
            Err(Failure::declaration(format!(
                "Node type unavailable: '{other}'. Available node types are character ('c'), block ('b'), and pipe ('p')"
            )))
        }
    }
}

fn word(node: Node) -> &'static str {
    match node {
        Node::Fifo => "Fifo pipe",
        Node::Character(..) => "Character device",
        Node::Block(..) => "Block device",
    }
}

/// `file.mknod`.
pub(crate) struct MakeNode;

impl StateFn for MakeNode {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let wish = Wish { mode: args.mode("mode")?.or(Some(0o600)), ..Wish::read(args, "mode")? };
        Ok(Want { place: Place::of(call)?, node: kind(args)?, ids: wish.ids(call)?, wish })
    }

    fn observe(want: &Want, _: &Call<'_>) -> Result<Observed, Failure> {
        let path = &want.place.path;
        Ok(Observed { now: fsys::stat(path)?, node: node(path)?, parent: file::parent_exists(path)? })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let (name, what) = (&want.place.name, word(want.node));
        match observed.node {
            None if observed.now.kind == Kind::Missing => {
                let text = format!("{what} {name} created.");
                let changes = Map::from([("new".to_owned(), Value::Str(text))]);
                let owner = want.ids.fresh(want.wish.mode.unwrap_or(0o600));
                let would = format!("{what} {name} would be created");
                let plan = Plan { create: true, parents: !observed.parent, owner };
                return Diff::Change { plan, changes, would };
            }
            None => return Diff::Refuse(file::odd(&want.place, observed.now.kind, "a node of that kind")),
            Some(now) if now != want.node => {
                return Diff::Refuse(format!("{name} is another node ({now:?}); it is left as it is"));
            }
            Some(_) => {}
        }
        let owner = want.ids.over(&observed.now, want.wish.mode);
        let mut changes = Map::new();
        file::dress_changes(&observed.now, &owner, &want.wish, &mut changes);
        if changes.is_empty() {
            return Diff::Same(format!("{what} {name} is in the correct state"));
        }
        let would = format!("{name} would change its owner or mode");
        Diff::Change { plan: Plan { create: false, parents: false, owner }, changes, would }
    }

    fn apply(want: &Want, plan: Plan, _: &Call<'_>) -> Result<Applied, Failure> {
        if plan.parents {
            file::make_parents(&want.place.path, want.ids.fresh(0o755))?;
        }
        match plan.create {
            true => make_node(&want.place.path, want.node, plan.owner)?,
            false => file::dress(&want.place.path, &plan.owner)?,
        }
        Ok(Applied::done(format!("{} {} is as asked", word(want.node), want.place.name)))
    }
}
