//! What EC2 shows of the deployment's instances.

use crate::class::Capacity;
use crate::ids::{ClassName, InstanceId, IntentId, ScopeKey};
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// An instance that carries the deployment's tag, and all that its tags tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnInstance {
    /// Its id.
    pub id: InstanceId,
    /// The EC2 instance type that it was given.
    pub instance_type: String,
    /// How EC2 was asked for it.
    pub capacity: Capacity,
    /// When EC2 launched it.
    pub launched_at: Timestamp,
    /// For whom it is counted.
    pub scope: ScopeKey,
    /// What that was called then; instances of before it was written down have none.
    pub scope_name: Option<ScopeName>,
    /// Its kind.
    pub class: ClassName,
    /// The launch that it came from.
    pub intent: IntentId,
}

/// An instance that carries the deployment's tag, and otherwise not what Stoker's launches carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableInstance {
    /// Its id, as EC2 writes it.
    pub id: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The deployment's instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ours {
    /// Those that can be told.
    pub instances: Vec<OwnInstance>,
    /// Those whose tags are missing or can't be read: nobody knows for whom they are.
    pub unreadable: Vec<UnreadableInstance>,
}
