//! Why there is no plan: going on could do harm, so nothing is done. What is wrong, and what to do.

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A state that this program does not know.
    #[error("{0} is in a state that this version does not know; nothing is decided on it")]
    UnknownState(String),
    /// The record's name is taken by something else.
    #[error(
        "the launch template {0} is not tagged as this service's and environment's record; rename the service or tag it"
    )]
    ForeignRecord(String),
    /// The balancer does not send requests to the subnets' zones.
    #[error(
        "load balancer {balancer} does not serve the zone {zone} of subnet {subnet}, so an instance there would stay \
         out of service for ever: enable the zone, or list `subnets` in {zones}"
    )]
    ZoneNotEnabled {
        /// The balancer.
        balancer: String,
        /// The subnet.
        subnet: String,
        /// Its zone.
        zone: String,
        /// The zones that are enabled.
        zones: String,
    },
    /// No two of the balancers serve the same zone.
    #[error("no default subnet is in a zone that all of the load balancers serve: list `subnets`")]
    NoCommonZone,
    /// Nothing sends requests to the target group.
    #[error(
        "no listener of any load balancer uses target group {0}, so its targets would stay unused for ever: add a \
         listener or a rule that forwards to it"
    )]
    NotInUse(String),
    /// The wait cannot end well.
    #[error(
        "`timeouts.in_service` is {timeout}, and {balancer} checks a new member only every {interval}: make it longer"
    )]
    TooShort {
        /// The balancer.
        balancer: String,
        /// The spec's patience.
        timeout: String,
        /// From one check to the next.
        interval: String,
    },
    /// There is nothing of the kind.
    #[error("there is nothing to go on with: {0}")]
    NothingToPromote(String),
    /// There is nothing of the kind.
    #[error("there is nothing to take back: {0}")]
    NothingToAbort(String),
    /// No success but what runs now.
    #[error("there is no earlier success to go back to; `mayfly history` lists the deployments")]
    NothingToRollBackTo,
    /// No such number.
    #[error("there is no deployment number {0}; `mayfly history` lists them")]
    NoSuchNumber(i64),
    /// It never served.
    #[error(
        "deployment number {0} did not succeed, so there is no going back to it; `mayfly history` lists those that did"
    )]
    NeverSucceeded(i64),
    /// Nothing was ever good.
    #[error(
        "{0} serves and no deployment ever succeeded, so there is nothing to go back to; `mayfly deploy` replaces it"
    )]
    NoSuccess(String),
    /// The step to pause before is not one of the plan's.
    #[error("there is no step `{step}` to pause before; the plan's steps are {known}")]
    NoSuchStep {
        /// As asked for.
        step: String,
        /// What there is.
        known: String,
    },
    /// The user-data is too large.
    #[error(transparent)]
    UserData(#[from] mayfly_ami::recipe::RecipeError),
}
