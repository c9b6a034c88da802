//! Trailers over the hop. HTTP/1.1 lets a sender name them in its head, and hyper sends no others; but a guest may decide on
//! them at the end. So they are carried as one field whose name is known, and what a chunked body takes from a head beside it.
//! Fields of a head beyond what hyper reads of one are carried so, too: a guest may answer with more, and HTTP/2 bounds bytes alone.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::{Body, BodyError};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING},
};
use http_body::{Frame, SizeHint};

/// The one trailer of this hop: all of the message's own.
const TRAILERS: HeaderName = HeaderName::from_static("x-sampan-trailers");
/// The `content-length` of a message whose body is chunked here.
const LENGTH: HeaderName = HeaderName::from_static("x-sampan-length");
/// The message's own `trailer`.
const ANNOUNCED: HeaderName = HeaderName::from_static("x-sampan-trailer");

/// The fields of a head that are one too many.
pub(super) const FIELDS: HeaderName = HeaderName::from_static("x-sampan-fields");

/// Fields of a head that cross as they are. hyper reads 100, of which the hop needs some for itself.
const MAX_FIELDS: usize = 80;

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

/// Puts the fields beyond [`MAX_FIELDS`] into one. Call it before the hop says how the body ends.
pub(super) fn fold(headers: &mut HeaderMap) {
    if headers.len() <= MAX_FIELDS {
        return;
    }
    let all = std::mem::take(headers);
    let mut packed = Vec::new();
    for (name, value) in &all {
        // What hyper itself reads of a head.
        let of_the_hop = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING].contains(name);
        if of_the_hop || headers.len() < MAX_FIELDS {
            headers.append(name, value.clone());
        } else {
            pack_field(name, value, &mut packed);
        }
    }
    headers.insert(FIELDS, packed_value(&packed));
}

/// Gives a head back what [`fold`] took from it.
pub(super) fn unfold(headers: &mut HeaderMap) {
    if let Some(packed) = headers.remove(FIELDS) {
        unpack_fields(packed.as_bytes(), headers);
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

fn pack(trailers: &HeaderMap) -> Result<Frame<Bytes>, BodyError> {
    let mut packed = Vec::new();
    trailers.iter().for_each(|(name, value)| pack_field(name, value, &mut packed));
    if packed.len() > MAX_TRAILERS_BYTES {
        return Err(BodyError::Closed(format!("trailers of more than {MAX_TRAILERS_BYTES} bytes")));
    }
    Ok(Frame::trailers(HeaderMap::from_iter([(TRAILERS, packed_value(&packed))])))
}

/// `name:value,name:value`: neither sign is part of a name, and commas in values are escaped.
fn pack_field(name: &HeaderName, value: &HeaderValue, packed: &mut Vec<u8>) {
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

fn packed_value(packed: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(packed).expect("values of fields, joined by visible ASCII, are one")
}

/// A piece of a body as it was before it was packed.
pub(super) fn unpacked(frame: Frame<Bytes>) -> Frame<Bytes> {
    let trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    let mut fields = HeaderMap::new();
    unpack_fields(trailers.get(TRAILERS).map_or(&b""[..], HeaderValue::as_bytes), &mut fields);
    Frame::trailers(fields)
}

fn unpack_fields(packed: &[u8], fields: &mut HeaderMap) {
    for field in packed.split(|&byte| byte == b',') {
        let Some(colon) = field.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&field[..colon]);
        let value = HeaderValue::from_bytes(&unescaped(&field[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
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
    fn a_head_of_many_fields_crosses_as_few_and_comes_out_as_it_went_in() {
        let mut given = HeaderMap::new();
        for number in 0..300 {
            let name = HeaderName::from_bytes(format!("x-{}", number % 200).as_bytes()).unwrap();
            given.append(name, HeaderValue::from_bytes(format!("{number}, 5% \u{e9}").as_bytes()).unwrap());
        }
        given.insert(HOST, HeaderValue::from_static("cart"));
        given.insert(CONTENT_LENGTH, HeaderValue::from_static("4"));
        let mut headers = given.clone();
        fold(&mut headers);
        assert!(headers.len() < MAX_FIELDS + 10 && headers[HOST] == "cart" && headers[CONTENT_LENGTH] == "4");
        unfold(&mut headers);
        assert_eq!(headers, given);

        let few =
            HeaderMap::from_iter(given.iter().take(MAX_FIELDS).map(|(name, value)| (name.clone(), value.clone())));
        let mut headers = few.clone();
        fold(&mut headers);
        assert_eq!(headers, few, "where there is room for all they stay as they are");
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
