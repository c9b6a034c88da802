//! The smallest Sampan service: it greets whoever asks, and says which path was asked for.

use wstd::http::{Body, Request, Response, Result};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let greeting = format!("Hello from Sampan! You asked for {}\n", request.uri().path());
    Ok(Response::new(greeting.into()))
}
