use std::{fmt, sync::Arc};

/// Who is told how far a transfer is. Clones tell the same.
#[derive(Clone, Default)]
pub struct Progress {
    tell: Option<Arc<dyn Fn(Step) + Send + Sync>>,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A registry is asked.
    Begins,
    /// So much of the component has been transferred.
    Transferred {
        /// Bytes until now.
        bytes: u64,
        /// All bytes.
        total: u64,
    },
}

impl Progress {
    /// Nobody is told.
    pub fn untold() -> Self {
        Self::default()
    }

    /// This is called at each step. It must not block.
    pub fn to(tell: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)) }
    }

    pub(super) fn begins(&self) {
        self.tell(Step::Begins);
    }

    pub(super) fn transferred(&self, bytes: u64, total: u64) {
        self.tell(Step::Transferred { bytes, total });
    }

    fn tell(&self, step: Step) {
        if let Some(tell) = &self.tell {
            tell(step);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("told", &self.tell.is_some()).finish()
    }
}
