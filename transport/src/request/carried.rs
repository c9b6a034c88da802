//! Trailers over the hop. HTTP/1.1 lets a sender name them in its head, and hyper sends no others; but a guest may decide on
//! them at the end. So they are carried as one field whose name is known, and what a chunked body takes from a head beside it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::{Body, BodyError};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING},
};
use http_body::{Frame, SizeHint};

/// The one trailer of this hop: all of the message's own.
const TRAILERS: HeaderName = HeaderName::from_static("x-sampan-trailers");
/// The `content-length` of a message whose body is chunked here.
const LENGTH: HeaderName = HeaderName::from_static("x-sampan-length");
/// The message's own `trailer`.
const ANNOUNCED: HeaderName = HeaderName::from_static("x-sampan-trailer");

/// Bytes of the trailers of a message, as they are carried. hyper reads no more than 16 KiB.
const MAX_TRAILERS_BYTES: usize = 15 << 10;

/// Makes a head say that its body is chunked here, and that trailers may follow.
pub(super) fn chunk(headers: &mut HeaderMap) {
    if let Some(length) = headers.remove(CONTENT_LENGTH) {
        headers.insert(LENGTH, length);
    }
    if let Some(announced) = headers.remove(TRAILER) {
        headers.insert(ANNOUNCED, announced);
    }
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    headers.insert(TRAILER, HeaderValue::from(TRAILERS));
}

/// Gives a head back what [`chunk`] took from it.
pub(super) fn restore(headers: &mut HeaderMap) {
    if headers.remove(TRANSFER_ENCODING).is_none() {
        return;
    }
    headers.remove(TRAILER);
    if let Some(length) = headers.remove(LENGTH) {
        headers.insert(CONTENT_LENGTH, length);
    }
    if let Some(announced) = headers.remove(ANNOUNCED) {
        headers.insert(TRAILER, announced);
    }
}

/// A body whose trailers are packed for the hop.
pub(super) struct Packed(pub(super) Body);

impl http_body::Body for Packed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
            Some(Ok(frame)) => Some(match frame.into_trailers() {
                Ok(trailers) => pack(&trailers),
                Err(data) => Ok(data),
            }),
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// `name:value,name:value`: neither sign is part of a name, and commas in values are escaped.
fn pack(trailers: &HeaderMap) -> Result<Frame<Bytes>, BodyError> {
    let mut packed = Vec::new();
    for (name, value) in trailers {
        if !packed.is_empty() {
            packed.push(b',');
        }
        packed.extend_from_slice(name.as_str().as_bytes());
        packed.push(b':');
        for &byte in value.as_bytes() {
            match byte {
                b',' => packed.extend_from_slice(b"%2c"),
                b'%' => packed.extend_from_slice(b"%25"),
                byte => packed.push(byte),
            }
        }
    }
    if packed.len() > MAX_TRAILERS_BYTES {
        return Err(BodyError::Closed(format!("trailers of more than {MAX_TRAILERS_BYTES} bytes")));
    }
    let packed = HeaderValue::from_bytes(&packed).expect("values of fields, joined by visible ASCII, are one");
    Ok(Frame::trailers(HeaderMap::from_iter([(TRAILERS, packed)])))
}

/// A piece of a body as it was before it was packed.
pub(super) fn unpacked(frame: Frame<Bytes>) -> Frame<Bytes> {
    let trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    let mut fields = HeaderMap::new();
    let packed = trailers.get(TRAILERS).map_or(&b""[..], HeaderValue::as_bytes);
    for field in packed.split(|&byte| byte == b',') {
        let Some(colon) = field.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&field[..colon]);
        let value = HeaderValue::from_bytes(&unescaped(&field[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    Frame::trailers(fields)
}

fn unescaped(mut value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    loop {
        match value {
            [] => return bytes,
            [b'%', b'2', b'c', rest @ ..] => {
                bytes.push(b',');
                value = rest;
            }
            [b'%', b'2', b'5', rest @ ..] => {
                bytes.push(b'%');
                value = rest;
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                value = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_come_out_as_they_went_in() {
        let mut trailers = HeaderMap::new();
        for value in [&b"a, b"[..], b"%2c%", b"", b"caf\xe9:1"] {
            trailers.append("x-sum", HeaderValue::from_bytes(value).unwrap());
        }
        trailers.append("grpc-status", HeaderValue::from_static("0"));
        let out = unpacked(pack(&trailers).unwrap()).into_trailers().unwrap();
        assert_eq!(out, trailers);
        assert!(unpacked(pack(&HeaderMap::new()).unwrap()).into_trailers().unwrap().is_empty());
    }

    #[test]
    fn a_head_that_was_chunked_for_the_hop_is_restored() {
        let given = HeaderMap::from_iter([
            (CONTENT_LENGTH, HeaderValue::from_static("7")),
            (TRAILER, HeaderValue::from_static("x-sum")),
        ]);
        let mut headers = given.clone();
        chunk(&mut headers);
        assert!(!headers.contains_key(CONTENT_LENGTH));
        restore(&mut headers);
        assert_eq!(headers, given);
    }
}
