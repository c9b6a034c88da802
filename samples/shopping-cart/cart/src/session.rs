use http::header::COOKIE;
use wstd::http::{HeaderMap, HeaderValue};

/// The name of the cookie.
const NAME: &str = "cart";

/// How long a browser keeps it, in seconds: 30 days.
const MAX_AGE_SECONDS: u32 = 30 * 24 * 3600;

/// Names a cart: 128 random bits in hexadecimal. Who knows it has the cart, so it cannot be guessed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CartId(String);

impl CartId {
    pub(crate) fn random() -> Self {
        let mut bits = [0; 16];
        wstd::rand::get_random_bytes(&mut bits);
        Self(bits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The cart of a request. A cookie that is not of our making counts for none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(name, value)| *name == NAME && is_id(value))
            .map(|(_, value)| Self(value.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Scripts cannot read it, and other sites' forms do not send it.
    pub(crate) fn set_cookie(&self) -> HeaderValue {
        HeaderValue::try_from(format!("{NAME}={}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax", self.0))
            .expect("hexadecimal digits fit into a header")
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cookie: &'static str) -> Option<CartId> {
        CartId::of(&HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookie))]))
    }

    #[test]
    fn the_cart_is_found_among_other_cookies() {
        let id = "00112233445566778899aabbccddeeff";
        assert_eq!(of("a=b; cart=00112233445566778899aabbccddeeff; c=d").unwrap().as_str(), id);
    }

    #[test]
    fn cookies_of_another_making_are_no_cart() {
        for cookie in [
            "",
            "cart",
            "cart=",
            "cart=../../etc",
            "cart=00112233445566778899AABBCCDDEEFF",
            "xcart=00112233445566778899aabbccddeeff",
        ] {
            assert_eq!(of(cookie), None, "{cookie}");
        }
    }
}
