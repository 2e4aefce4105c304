//! For tests of races: a transaction can be told to wait before any of its statements.

use std::{future::Future, pin::Pin, sync::Arc};

/// Decides what happens before a statement.
pub(crate) trait Steps: Send + Sync {
    /// Called before the statement of that name is sent, and before the commit.
    fn reached(&self, statement: &'static str) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

tokio::task_local! {
    /// Who is asked for transactions that run in this task.
    pub(crate) static STEPS: Arc<dyn Steps>;
}

pub(super) async fn reached(statement: &'static str) {
    if let Ok(steps) = STEPS.try_with(Arc::clone) {
        steps.reached(statement).await;
    }
}
