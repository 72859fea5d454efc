//! What may go wrong at one call, and the schedule that says at which calls it does.

use std::fmt;
use std::str::FromStr;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Refused: too many calls.
    Throttled,
    /// An internal error before it took effect.
    Error,
    /// Never answered, and without effect.
    Timeout,
    /// It took effect, and the answer is lost.
    Lost,
    /// No right to do that.
    Denied,
    /// No room for such an instance.
    Capacity,
    /// Room for fewer than were asked for.
    Partial,
    /// The launch is answered, and its instances end instead of running.
    LaunchDies,
    /// A new instance dies.
    NewDies,
    /// An old instance dies.
    OldDies,
    /// All new instances fail their checks from here on.
    NewSicken,
    /// The deployer is killed before the call is heard.
    KilledBefore,
    /// The deployer is killed once the call has taken effect.
    KilledAfter,
    /// Somebody asks the deployer to stop.
    Interrupted,
    /// Somebody asks it twice.
    Stopped,
    /// Somebody removes the lock.
    Unlocked,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Throttled,
        Self::Error,
        Self::Timeout,
        Self::Lost,
        Self::Denied,
        Self::Capacity,
        Self::Partial,
        Self::LaunchDies,
        Self::NewDies,
        Self::OldDies,
        Self::NewSicken,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Interrupted,
        Self::Stopped,
        Self::Unlocked,
    ];

    /// Its word in schedules.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Denied => "denied",
            Self::Capacity => "capacity",
            Self::Partial => "partial",
            Self::LaunchDies => "launch-dies",
            Self::NewDies => "new-dies",
            Self::OldDies => "old-dies",
            Self::NewSicken => "new-sicken",
            Self::KilledBefore => "killed-before",
            Self::KilledAfter => "killed-after",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Unlocked => "unlocked",
        }
    }

    /// Whether it can happen to a call of this action, and is not the same as another that can.
    #[must_use]
    pub fn fits(self, action: &str) -> bool {
        let reads = reads(action);
        match self {
            Self::Capacity | Self::Partial | Self::LaunchDies => action == "RunInstances",
            Self::Lost | Self::KilledAfter => !reads,
            _ => true,
        }
    }

    /// Whether the call is without effect.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(self, Self::Throttled | Self::Error | Self::Timeout | Self::Denied | Self::Capacity)
    }
}

/// Whether an action changes nothing.
#[must_use]
pub fn reads(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Get")
}

/// A fault at a call, by its number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Which call.
    pub call: usize,
    /// What happens.
    pub fault: Fault,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.call, self.fault.word())
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (call, word) = text.split_once(':').ok_or_else(|| format!("`{text}` is not CALL:FAULT"))?;
        let call = call.parse().map_err(|_| format!("`{call}` is not the number of a call"))?;
        let fault = Fault::ALL.into_iter().find(|fault| fault.word() == word);
        Ok(Self { call, fault: fault.ok_or_else(|| format!("there is no fault `{word}`"))? })
    }
}
