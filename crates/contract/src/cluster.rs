//! The two clusters, and their names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OTHER_PREFIX;

/// A cluster of the mesh, by its role.
///
/// Its name is also the name of its subset in the `DestinationRule`, and its value in labels,
/// metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cluster {
    /// The cluster of fixed size, which receives all traffic while the load is low.
    Primary,
    /// The cluster that receives the traffic that primary cannot carry.
    Burst,
}

impl Cluster {
    /// Both clusters, primary first.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Burst];

    /// Returns the cluster whose workers have this prefix: primary's have none, burst's have one.
    ///
    /// `None` for [`OTHER_PREFIX`], which stands for prefixes of either cluster.
    #[must_use]
    pub fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "" => Some(Self::Primary),
            OTHER_PREFIX => None,
            _ => Some(Self::Burst),
        }
    }

    /// The other cluster.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Burst,
            Self::Burst => Self::Primary,
        }
    }

    /// The prefix of the cluster's workers in the manifests and in the demo.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Primary => "",
            Self::Burst => "bursty-",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_its_cluster() {
        assert_eq!(Cluster::of_prefix(""), Some(Cluster::Primary));
        assert_eq!(Cluster::of_prefix("bursty-"), Some(Cluster::Burst));
        assert!(
            Cluster::ALL
                .iter()
                .all(|cluster| Cluster::of_prefix(cluster.prefix()) == Some(*cluster))
        );
        assert_eq!(Cluster::of_prefix(OTHER_PREFIX), None);
    }
}
