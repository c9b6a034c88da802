//! The store, the API server, and the shell around the scheduler.
