//! What the watcher observed of the route: its weights, its overrides, and who changed it.

use contract::Cluster;

use crate::{Reason, Weights, proposal::Proposal};

/// What one observation of the route showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The weights in force.
    pub weights: Weights,
    /// What the annotations of the object demand.
    pub overrides: Overrides,
    /// The field manager that changed the weights since the last observation; `None` if nobody but
    /// this watcher did.
    pub changed_by: Option<String>,
}

/// What an operator demands by annotations. An override comes before every policy and guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The annotation because of which the watcher writes nothing; `None` if there is none.
    pub pause: Option<&'static str>,
    /// All traffic goes to this cluster.
    pub force: Option<Cluster>,
    /// Traffic does not come home.
    pub hold_home: bool,
}

impl Overrides {
    /// Replaces the proposal.
    pub(crate) fn apply(self, proposal: Proposal, in_force: Weights) -> Proposal {
        match self {
            Self { pause: Some(by), .. } => Proposal::keep(in_force, Reason::Paused { by }),
            Self { force: Some(to), .. } => {
                Proposal { weights: Weights::all_to(to), reason: Reason::Forced { to } }
            }
            Self { hold_home: true, .. } if proposal.is_homeward(in_force) => {
                Proposal::keep(in_force, Reason::HomeHeld)
            }
            _ => proposal,
        }
    }
}
