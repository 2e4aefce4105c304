//! The listener for those who run the registry: `http.debug.addr`.

use std::{future, net::SocketAddr, sync::Arc};

use anyhow::Context;
use cargohold_http::{Debug, ServerOptions};
use tokio::{net::TcpListener, task::AbortHandle};

/// Ends what answers there.
pub(crate) struct DebugListening(AbortHandle);

/// Listens there, if anywhere.
pub(crate) async fn listen(addr: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(addr) = addr else { return Ok(None) };
    let listener = TcpListener::bind(addr).await;
    Ok(Some(listener.with_context(|| format!("http.debug.addr: cannot listen on {addr}"))?))
}

/// Has requests answered that come there, until the answer is dropped.
pub(crate) fn serve(listener: TcpListener, debug: Debug) -> DebugListening {
    if let Ok(addr) = listener.local_addr() {
        tracing::info!(%addr, "metrics and health are told there (http.debug.addr)");
    }
    let debug = Arc::new(debug);
    let service = move |request, _connection| {
        let debug = debug.clone();
        async move { debug.handle(&request).await }
    };
    let serving = cargohold_http::serve(listener, service, future::pending(), ServerOptions::default());
    DebugListening(
        tokio::spawn(async move {
            let _ = serving.await;
        })
        .abort_handle(),
    )
}

impl Drop for DebugListening {
    fn drop(&mut self) {
        self.0.abort();
    }
}
