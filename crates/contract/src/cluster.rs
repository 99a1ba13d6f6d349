//! The two clusters, and the one pair of names they have everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A cluster of the mesh, by its role.
///
/// Its name is also the name of its subset in the `DestinationRule`, and its value in labels,
/// metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cluster {
    /// The cluster of fixed size: where all runs while load is low.
    Primary,
    /// The cluster that takes what primary cannot.
    Burst,
}

impl Cluster {
    /// Both clusters, primary first.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Burst];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Burst,
            Self::Burst => Self::Primary,
        }
    }

    /// The cluster's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Burst => "burst",
        }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
