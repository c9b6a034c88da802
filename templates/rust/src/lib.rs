//! A service that greets. Each request is answered by a fresh instance of it.

use wstd::http::{Body, Request, Response, Result};

/// Called for each request. To call other services, use `wstd::http::Client`.
#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    // What is printed is in `sampan logs`.
    let path = request.uri().path();
    println!("{} {path}", request.method());
    Ok(Response::new(greeting(path).into()))
}

fn greeting(path: &str) -> String {
    format!("Hello from Rust! You asked for {path}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_names_the_path() {
        assert_eq!(greeting("/world"), "Hello from Rust! You asked for /world\n");
    }
}
