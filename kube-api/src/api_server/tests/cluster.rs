use api::{Body, ClusterHttp, ClusterHttpError, ObjectKey, full_body};
use futures::future::{BoxFuture, FutureExt, ready};
use http::{Request, Response};

/// A cluster with the Service `hello` at port 80, which knows `/` alone.
pub(super) struct OneService;

impl ClusterHttp for OneService {
    fn resolve(&self, namespace: &str, host: &str) -> Option<ObjectKey> {
        (host == "hello").then(|| ObjectKey::new(namespace, host))
    }

    fn keeps_inside(&self, _: &ObjectKey, _: u16) -> Option<String> {
        None
    }

    fn call(
        &self,
        _: &ObjectKey,
        service: ObjectKey,
        port: Option<u16>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ClusterHttpError>> {
        if port.is_some_and(|port| port != 80) {
            let why = "does not listen on that port".to_owned();
            return ready(Err(ClusterHttpError::NoSuchService { service, why })).boxed();
        }
        let status = if request.uri().path() == "/" { 200 } else { 404 };
        let mut answer = Response::builder().status(status);
        if request.headers().contains_key(http::header::AUTHORIZATION) {
            answer = answer.header("x-had-authorization", "yes");
        }
        let answer = answer.body(full_body("hello, tester"));
        ready(Ok(answer.expect("it is right"))).boxed()
    }
}
